"""Digits that move and bounce, as a folder of clips."""

import importlib
from fractions import Fraction

import numpy as np
import pytest
from tiny import ROOT

from vdd import own_data
from vdd.data import video_io


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    return importlib.import_module("moving_digits")


@pytest.mark.experiment
def test_clips_of_digits_are_what_the_command_takes(script, tmp_path):
    assert script.main(["--out", str(tmp_path), "--tiny"]) == 0
    found = own_data.look(tmp_path)
    assert found[:3] == ("clips", 6, 6)
    assert (found.height, found.width, found.fps) == (64, 64, Fraction(25, 2))
    assert found.lengths == (32,) * 6
    first, second = (video_io.read_clip(tmp_path / f"000{i}.gif") for i in range(2))
    assert (first[0] != first[-1]).any()
    assert (first != second).any()


def test_a_digit_goes_straight_and_stays_inside(script):
    for seed in range(20):
        way = script.path(np.random.default_rng(seed))
        assert way.min() >= 0
        assert way.max() <= script.SIDE - script.DIGIT
        steps = np.abs(np.diff(way, axis=0))
        assert steps.max() <= 5, "four pixels a frame, rounded"
        usual = np.median(steps, axis=0)
        even = np.abs(steps - usual) <= 1
        assert even.mean() > 0.7, "otherwise only at the edges"
