"""Content in a basis: whole numbers, channel by channel, of steps that the clip itself asks for.

A number is worth telling about as finely as the model's own noise leaves it. With steps of sqrt(12)
standard deviations rounding is as loud as that noise; `LOUDNESS` is what was found to be worth its
bits (experiments/content_steps.py). What the numbers of a channel scatter by is told too, as one of
a few tables; the one that costs least is taken.
"""

import functools
import math
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from einops import rearrange
from jaxtyping import Float, Int

from vdd.codec import tables
from vdd.codec.entropy_model import Adaptive, State
from vdd.codec.range_coder import PRECISION, Code, RangeDecoder, RangeEncoder
from vdd.errors import UserError

BASIS = 2  # the header's kind
LOUDNESS = 1.5 * math.sqrt(12.0)  # of a step, in standard deviations of the noise
NUM_STEPS = 64  # from 2^-10 on, four to an octave
NUM_SCALES = 22  # from 128 down to 1/12, two to an octave; 0 says that all numbers are zero
REACH = 255  # numbers lie between -REACH and REACH


class Measured(NamedTuple):
    """What a model says of a clip, before it is rounded."""

    mean: Float[np.ndarray, "p d"]
    std: Float[np.ndarray, "p d"]
    pose: Int[np.ndarray, "n"]  # codes of the reference's motion


class Parts(NamedTuple):
    """The whole numbers of a content: `BasisContent.decode` gives them in this order."""

    steps: Int[np.ndarray, "d"]  # which step each channel has; 0 where all numbers are zero
    pose: Int[np.ndarray, "n"]
    numbers: Int[np.ndarray, "d p"]


class BasisContent(NamedTuple):
    """How content of so many places and channels is coded, and the pose of its reference."""

    places: int
    channels: int
    num_groups: int
    num_codes: int
    kind: int = BASIS
    step_bits: int = 0

    def quantize(self, values: Measured, loudness: float = LOUDNESS) -> Int[np.ndarray, "q"]:
        """Whole numbers of a clip, in steps of `loudness` standard deviations.

        Raises:
            UserError: the model's numbers are not finite.
        """
        mean = np.asarray(values.mean, np.float64).T
        if not (np.isfinite(mean).all() and np.isfinite(values.std).all()):
            raise UserError("the content is not of finite numbers: the model's training diverged")
        std = np.sqrt(np.mean(np.square(values.std, dtype=np.float64), axis=0))
        # Numbers beyond the reach ask for a larger step than the noise does.
        least = np.abs(mean).max(axis=1) / REACH
        wanted = np.rint(4.0 * (np.log2(loudness * std) + 10.0))
        needed = np.ceil(4.0 * (np.log2(np.maximum(least, 1e-9)) + 10.0))
        steps = np.clip(np.maximum(wanted, needed), 0, NUM_STEPS - 1).astype(np.int64)
        numbers = np.rint(mean / sizes(steps)[:, None])
        numbers = np.clip(numbers, -REACH, REACH).astype(np.int64)
        return np.concatenate(
            [np.where(numbers.any(axis=1), steps, 0), values.pose, numbers.reshape(-1)]
        )

    def split(self, numbers: Int[np.ndarray, "q"]) -> Parts:
        """Their parts."""
        ends = np.cumsum([self.channels, self.num_groups])
        steps, pose, rest = np.split(np.asarray(numbers, np.int64), ends)
        return Parts(steps, pose, rearrange(rest, "(c p) -> c p", c=self.channels))

    def mean(self, numbers: Int[np.ndarray, "q"]) -> Float[np.ndarray, "p d"]:
        """What the numbers stand for in the basis: the middles of their steps."""
        parts = self.split(numbers)
        return (parts.numbers * sizes(parts.steps)[:, None]).T.astype(np.float32)

    def encode(self, numbers: Int[np.ndarray, "q"]) -> Code:
        """The numbers as bytes."""
        steps, pose, rows = self.split(numbers)
        scales = np.array([_cheapest(row) for row in rows])
        encoder = RangeEncoder()
        for symbols, count in ((scales, NUM_SCALES + 1), (steps[scales > 0], NUM_STEPS)):
            counts = _counted(count)
            for symbol in symbols[:, None]:
                encoder.encode_all(symbol, counts.frequencies()[0])
                counts.push(symbol)
        encoder.encode_all(pose, _counted(self.num_codes).frequencies()[0])
        for scale, row in zip(scales, rows):
            if scale:
                encoder.encode_all(row + REACH, scale_tables()[scale - 1])
        return encoder.finish()

    def decode(self, data: bytes) -> Int[np.ndarray, "q"]:
        """The numbers of a content.

        Raises:
            UserError: no encoder writes such data.
        """
        most = self.channels * (2 + self.places) + self.num_groups
        try:
            return self._decode(RangeDecoder(data, most))
        except UserError as error:
            raise UserError("the content is damaged") from error

    def _decode(self, decoder: RangeDecoder) -> Int[np.ndarray, "q"]:
        scales = _decode_counted(decoder, self.channels, NUM_SCALES + 1)
        steps, told = np.zeros(self.channels, np.int64), scales > 0
        steps[told] = _decode_counted(decoder, int(told.sum()), NUM_STEPS)
        pose = decoder.decode_all(_counted(self.num_codes).frequencies()[0], self.num_groups)
        rows = np.zeros((self.channels, self.places), np.int64)
        for row, scale in zip(rows, scales):
            if scale:
                row[:] = decoder.decode_all(scale_tables()[scale - 1], self.places) - REACH
        return np.concatenate([steps, pose, rows.reshape(-1)])


def _counted(size: int) -> State:
    """What has come by so far is likelier to come again; of one clip and one group."""
    return Adaptive(np.ones((1, size), np.int64)).start(1)


def _decode_counted(decoder: RangeDecoder, number: int, size: int) -> Int[np.ndarray, "number"]:
    counts, symbols = _counted(size), np.zeros(number, np.int64)
    for i in range(number):
        symbols[i] = decoder.decode(counts.frequencies()[0])
        counts.push(symbols[i : i + 1])
    return symbols


def sizes(steps: Int[np.ndarray, "d"]) -> Float[np.ndarray, "d"]:
    """How large steps are."""
    return np.exp2(steps / 4.0 - 10.0)


@functools.cache
def scale_tables() -> list[Int[np.ndarray, "k"]]:
    """Frequencies of the numbers from -REACH to REACH, for each scale from 1 on."""
    scales = range(1, NUM_SCALES + 1)
    rates = [(2 + (c - 1) % 2) * Decimal(2) ** ((c - 1) // 2 - 8) for c in scales]
    return [tables.laplace(rate, REACH) for rate in rates]


@functools.cache
def _code_lengths() -> Float[np.ndarray, "s k"]:
    return PRECISION - np.log2(np.stack(scale_tables()))


def _cheapest(row: Int[np.ndarray, "p"]) -> int:
    """The scale that numbers cost least with; 0 where they are all zero."""
    return int(np.argmin(_code_lengths()[:, row + REACH].sum(axis=1))) + 1 if row.any() else 0
