"""Readings of swaps are what encoding mean frames by hand gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from vdd import apply
from vdd.compression import rereading
from vdd.errors import UserError
from vdd.method.disentangler import Disentangler

CLIPS = 70  # more than go into a batch


@pytest.fixture(scope="module")
def world():
    model, params = tiny.get_model({"model.motion_window": 2})
    video = tiny.random_video(CLIPS, 4)
    readings = rereading.read(model, params, video, num_swaps=2, show_progress=False)
    return model, params, video, readings


def test_clips_are_read_as_encode_reads_them(world):
    model, params, video, readings = world
    plain = jax.jit(apply.encode, static_argnums=0)(model, params, video)
    assert readings.content.shape == (CLIPS, 3, 2, 4)
    np.testing.assert_allclose(readings.content[:, 0], plain.content, atol=1e-5)
    np.testing.assert_array_equal(readings.codes, plain.codes)


def test_swaps_are_read_that_were_drawn_from_the_codes_of_others(world):
    model, params, _, readings = world

    @jax.jit
    def read(content, codes, told):
        """Content tokens [b k d], and how much farther the codes `told` are than the nearest."""

        def part(method, *args):
            return model.apply({"params": params}, *args, method=method)

        drawn = part(Disentangler.mean, content, part(Disentangler.lookup, codes))
        content, motion, _ = part(Disentangler.read, drawn)
        tokens, own = (
            part(Disentangler.compress, content).tokens,
            part(Disentangler.quantize, motion),
        )
        words = part(Disentangler.lookup, told).reshape(own.codewords.shape)
        told, nearest = (jnp.linalg.norm(own.vectors - x, axis=-1) for x in (words, own.codewords))
        return tokens, told - nearest

    rows = jnp.arange(CLIPS)
    for swap in range(2):
        drawn = readings.drawn[:, swap]
        content, farther = read(readings.content[:, 0], drawn, readings.read[:, swap])
        np.testing.assert_allclose(readings.content[:, swap + 1], content, atol=1e-4)
        # A vector between two codewords may fall to either, by its batch, but to no third one.
        assert np.max(farther) < 1e-3
        same = (drawn[:, None] == readings.codes[None]).all((2, 3))
        assert same.any(1).all()
        assert not np.array_equal(same.argmax(1), rows)
    assert not np.array_equal(readings.drawn[:, 0], readings.drawn[:, 1])


def test_another_seed_draws_other_swaps(world):
    model, params, video, readings = world
    other = rereading.read(model, params, video, num_swaps=2, seed=1, show_progress=False)
    np.testing.assert_array_equal(other.codes, readings.codes)
    assert np.any(other.drawn != readings.drawn)


def test_reading_swaps_takes_two_clips():
    model, params = tiny.get_model()
    with pytest.raises(UserError, match="takes two clips"):
        rereading.read(model, params, tiny.random_video(1, 4))
