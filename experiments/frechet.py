"""The Fréchet distance of paired samples, with its standard error."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from vdd.evaluation.metrics import frechet_distance


class Estimate(NamedTuple):
    """A figure and its standard error."""

    value: float
    error: float


def frechet_estimate(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n d"], seed: int = 0, resamples: int = 50
) -> Estimate:
    """The Fréchet distance without its bias, and its standard error, both by the bootstrap.

    Row i of `x` and row i of `y` belong together (a sample and its truth) and are drawn together.
    The bias of n rows is estimated by what drawing them again adds (Efron and Tibshirani 1993,
    chapters 6 and 10). Without that correction the error bars miss the distance: with dozens of
    features the bias is many times their length. The value may fall below 0 by about its error.

    Args:
      x: features of n clips.
      y: features of n clips.
      seed: of the bootstrap samples.
      resamples: how many bootstrap samples are drawn.

    Raises:
      ValueError: the lengths differ, or there are fewer than two rows.
    """
    if len(x) != len(y):
        raise ValueError(f"rows are drawn in pairs, and there are {len(x)} and {len(y)}")
    rows = np.random.default_rng(seed).integers(len(x), size=(resamples, len(x)))
    again = np.array([frechet_distance(x[some], y[some]) for some in rows])
    value = 2 * frechet_distance(x, y) - again.mean()
    return Estimate(float(value), float(again.std(ddof=1)))
