"""The content of a clip as whole numbers, and these as bytes.

A model with a content code has whole numbers, and a prior for them. Of one without, each number of
the content tokens is rounded to a multiple of 2^-bits, and coded as if normally distributed, which
is what the Gaussian bottleneck's price draws them to. A model of a reference has a basis, in which
`vdd.codec.basis` rounds.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from vdd.codec import tables
from vdd.codec.range_coder import Code, RangeDecoder, RangeEncoder
from vdd.errors import UserError

NUMBERS, TOKENS = 0, 1  # the header's kinds; BASIS, in `vdd.codec.basis`, is the third
STEP_BITS = 4
FARTHEST = 8  # tokens lie between -8 and 8 standard deviations


class ContentModel(Protocol):
    """How the whole numbers of a content are coded."""

    @property
    def kind(self) -> int:
        """The header's."""
        ...

    @property
    def step_bits(self) -> int:
        """The header's: tokens are multiples of 2^-step_bits; else 0."""
        ...

    def quantize(self, values: Any) -> Int[np.ndarray, "q"]:
        """Whole numbers of what a model says of a clip."""
        ...

    def encode(self, numbers: Int[np.ndarray, "q"]) -> Code:
        """The numbers as bytes."""
        ...

    def decode(self, data: bytes) -> Int[np.ndarray, "q"]:
        """The numbers of a content; a UserError if no encoder writes such data."""
        ...


class TableContent(NamedTuple):
    """Content each number of which has frequencies of its own, that are known before."""

    kind: int
    step_bits: int  # tokens are multiples of 2^-step_bits; 0 for a content code
    reach: int  # numbers lie between -reach and reach
    frequencies: Sequence[Int[np.ndarray, "k"]]  # of each number

    def quantize(self, values: Float[Array | np.ndarray, "..."]) -> Int[np.ndarray, "q"]:
        """Whole numbers of tokens, or of a content code before it is rounded."""
        scaled = np.asarray(values, np.float64).reshape(-1) * (1 << self.step_bits)
        return np.clip(np.rint(scaled), -self.reach, self.reach).astype(np.int64)

    def encode(self, numbers: Int[np.ndarray, "q"]) -> Code:
        """The numbers as bytes."""
        encoder = RangeEncoder()
        for number, table in zip(numbers, self.frequencies, strict=True):
            symbol = int(number) + self.reach
            encoder.encode(int(table[:symbol].sum()), int(table[symbol]))
        return encoder.finish()

    def decode(self, data: bytes) -> Int[np.ndarray, "q"]:
        """The numbers of a content.

        Raises:
            UserError: no encoder writes such data.
        """
        decoder = RangeDecoder(data, len(self.frequencies))
        try:
            symbols = [decoder.decode(table) for table in self.frequencies]
        except UserError as error:
            raise UserError("the content is damaged") from error
        return np.array(symbols, np.int64) - self.reach


class CodeSizes(Protocol):
    """What is needed of a `vdd.method.content.ContentCode`, beside its parameters."""

    num_numbers: int
    reach: int


def model_of_code(code: CodeSizes, params: PyTree) -> TableContent:
    """The prior of a content code, as tables."""
    mean, log_scale, logit = (
        np.asarray(params[f"prior_{name}"], np.float64) for name in ("mean", "log_scale", "logit")
    )
    # As `ContentCode.bits` has them; times a whole number below 2^29 is exact for a float32.
    rows = zip(code.reach * mean, -8.0 * log_scale, 8.0 * logit, strict=True)
    frequencies = [tables.logistic_mixture(*row, code.reach) for row in rows]
    return TableContent(NUMBERS, 0, code.reach, frequencies)


def model_of_tokens(count: int, step_bits: int = STEP_BITS) -> TableContent:
    """Standard normal tokens, `count` numbers, in steps of 2^-step_bits."""
    reach = FARTHEST << step_bits
    table = tables.gaussian(Decimal(1) / (1 << step_bits), reach)
    return TableContent(TOKENS, step_bits, reach, [table] * count)
