"""`experiments/made_up_faces.py`: samples that are alike and samples that are not."""

import importlib

import numpy as np
import pytest
from tiny import ROOT

from vdd.evaluation.faces import Faces, Observed

pytestmark = pytest.mark.experiment


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    return importlib.import_module("made_up_faces")


def test_two_samples_of_one_distribution_cannot_be_told_apart(script):
    rng = np.random.default_rng(0)
    p = [script.two_samples(*rng.normal(size=(2, 20, 3)), seed=i)["p"] for i in range(12)]
    assert 0.2 < np.mean(p) < 0.8
    assert min(p) > 0.005


def test_two_samples_that_differ_in_spread_alone_are_told_apart(script):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), 3 * rng.normal(size=(40, 3))
    found = script.two_samples(x, y, seed=0)
    assert found["p"] < 0.01
    assert found["MMD^2"] > 0.0


def test_distance_of_distributions_is_that_of_their_steps(script):
    x = np.arange(10.0)
    assert script.kolmogorov_smirnov(x, x) == 0.0
    assert script.kolmogorov_smirnov(x, x + 5) == pytest.approx(0.5)
    assert script.kolmogorov_smirnov(x, x + 100) == 1.0


def test_speed_and_range_are_those_of_the_tracks(script):
    steady = np.arange(8.0)[:, None] * np.array([0.1, 0, 0, 0, 0, 0.2])[None]
    rows = script.speeds([steady], [2 * steady])
    assert rows["mouth open"].startswith("0.1000, KS 1.00")
    assert rows["eyes open"] == "0.0000, KS 0.00"
    assert script.ranges([steady, steady])["place down"] == pytest.approx(0.2 * np.arange(8).std())
    face = np.random.default_rng(0).normal(size=(68, 2))

    def observe(video):
        landmarks = np.where(video.max(axis=(1, 2, 3))[:, None, None] > 0, face[None], np.nan)
        return Observed(landmarks, None)

    video = np.full((4, 8, 8, 3), 255, np.uint8)
    video[0] = 0
    assert len(script.tracks(Faces(observe, {}), video)) == 3
    video[1:3] = 0
    assert script.tracks(Faces(observe, {}), video) is None
