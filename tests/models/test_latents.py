import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import SIZE, call, normal, random_video

from vdd.models import latents as latents_module
from vdd.models.latents import PixelLatents
from vdd.models.unet import depth_to_space, space_to_depth

VIDEO = random_video(3, 4)

# In one program each: without, every operation would be compiled alone.
to_float, to_uint8 = jax.jit(latents_module.to_float), jax.jit(latents_module.to_uint8)


def test_space_to_depth_folds_blocks_into_channels():
    x = np.asarray(normal(0, 2, 3, 4, 6, 5))
    folded = np.asarray(space_to_depth(x, 2))
    assert folded.shape == (2, 3, 2, 3, 20)
    for i in range(2):
        for j in range(3):
            block = x[:, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].reshape(2, 3, 20)
            np.testing.assert_array_equal(folded[:, :, i, j], block)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_depth_to_space_undoes_space_to_depth(size):
    x = np.asarray(normal(0, 2, 4, 8, 3))
    np.testing.assert_array_equal(depth_to_space(space_to_depth(x, size), size), x)


def test_to_float_spans_minus_one_to_one():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    x = np.asarray(to_float(pixels))
    assert float(x.min()) == -1.0
    assert float(x.max()) == 1.0
    np.testing.assert_array_equal(np.round((x + 1) * 127.5), pixels)
    np.testing.assert_array_equal(to_float(x), x)


def test_alpha_is_straight_in_pixels_and_multiplied_in_as_floats():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 4), np.uint8)
    floats = to_float(pixels)
    back = np.asarray(to_uint8(floats))
    seen = pixels[..., 3] > 0
    np.testing.assert_array_equal(back[seen], pixels[seen])
    assert not back[~seen].any()
    # Whatever its colour, what cannot be seen is one value: no error is counted there.
    assert np.all(np.asarray(floats)[~seen] == -1.0)


@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255), (255, 0, 255)])
def test_blurred_alpha_leaves_no_halo(ground):
    rng = np.random.default_rng(1)
    shapes = np.where(rng.random((2, 32, 32)) < 0.5, 255, 0)
    clips = np.stack([*rng.integers(0, 256, (3, 2, 32, 32)), shapes], -1).astype(np.uint8)

    def laid(pixels):
        alpha = pixels[..., 3:].astype(float) / 255.0
        return pixels[..., :3] * alpha + np.array(ground) * (1.0 - alpha)

    blurred = np.asarray(to_uint8(np.asarray(to_float(clips)).mean(0)))
    assert np.abs(laid(blurred) - laid(clips).mean(0)).max() <= 1.0


@pytest.mark.parametrize("patch", [1, 4])
def test_round_trip_and_scale(patch):
    module = PixelLatents(patch, SIZE)
    params = jax.jit(PixelLatents.measure)(VIDEO)
    x = np.asarray(to_float(VIDEO))
    latents = np.asarray(call(module, params, PixelLatents.encode, x))
    assert latents.shape == (3, 4, *module.shape)
    np.testing.assert_allclose(np.mean(latents, (0, 1)), np.zeros(module.shape), atol=1e-5)
    assert float(np.std(latents)) == pytest.approx(0.5, rel=1e-4)
    video, bright = (
        np.asarray(call(module, params, PixelLatents.decode, x)) for x in (latents, 9.0 * latents)
    )
    assert np.abs(video - x).max() < 1 / 255
    assert np.abs(bright).max() <= 1.0


def test_mean_and_scale_are_not_trained():
    module = PixelLatents(4, SIZE)
    params = jax.jit(PixelLatents.measure)(VIDEO)

    def f(params):
        video = to_float(jnp.asarray(VIDEO))
        latents = module.apply({"params": params}, video, method=module.encode)
        video = module.apply({"params": params}, 0.5 * latents, method=module.decode)
        return jnp.sum(latents**2) + jnp.sum(video**2)

    for gradient in jax.tree.leaves(jax.jit(jax.grad(f))(params)):
        assert not gradient.any()
