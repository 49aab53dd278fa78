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
    clip = np.zeros((1, 40, 40, 3), np.uint8)
    clip[:, 8:32, 8:32] = 255
    for seed in SEEDS:
        seen = augment.view(clip, seed)[0, :, :, 0] > 100
        assert 24 <= seen.any(axis=1).sum() <= 24 / 0.68 + 1
        assert 24 <= seen.any(axis=0).sum() <= 24 / 0.68 + 1


def test_colours_change_in_order_and_each_by_itself():
    levels = np.arange(0, 250, 10)
    curves = []
    for seed in SEEDS:
        seen = [augment.view(np.full((1, 8, 8, 3), x, np.uint8), seed)[0, 0, 0] for x in levels]
        curves.append(np.stack(seen).astype(int))
    for curve in curves:
        assert (np.diff(curve, axis=0) >= 0).all()
        assert (curve[:, 0] != curve[:, 1]).any()
    middle = np.array([curve[12] for curve in curves])
    assert 60 < middle.min() < 120 < middle.max() < 200
