"""Pairs of the swap protocol."""

import numpy as np
import pytest

from vdd.data.sprites.benchmark import split_labels
from vdd.evaluation.pairing import matching_rows, pair_across, pair_clips, pair_within


@pytest.mark.parametrize("seed", [0, 1])
def test_every_clip_of_the_benchmark_is_content_once_and_motion_once(seed):
    motion, attributes = split_labels("test")
    partner = pair_clips(motion, attributes, seed)
    assert len(partner) == 2664
    np.testing.assert_array_equal(np.sort(partner), np.arange(len(motion)))
    assert (motion != motion[partner]).all()
    assert (attributes != attributes[partner]).any(-1).all()


def test_pairs_depend_on_the_seed_alone():
    labels = split_labels("test")
    np.testing.assert_array_equal(pair_clips(*labels, 3), pair_clips(*labels, 3))
    assert (pair_clips(*labels, 3) != pair_clips(*labels, 4)).any()


def test_pairs_of_few_clips():
    motion = np.array([0, 1, 0, 1])
    attributes = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]])
    np.testing.assert_array_equal(pair_clips(motion, attributes, 0), [3, 2, 1, 0])


def test_clips_of_one_motion_cannot_be_paired():
    with pytest.raises(ValueError, match="no pairing"):
        pair_clips(np.zeros(6, int), np.arange(24).reshape(6, 4), 0)


def test_the_clip_that_a_swap_ought_to_give():
    motion, attributes = split_labels("test")
    partner = pair_clips(motion, attributes, 0)
    content = np.arange(len(motion))
    rows = matching_rows(motion, attributes, content, partner)
    np.testing.assert_array_equal(motion[rows], motion[partner])
    np.testing.assert_array_equal(attributes[rows], attributes)
    few = matching_rows(motion[:1], attributes[:1], np.array([0]), np.array([0]))
    assert few == [0]


def test_a_swap_whose_clip_is_not_at_hand():
    motion, attributes = np.array([0, 1]), np.array([[0, 0, 0, 0], [1, 0, 0, 0]])
    assert matching_rows(motion, attributes, np.array([0]), np.array([1])) == [-1]


def shuffled(sizes: list[int]) -> np.ndarray:
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))


@pytest.mark.parametrize("seed", [0, 1])
def test_windows_are_paired_with_others_of_their_clip(seed):
    clip = shuffled([5, 1, 2, 3])
    start = np.arange(len(clip), dtype=np.float32)
    partner = pair_within(clip, start, start + 1, seed)
    alone = clip == 1
    assert (partner[alone] == -1).all()
    others = partner[~alone]
    np.testing.assert_array_equal(clip[others], clip[~alone])
    assert (others != np.flatnonzero(~alone)).all()
    np.testing.assert_array_equal(np.sort(others), np.flatnonzero(~alone))


def windows(length: int, frames: int, stride: int, spacings: list[int]) -> np.ndarray:
    """First tick and the one after the last of a clip's windows, as `resampling.cut` makes them."""
    spans = [
        (start, start + frames * every)
        for every in spacings
        for start in range(0, length - (frames - 1) * every, stride)
    ]
    return np.array(spans).T


def times(*clips: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clip, start and end of all windows, in seconds of 12.5 frames, as they are stored."""
    spans = np.concatenate(clips, axis=1)
    start, end = (spans / 12.5).astype(np.float32)
    return np.repeat(np.arange(len(clips)), [clip.shape[1] for clip in clips]), start, end


@pytest.mark.parametrize("seed", range(5))
def test_windows_of_one_pair_share_no_frame(seed):
    clip, start, end = times(windows(70, 20, 10, [1, 2, 3]), windows(45, 20, 10, [1, 2]))
    partner = pair_within(clip, start, end, seed)
    paired = np.flatnonzero(partner >= 0)
    other = partner[paired]
    np.testing.assert_array_equal(clip[other], clip[paired])
    apart = (end[other] < start[paired] + 0.01) | (end[paired] < start[other] + 0.01)
    assert apart.all()
    assert len(set(other.tolist())) == len(other)
    # Of 45 frames the windows of neighbours from 0 and from 20 are the only ones without overlap.
    assert set(paired[clip[paired] == 1].tolist()) == set(np.flatnonzero(clip == 1)[[0, 2]])


def test_as_many_windows_are_paired_as_there_can_be():
    clip, start, end = times(windows(100, 20, 10, [1]))
    for seed in range(10):
        assert (pair_within(clip, start, end, seed) >= 0).all()


def test_a_clip_whose_windows_all_share_frames_is_left_out():
    clip, start, end = times(windows(35, 20, 10, [1]), windows(40, 20, 20, [1]))
    np.testing.assert_array_equal(pair_within(clip, start, end, 0), [-1, -1, 3, 2])


@pytest.mark.parametrize("sizes", [[1, 1], [5, 1, 2, 3], [6, 3, 3], [2] * 7, [4, 4, 4, 1]])
def test_windows_are_paired_with_somebody_else_each_once(sizes):
    identity = shuffled(sizes)
    partner = pair_across(identity, 0)
    assert (identity[partner] != identity).all()
    np.testing.assert_array_equal(np.sort(partner), np.arange(len(identity)))


def test_windows_of_nearly_one_person_are_paired_all_the_same():
    identity = shuffled([9, 2, 1])
    partner = pair_across(identity, 0)
    assert (identity[partner] != identity).all()
    assert set(np.flatnonzero(identity)) <= set(partner.tolist())
    assert (pair_across(np.zeros(4, int), 0) == -1).all()


def test_pairs_of_windows_depend_on_the_seed():
    identity = shuffled([5] * 6)
    start = np.arange(30.0)

    def within(group, seed):
        return pair_within(group, start, start + 1, seed)

    for pair in (within, pair_across):
        np.testing.assert_array_equal(pair(identity, 3), pair(identity, 3))
        assert (pair(identity, 3) != pair(identity, 4)).any()
