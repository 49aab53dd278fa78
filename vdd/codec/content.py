"""The content of a clip as whole numbers, and these as bytes.

A model with a content code has whole numbers, and a prior for them. Of one without, each number of
the content tokens is rounded to a multiple of 2^-bits, and coded as if normally distributed, which
is what the Gaussian bottleneck's price draws them to.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Int

from vdd.codec import tables
from vdd.codec.range_coder import Code, RangeDecoder, RangeEncoder
from vdd.errors import UserError

NUMBERS, TOKENS = 0, 1  # the header's kinds
STEP_BITS = 4
FARTHEST = 8  # tokens lie between -8 and 8 standard deviations


class ContentModel(NamedTuple):
    """How the whole numbers of a content are coded."""

    kind: int
    step_bits: int  # tokens are multiples of 2^-step_bits; 0 for a content code
    reach: int  # numbers lie between -reach and reach
    frequencies: Sequence[Int[np.ndarray, "k"]]  # of each number


class CodeSizes(Protocol):
    """What is needed of a `vdd.method.content.ContentCode`, beside its parameters."""

    num_numbers: int
    reach: int


def model_of_code(code: CodeSizes, params: Mapping[str, Any]) -> ContentModel:
    """The prior of a content code, as tables."""
    mean, log_scale, logit = (
        np.asarray(params[f"prior_{name}"], np.float64) for name in ("mean", "log_scale", "logit")
    )
    # As `ContentCode.bits` has them; times a whole number below 2^29 is exact for a float32.
    rows = zip(code.reach * mean, -8.0 * log_scale, 8.0 * logit, strict=True)
    frequencies = [tables.logistic_mixture(*row, code.reach) for row in rows]
    return ContentModel(NUMBERS, 0, code.reach, frequencies)


def model_of_tokens(count: int, step_bits: int = STEP_BITS) -> ContentModel:
    """Standard normal tokens, `count` numbers, in steps of 2^-step_bits."""
    reach = FARTHEST << step_bits
    table = tables.gaussian(Decimal(1) / (1 << step_bits), reach)
    return ContentModel(TOKENS, step_bits, reach, [table] * count)


def quantize(model: ContentModel, values: np.ndarray) -> Int[np.ndarray, "q"]:
    """Whole numbers of tokens, or of a content code before it is rounded."""
    scaled = np.asarray(values, np.float64).reshape(-1) * (1 << model.step_bits)
    return np.clip(np.rint(scaled), -model.reach, model.reach).astype(np.int64)


def encode(model: ContentModel, numbers: Int[np.ndarray, "q"]) -> Code:
    """The numbers as bytes."""
    encoder = RangeEncoder()
    for number, table in zip(numbers, model.frequencies, strict=True):
        symbol = int(number) + model.reach
        encoder.encode(int(table[:symbol].sum()), int(table[symbol]))
    return encoder.finish()


def decode(model: ContentModel, data: bytes) -> Int[np.ndarray, "q"]:
    """The numbers of a content.

    Raises:
        UserError: no encoder writes such data.
    """
    decoder = RangeDecoder(data, len(model.frequencies))
    try:
        symbols = [decoder.decode(table) for table in model.frequencies]
    except UserError as error:
        raise UserError("the content is damaged") from error
    return np.array(symbols, np.int64) - model.reach
