"""Network layers in whole numbers: the same bits from any machine, library, batch or order of sums.

A number x is held as the whole number round(x * 2^16), in float64 so that products go through BLAS.
Sums of products stay under 2^53 in magnitude, by clipping what goes in; so every partial sum is
exact, and its order, or a fused multiply-add, changes nothing. Beside that there are only
operations that IEEE 754 rounds correctly (+ - * / sqrt, rounding to whole numbers), and tables made
by decimal arithmetic in place of exp.
"""

import functools
import math
from decimal import Decimal

import numpy as np
from einops import rearrange
from jaxtyping import Float, Int

from vdd.codec import tables

BITS = 16
ONE = 1 << BITS
_EXACT = 1 << 53  # whole numbers under this are exact in float64
_LOW_BITS = 10
_FARTHEST = 32 * ONE - 1  # exp(-32) is 0 in units of 2^-30
_EXPONENT = 30


def to_fixed(x: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """The whole numbers nearest to x * 2^16; x beyond 2^20 is cut to it."""
    return np.clip(np.rint(np.asarray(x, np.float64) * ONE), -(ONE << 20), ONE << 20)


class Linear:
    """x @ kernel, without a bias."""

    def __init__(self, kernel: Float[np.ndarray, "i o"]):
        """Weights are rounded to multiples of 2^-16."""
        self._kernel = to_fixed(kernel)
        heaviest = np.sum(np.abs(self._kernel), axis=0).max(initial=1.0)
        self._limit = math.floor((_EXACT - 1) / heaviest)

    def __call__(self, x: Float[np.ndarray, "b i"]) -> Float[np.ndarray, "b o"]:
        """Exact but for the last rounding."""
        return np.rint(np.clip(x, -self._limit, self._limit) @ self._kernel / ONE)


class RMSNorm:
    """x / sqrt(mean(x^2) + 1e-6) * scale."""

    def __init__(self, scale: Float[np.ndarray, "d"]):
        """Scales are rounded to multiples of 2^-16."""
        self._scale = to_fixed(scale)[None]
        self._limit = math.isqrt((1 << 62) // len(scale))

    def __call__(self, x: Float[np.ndarray, "b d"]) -> Float[np.ndarray, "b d"]:
        """The squares are summed as integers, exactly."""
        whole = np.clip(x, -self._limit, self._limit).astype(np.int64)
        squares = np.sum(whole * whole, axis=-1, keepdims=True).astype(np.float64)
        root = np.sqrt(squares / x.shape[-1] + 1e-6 * ONE * ONE)
        return np.rint(whole / root * self._scale)


def attend(
    query: Float[np.ndarray, "b h e"],
    keys: Float[np.ndarray, "b s h e"],
    values: Float[np.ndarray, "b s h e"],
    bias: Float[np.ndarray, "s h"],
) -> Float[np.ndarray, "b h e"]:
    """Attention of one token to those seen, itself included; keys and values are clipped already.

    Weights are exponentials in units of 2^-20.
    """
    # [b h 1 e] @ [b h e s], and [b h 1 s] @ [b h s e] below.
    products = query[:, :, None] @ rearrange(keys, "b s h e -> b h e s")
    logits = np.rint(products[:, :, 0] / ONE) + bias.T[None]
    weights = (exponentials(logits) >> 10).astype(np.float64)
    mixed = (weights[:, :, None] @ rearrange(values, "b s h e -> b h s e"))[:, :, 0]
    return np.rint(mixed / np.sum(weights, axis=-1, keepdims=True))


def clip_query(x: Float[np.ndarray, "*b e"]) -> Float[np.ndarray, "*b e"]:
    """Queries and keys so bounded that their products sum exactly."""
    limit = math.isqrt(_EXACT // x.shape[-1]) - 1
    return np.clip(x, -limit, limit)


def clip_value(x: Float[np.ndarray, "*b e"], places: int) -> Float[np.ndarray, "*b e"]:
    """Values so bounded that a sum over `places` of them, by `attend`'s weights, is exact."""
    limit = _EXACT // (places << 20) - 1
    return np.clip(x, -limit, limit)


def exponentials(logits: Float[np.ndarray, "*b k"]) -> Int[np.ndarray, "*b k"]:
    """exp(logit - the greatest of its row) in units of 2^-30, rounded down."""
    distance = np.max(logits, axis=-1, keepdims=True) - logits
    steps = np.minimum(distance, _FARTHEST).astype(np.int64)
    high, low = _exponential_tables()
    return (high[steps >> _LOW_BITS] * low[steps & ((1 << _LOW_BITS) - 1)]) >> _EXPONENT


@functools.cache
def _exponential_tables() -> tuple[Int[np.ndarray, "i"], Int[np.ndarray, "j"]]:
    """exp(-i 2^-6) and exp(-j 2^-16), in units of 2^-30."""
    fine = Decimal(1) / ONE
    count = (_FARTHEST >> _LOW_BITS) + 1
    return (
        tables.exponentials(fine * (1 << _LOW_BITS), count, 1 << _EXPONENT),
        tables.exponentials(fine, 1 << _LOW_BITS, 1 << _EXPONENT),
    )
