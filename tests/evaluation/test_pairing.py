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
    partner = pair_within(clip, seed)
    alone = clip == 1
    assert (partner[alone] == -1).all()
    others = partner[~alone]
    np.testing.assert_array_equal(clip[others], clip[~alone])
    assert (others != np.flatnonzero(~alone)).all()
    np.testing.assert_array_equal(np.sort(others), np.flatnonzero(~alone))


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
    for pair in (pair_within, pair_across):
        np.testing.assert_array_equal(pair(identity, 3), pair(identity, 3))
        assert (pair(identity, 3) != pair(identity, 4)).any()
