"""The loss that is minimised is the one that is told, and the decoder sees what `driving` gives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import get_config, random_video

from vdd.method import losses, objective, step
from vdd.method.disentangler import Disentangler
from vdd.method.driving import Drive
from vdd.method.step import Recipe

RECIPE = Recipe.from_config(get_config())


def test_what_is_minimised_is_what_is_told_as_the_loss(monkeypatch):
    """And all of it comes from one `Drive`: nothing is done to it on its way to the decoder."""
    given, taken = [], []
    for owner, name, seen in ((objective, "driving", given), (losses, "denoising", taken)):
        monkeypatch.setattr(owner, name, recorded(getattr(owner, name), seen))
    training, batch = step.build(RECIPE), {"video": random_video(4, 4)}

    def loss(state, batch, rng):
        total, (metrics, _, _) = step._loss(RECIPE, state, step.trained(state.params), batch, rng)
        assert total is metrics["loss"]
        return total

    state = jax.eval_shape(training.init, jax.random.key(0), batch)
    jax.eval_shape(loss, state, batch, jax.random.key(0))
    ((_, drive),), ((arguments, _),) = given, taken
    assert arguments[-1] is drive


def recorded(function, calls):
    @functools.wraps(function)
    def wrapped(*args):
        calls.append((args, function(*args)))
        return calls[-1][1]

    return wrapped


@pytest.mark.parametrize("clips", [4, 8])
def test_the_decoder_sees_the_content_and_the_motion_that_it_is_given(clips):
    rng = np.random.default_rng(0)
    latents, content, motion = (
        jnp.asarray(rng.normal(size=shape).astype(np.float32))
        for shape in ((clips, 3, 2, 2, 1), (clips, 2, 4), (clips, 3, 5))
    )
    seen = {}

    def decoder(method, *args):
        seen[method] = args
        return jnp.zeros((*args[-1].shape[:2], 2, 2, 1))

    losses.denoising(
        RECIPE.objective, 0.1, decoder, jax.random.key(0), latents, Drive(content, motion, None)
    )
    shown, moved = seen[Disentangler.mean]
    np.testing.assert_array_equal(shown, content)
    assert_frames_of(moved, motion)
    _, _, shown, moved, _ = seen[Disentangler.denoise]
    rows = [row.tobytes() for row in np.asarray(content)]
    of = [rows.index(row.tobytes()) for row in np.asarray(shown)]
    np.testing.assert_array_equal(shown, content[np.array(of)])
    assert_frames_of(moved, motion[np.array(of)])


def assert_frames_of(some, whole):
    """Each row has frames of the same row of the whole, as they are."""
    for frames, all_frames in zip(np.asarray(some), np.asarray(whole), strict=True):
        assert {frame.tobytes() for frame in frames} <= {frame.tobytes() for frame in all_frames}
