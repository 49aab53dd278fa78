"""Between pixels of eight bits and floats in [-1, 1]."""

import jax
import numpy as np
import pytest

from vdd import pixels

# In one program each: without, every operation would be compiled alone.
to_float, to_uint8 = jax.jit(pixels.to_float), jax.jit(pixels.to_uint8)


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


@pytest.mark.parametrize("channels", [3, 4])
def test_numpy_and_jax_agree_and_each_gives_its_own_kind(channels):
    video = np.random.default_rng(0).integers(0, 256, (2, 16, 16, channels), np.uint8)
    floats = pixels.to_float(video)
    assert isinstance(floats, np.ndarray)
    assert floats.dtype == np.float32
    np.testing.assert_allclose(to_float(video), floats, atol=1e-6)
    back = pixels.to_uint8(floats)
    assert isinstance(back, np.ndarray)
    assert isinstance(to_uint8(floats), jax.Array)
    np.testing.assert_array_equal(to_uint8(floats), back)


def test_what_lies_outside_is_clipped_and_pixels_stay_pixels():
    np.testing.assert_array_equal(pixels.to_uint8(np.array([-3.0, 3.0])), [0, 255])
    video = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert pixels.to_uint8(video) is video
