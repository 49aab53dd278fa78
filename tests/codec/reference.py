"""Range coder and attention of docs/bitstream.md in plain integers, written from the page alone."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction

Vector = Sequence[int]

TOTAL_BITS = 24
WORD = 1 << 32
STATE = 1 << 64


def encode(symbols: Iterable[int], tables: Iterable[Sequence[int]]) -> tuple[int, int, int]:
    """The code's interval: whole words put out (as one number), how many, low and width on them."""
    low, width, words = 0, STATE - 1, 0
    for symbol, table in zip(symbols, tables):
        unit = width >> TOTAL_BITS
        low += unit * sum(table[:symbol])
        width = unit * table[symbol]
        if width < WORD:
            low, width, words = low * WORD, width * WORD, words + 1
    return low, width, words


def shortest(low: int, width: int, words: int) -> bytes:
    """The fewest bits that, followed by zeros, are a number of the interval; in whole bytes."""
    size = 64 + 32 * words
    for bits in range(size + 1):
        step = 1 << (size - bits)
        value = -(-low // step) * step
        if value < low + width:
            return value.to_bytes(size // 8, "big")[: -(-bits // 8)]
    raise AssertionError("an interval holds one of its own numbers")


def decode(data: bytes, tables: Iterable[Sequence[int]]) -> list[int]:
    """The symbols of a code."""
    stream = iter(data)

    def word() -> int:
        return int.from_bytes(bytes(next(stream, 0) for _ in range(4)), "big")

    offset, width, symbols = word() * WORD + word(), STATE - 1, []
    for table in tables:
        unit = width >> TOTAL_BITS
        place, symbol = offset // unit, 0
        while place >= table[symbol]:
            place -= table[symbol]
            symbol += 1
        offset -= unit * sum(table[:symbol])
        width = unit * table[symbol]
        symbols.append(symbol)
        if width < WORD:
            offset, width = offset * WORD + word(), width * WORD
    return symbols


def attend(
    query: Vector, keys: Sequence[Vector], values: Sequence[Vector], bias: Vector
) -> list[int]:
    """Attention of one head of one token, in whole numbers: query [e], keys [s e], values [s e].

    Nothing is cut to limits here: that is for the caller.
    """
    products = [sum(a * b for a, b in zip(query, key)) for key in keys]
    logits = [round(Fraction(p, 1 << 16)) + b for p, b in zip(products, bias)]
    weights = [exponential(max(logits) - logit) >> 10 for logit in logits]
    sums = [sum(w * value[i] for w, value in zip(weights, values)) for i in range(len(query))]
    return [round(total / sum(weights)) for total in sums]  # a float64 before it is rounded


def exponential(distance: int) -> int:
    """exp(-distance 2^-16) in units of 2^-30."""
    distance = min(distance, (1 << 21) - 1)
    high, low = Decimal(distance >> 10) / 64, Decimal(distance & 1023) / 65536
    a, b = (int((1 << 30) * (-part).exp() + Decimal("0.5")) for part in (high, low))
    return a * b >> 30
