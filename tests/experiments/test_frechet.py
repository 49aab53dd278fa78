"""The Fréchet distance of pairs: its bias and its error bars."""

import importlib
import math

import numpy as np
import pytest
from tiny import ROOT

from vdd.evaluation import metrics


@pytest.fixture
def frechet(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    return importlib.import_module("frechet")


def pairs(seed: int, shift: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Features of clips, and of samples of them that lie shifted and a little elsewhere."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(200, 16))
    return x, 0.8 * x + 0.3 * rng.normal(size=x.shape) + shift


def test_bars_of_the_frechet_estimate_cover_the_distance_and_its_bias_is_gone(frechet):
    expected = 16 * (0.1**2 + (1 - math.sqrt(0.8**2 + 0.3**2)) ** 2)
    sets = [pairs(i) for i in range(60)]
    found = [frechet.frechet_estimate(*both, resamples=25) for both in sets]
    values, errors = np.array(found).T
    plain = np.array([metrics.frechet_distance(*both) for both in sets])
    assert np.mean(np.abs(values - expected) < 2 * errors) >= 0.85
    assert np.mean(np.abs(plain - expected) < 2 * errors) < 0.5
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.25)
    assert abs(values.mean() - expected) < abs(plain.mean() - expected) / 4


def test_frechet_estimate_draws_pairs_and_the_same_for_a_seed(frechet):
    x, y = pairs(0)
    assert frechet.frechet_estimate(x, x) == pytest.approx((0, 0), abs=1e-9)
    assert frechet.frechet_estimate(x, y, 3) == frechet.frechet_estimate(x, y, 3)
    assert frechet.frechet_estimate(x, y, 3) != frechet.frechet_estimate(x, y, 4)
    # Rows of others tell nothing of each other, and the estimate is less certain.
    assert frechet.frechet_estimate(x, y[::-1]).error > 1.5 * frechet.frechet_estimate(x, y).error
    with pytest.raises(ValueError, match="rows are drawn in pairs"):
        frechet.frechet_estimate(x, y[:-1])
