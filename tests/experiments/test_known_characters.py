"""What is reached without a model, on made-up characters."""

import importlib
import itertools

import numpy as np
import pytest
from tiny import ROOT


@pytest.fixture
def world(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tests/evaluation")
    return importlib.import_module("lpc_world")


@pytest.fixture
def baselines(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    return importlib.import_module("known_characters")


@pytest.fixture
def known(world):
    return np.stack([world.KNOWN, world.BEARDED, world.NEW, world.NEW_BEARD])


@pytest.fixture
def asked(world, known):
    """Characters beside the known ones, and their cells."""
    clips = world.clips_of([*known, *known], frames=7)
    parts = clips.parts.copy()
    parts[4:, world.AT["legs"]] += 1
    return parts, clips.cell


def test_the_same_frame_whatever_is_asked(baselines, world, asked):
    parts, cells = asked
    grey = list(baselines.grey(world.SIZE)(parts, cells))
    assert len(grey) == len(cells)
    assert all(video.shape == (7, 16, 16, 3) and (video == 96).all() for video in grey)
    frames = np.stack([np.full((2, 2, 3), level, np.uint8) for level in (1, 2, 6)])
    assert all((video == 3).all() for video in baselines.mean_of(frames)(parts, cells))


def test_the_nearest_is_who_has_the_least_error_in_the_exact_cells(baselines, world, known, asked):
    parts, cells = asked
    videos = baselines.nearest_known(world.draw, known)(parts, cells)
    for video, character, clip in zip(videos, parts, cells, strict=True):
        truth = world.draw(character, clip).astype(int)
        drawn = [world.draw(one, clip) for one in known]
        errors = [np.square(one - truth).sum() for one in drawn]
        np.testing.assert_array_equal(video, drawn[int(np.argmin(errors))])


def test_who_is_known_is_found(baselines, world, known, asked):
    parts, cells = asked
    videos = list(baselines.nearest_known(world.draw, known)(parts[:4], cells[:4]))
    np.testing.assert_array_equal(videos, [world.draw(*one) for one in zip(parts[:4], cells)])


def test_any_known_one_is_in_the_exact_cells_and_the_same_again(baselines, world, known, asked):
    parts, cells = asked
    answers = (baselines.random_known(world.draw, known, seed) for seed in (0, 0, 1))
    first, again, other = (np.stack(list(answer(parts, cells))) for answer in answers)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    for video, clip in zip(first, cells):
        np.testing.assert_array_equal(world.read(video)[1], clip)


def test_known_characters_are_of_the_train_split_and_different(baselines, world):
    drawn = baselines.draw_known(world.WARDROBE, seed=0, count=12)
    held = [
        world.WARDROBE.parts[slot][number].held_out
        for character in drawn
        for slot, number in zip(world.AT, character)
        if number >= 0
    ]
    assert not any(held)
    pairs = itertools.combinations(drawn, 2)
    assert np.mean([np.array_equal(*pair) for pair in pairs]) < 0.2
