"""Frequencies from real numbers, the same on every machine: by decimal arithmetic, never libm.

`decimal` is specified to the last digit, its exponential too. Parameters enter exactly, results are
rounded down to whole numbers. Used for the few tables that are made once for a model.
"""

import decimal
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from jaxtyping import Float, Int

from vdd.codec.range_coder import to_frequencies
from vdd.errors import UserError

_CONTEXT = decimal.Context(prec=40, Emax=999999, Emin=-999999, rounding=decimal.ROUND_HALF_EVEN)
_UNIT = Decimal(1 << 30)
_LARGEST_LOG, _FARTHEST = Decimal(64), Decimal(10_000)


def exponentials(step: Decimal, count: int, unit: int) -> Int[np.ndarray, "count"]:
    """floor(unit * exp(-i * step) + 1/2) for i from 0 to count - 1."""
    with decimal.localcontext(_CONTEXT):
        values = [int(unit * (-i * step).exp() + Decimal("0.5")) for i in range(count)]
    return np.array(values, np.int64)


def gaussian(step: Decimal, reach: int) -> Int[np.ndarray, "k"]:
    """Frequencies of the whole numbers from -reach to reach, of which each counts `step`.

    In proportion to the density of a standard normal distribution at number * step.
    """
    with decimal.localcontext(_CONTEXT):
        weights = [(-((step * i) ** 2) / 2).exp() for i in range(-reach, reach + 1)]
    return _frequencies(weights)


def laplace(rate: Decimal, reach: int) -> Int[np.ndarray, "k"]:
    """Frequencies of the whole numbers from -reach to reach under a Laplace distribution.

    In proportion to its mass within 1/2 of each. `rate` is 1 over its mean magnitude.
    """
    with decimal.localcontext(_CONTEXT):
        half = (-rate / 2).exp()
        tail = [(1 / half - half) / 2 * (-rate * i).exp() for i in range(1, reach + 1)]
        weights = [*reversed(tail), 1 - half, *tail]
    return _frequencies(weights)


def logistic_mixture(
    mean: Float[np.ndarray, "m"],
    unit_log: Float[np.ndarray, "m"],
    logit: Float[np.ndarray, "m"],
    reach: int,
) -> Int[np.ndarray, "k"]:
    """Frequencies of the whole numbers from -reach to reach under a mixture of logistics.

    Args:
        mean: of each logistic distribution.
        unit_log: logarithm of how many of its scales make up 1.
        logit: of its fraction in the mixture.
        reach: of the numbers.

    Logarithms are cut to [-64, 64], and edges, in scales, to [-10000, 10000]: so no mass is 0, and
    none leaves the range of the arithmetic, whatever a training made of the parameters.

    Raises:
        UserError: a parameter is not a finite number.
    """
    if not all(np.isfinite(x).all() for x in (mean, unit_log, logit)):
        raise UserError("the content code's prior is not of finite numbers: its training diverged")
    with decimal.localcontext(_CONTEXT):
        shares, units = (
            [_cut(Decimal(float(x)), _LARGEST_LOG).exp() for x in logs]
            for logs in (logit, unit_log)
        )
        middles = [Decimal(float(x)) for x in mean]
        half, weights = Decimal("0.5"), []
        for number in range(-reach, reach + 1):
            weight = Decimal(0)
            for share, unit, middle in zip(shares, units, middles):
                low, high = (number - half - middle) * unit, (number + half - middle) * unit
                weight += share * _mass(low, high, unit)
            weights.append(weight)
    return _frequencies(weights)


def _mass(low: Decimal, high: Decimal, unit: Decimal) -> Decimal:
    """Of the logistic distribution between two places `unit` apart.

    sigmoid(high) - sigmoid(low), without the difference of what is nearly 1.
    """
    return _sigmoid(high) * _sigmoid(-low) * (1 - _cut(-unit, _FARTHEST).exp())


def _sigmoid(x: Decimal) -> Decimal:
    return 1 / (1 + _cut(-x, _FARTHEST).exp())


def _cut(x: Decimal, bound: Decimal) -> Decimal:
    return max(-bound, min(bound, x))


def _frequencies(weights: Sequence[Decimal]) -> Int[np.ndarray, "k"]:
    with decimal.localcontext(_CONTEXT):
        heaviest = max(weights)
        return to_frequencies(np.array([int(w / heaviest * _UNIT) for w in weights]))
