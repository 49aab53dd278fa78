"""What augmentations do to a clip."""

import numpy as np
import pytest

from vdd.data import augment

SEEDS = [(0, step, row) for step in range(3) for row in range(8)]


def ramp():
    """Three frames; red grows downwards, green to the right, blue is the frame's number."""
    rows, columns = np.meshgrid(np.arange(32) * 8, np.arange(32) * 8, indexing="ij")
    frames = [np.stack([rows, columns, np.full_like(rows, 50 * i)], -1) for i in range(3)]
    return np.stack(frames).astype(np.uint8)


@pytest.fixture(scope="module")
def views():
    return [augment.view(ramp(), seed) for seed in SEEDS]


def test_a_view_is_that_of_its_seed_and_of_one_shape(views):
    assert all(view.shape == (3, 32, 32, 3) and view.dtype == np.uint8 for view in views)
    np.testing.assert_array_equal(views[0], augment.view(ramp(), SEEDS[0]))
    assert len({view.tobytes() for view in views}) == len(SEEDS)


def test_all_frames_of_a_clip_are_seen_alike(views):
    for view in views:
        np.testing.assert_array_equal(view[0, ..., :2], view[2, ..., :2])
        assert view[2, ..., 2].min() > view[1, ..., 2].max() > view[0, ..., 2].max()


def test_a_view_is_a_window_and_about_half_are_mirrored(views):
    mirrored = 0
    for view in views:
        rows, columns = view[0, :, 16, 0].astype(int), view[0, 16, :, 1].astype(int)
        assert (np.diff(rows) >= 0).all()  # never upside down
        mirrored += columns[-1] < columns[0]
        assert (np.diff(columns) <= 0).all() or (np.diff(columns) >= 0).all()
    assert 0.2 < mirrored / len(views) < 0.8


def test_a_window_has_at_least_two_thirds_of_each_side():
    rng_seed, black = SEEDS[0], np.zeros((1, 40, 40, 3), np.uint8)
    for centre in (
        0,
        39,
    ):  # a bright edge is outside the window, or as wide as it was at most x 1.5
        clip = black.copy()
        clip[:, :, centre] = 255
        bright = (augment.view(clip, rng_seed)[0, 20, :, 0] > 100).sum()
        assert bright <= 2
    middle = black.copy()
    middle[:, 8:32, 8:32] = 255
    for seed in SEEDS:
        seen = augment.view(middle, seed)[0, :, :, 0] > 100
        assert 24 <= seen.any(axis=1).sum() <= 24 / 0.68 + 1
        assert 24 <= seen.any(axis=0).sum() <= 24 / 0.68 + 1
