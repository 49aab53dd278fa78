"""The range coder of docs/bitstream.md in plain integers, written from the page alone."""

from collections.abc import Iterable, Sequence

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
