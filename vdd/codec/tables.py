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

_CONTEXT = decimal.Context(prec=40, Emax=999999, Emin=-999999, rounding=decimal.ROUND_HALF_EVEN)
_UNIT = Decimal(1 << 30)


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
        logit: of its share in the mixture.
        reach: of the numbers.
    """
    with decimal.localcontext(_CONTEXT):
        shares = [Decimal(float(x)).exp() for x in logit]
        units = [Decimal(float(x)).exp() for x in unit_log]
        middles = [Decimal(float(x)) for x in mean]
        half, weights = Decimal("0.5"), []
        for number in range(-reach, reach + 1):
            weight = Decimal(0)
            for share, unit, middle in zip(shares, units, middles):
                upper = _sigmoid((number + half - middle) * unit)
                weight += share * (upper - _sigmoid((number - half - middle) * unit))
            weights.append(weight)
    return _frequencies(weights)


def _sigmoid(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp())


def _frequencies(weights: Sequence[Decimal]) -> Int[np.ndarray, "k"]:
    with decimal.localcontext(_CONTEXT):
        heaviest = max(weights)
        return to_frequencies(np.array([int(w / heaviest * _UNIT) for w in weights]))
