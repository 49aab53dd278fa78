"""Range coder and attention of docs/bitstream.md in plain integers, written from the page alone."""

import decimal
from collections.abc import Callable, Iterable, Sequence
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
    following = symbols_of(data)
    return [following(table) for table in tables]


def symbols_of(data: bytes) -> Callable[[Sequence[int]], int]:
    """What gives the next symbol of a code, by the frequencies that it was coded with."""
    stream = iter(data)

    def word() -> int:
        return int.from_bytes(bytes(next(stream, 0) for _ in range(4)), "big")

    offset, width = word() * WORD + word(), STATE - 1

    def following(table: Sequence[int]) -> int:
        nonlocal offset, width
        unit = width >> TOTAL_BITS
        place, symbol = offset // unit, 0
        while place >= table[symbol]:
            place -= table[symbol]
            symbol += 1
        offset -= unit * sum(table[:symbol])
        width = unit * table[symbol]
        if width < WORD:
            offset, width = offset * WORD + word(), width * WORD
        return symbol

    return following


def frequencies(weights: Sequence[int]) -> list[int]:
    """Of whole weights."""
    total, top = sum(weights), (1 << TOTAL_BITS) - len(weights)
    found = [1 + weight * top // total for weight in weights]
    found[weights.index(max(weights))] += (1 << TOTAL_BITS) - sum(found)
    return found


def laplace(scale: int) -> list[int]:
    """Frequencies of the numbers from -255 to 255 of a channel of this scale."""
    with decimal.localcontext(decimal.Context(prec=40, Emin=-999999, Emax=999999)):
        even = scale % 2 == 0
        r = 3 * Decimal(2) ** (scale // 2 - 9) if even else Decimal(2) ** ((scale - 1) // 2 - 7)
        sides = ((r / 2).exp() - (-r / 2).exp()) / 2
        mass = [sides * (-r * abs(i)).exp() if i else 1 - (-r / 2).exp() for i in range(-255, 256)]
        return frequencies([int(x / max(mass) * (1 << 30)) for x in mass])


def decode_basis(
    data: bytes, places: int, channels: int, groups: int, codes: int
) -> tuple[list[int], list[int], list[list[float]]]:
    """Steps, pose, and what stands in the basis, channel by channel, of a content of kind 2."""
    following = symbols_of(data)

    def counted(number: int, size: int) -> list[int]:
        counts, found = [1] * size, []
        for _ in range(number):
            found.append(following(frequencies(counts)))
            counts[found[-1]] += 2
        return found

    scales = counted(channels, 23)
    told = iter(counted(sum(scale > 0 for scale in scales), 64))
    steps = [next(told) if scale else 0 for scale in scales]
    pose = [following(frequencies([1] * codes)) for _ in range(groups)]
    rows: list[list[float]] = []
    for scale, step in zip(scales, steps):
        table, size = laplace(scale) if scale else [], 2.0 ** (step / 4 - 10)
        rows.append([(following(table) - 255) * size if scale else 0.0 for _ in range(places)])
    return steps, pose, rows


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
