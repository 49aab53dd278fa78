import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import SIZE, call, normal, random_video

from vdd import pixels
from vdd.models.latents import PixelLatents
from vdd.models.unet import depth_to_space, space_to_depth

VIDEO = random_video(3, 4)

# In one program: without, every operation would be compiled alone.
to_float = jax.jit(pixels.to_float)


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
