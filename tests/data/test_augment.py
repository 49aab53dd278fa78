"""Augmentations: stateless, and true to motion and attributes."""

import numpy as np
import pytest

from vdd.data import augment

AUGMENTATIONS = (augment.shift, augment.brightness, augment.phase)


@pytest.fixture
def video() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)


@pytest.mark.parametrize("function", AUGMENTATIONS)
def test_the_seed_alone_decides(function: augment.Augment, video):
    before = video.copy()
    results = [function(video, (0, step, 5)) for step in range(20)]
    np.testing.assert_array_equal(video, before)
    assert all(result.dtype == np.uint8 and result.shape == video.shape for result in results)
    np.testing.assert_array_equal(function(video, (0, 3, 5)), results[3])
    assert len({result.tobytes() for result in results}) > 4


def test_shift_moves_all_frames_alike(video):
    """Of a picture with one bright pixel, that pixel goes to the same place in every frame."""
    video[:] = 0
    video[:, 8, 8] = 255
    places = set()
    for step in range(200):
        lit = np.argwhere(augment.shift(video, (0, step), max_pixels=2)[..., 0])
        assert len(np.unique(lit[:, 1:], axis=0)) == 1
        assert lit[:, 0].tolist() == list(range(8))
        places.add(tuple(lit[0, 1:]))
    assert places == {(8 + down, 8 + right) for down in range(-2, 3) for right in range(-2, 3)}


def test_brightness_scales_all_pixels_alike(video):
    video = video // 2  # nothing is clipped
    bright = augment.brightness(video, (0, 1)).astype(float)
    factor = bright.sum() / video.sum()
    assert 0.8 <= factor <= 1.2
    assert np.abs(bright - factor * video).max() < 0.6


def test_brightness_clips(video):
    video[:] = 250
    values = {int(augment.brightness(video, (0, step)).max()) for step in range(20)}
    assert max(values) == 255


def test_phase_goes_round(video):
    starts = set()
    for step in range(100):
        rolled = augment.phase(video, (0, step))
        matches = [k for k in range(8) if np.array_equal(rolled, np.roll(video, -k, axis=0))]
        starts.update(matches)
    assert starts == set(range(8))
