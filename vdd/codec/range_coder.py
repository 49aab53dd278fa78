"""Range coding with integer frequencies, by `constriction`, ended in the fewest bytes.

A symbol is a fraction of the total `TOTAL` = 2^24: frequencies [k] that sum to it, each 1 or more.
`constriction` takes real weights and turns them into such integers by its own rule: of each symbol
it first sets 1 aside and deals out the rest in proportion to the weights. The weights
`frequencies - 1` sum to what is dealt out, exactly, so that they become `frequencies` again,
exactly (tests/codec holds both to a coder in plain integers, as docs/bitstream.md specifies it).
"""

from typing import Any, NamedTuple

import constriction
import numpy as np
from jaxtyping import Int

from vdd.errors import UserError

PRECISION = 24
TOTAL = 1 << PRECISION
_WORD = 32  # bits that the coder puts out at once
_STATE = 64

_stream: Any = vars(constriction)["stream"]  # a compiled module, which type checkers cannot see
_categorical = _stream.model.Categorical


class Code(NamedTuple):
    """A finished stream."""

    data: bytes  # the fewest that, followed by zeros, decode: their number has to be known
    bits: int  # how many say the same whatever follows them: from -log2 of the fraction to 2 more


class RangeEncoder:
    """Takes symbols in the order in which they are decoded."""

    def __init__(self):
        self._coder = _stream.queue.RangeEncoder()

    def encode(self, start: int, size: int) -> None:
        """Encode the symbol of frequency `size`, before which frequencies sum to `start`."""
        # All other symbols in one lump on either side: the same interval, and no table to copy.
        shares = [start, size, TOTAL - start - size]
        present = [share - 1.0 for share in shares if share]
        self._coder.encode(int(start > 0), _categorical(np.array(present), lazy=True))

    def encode_all(self, symbols: Int[np.ndarray, "n"], frequencies: Int[np.ndarray, "k"]) -> None:
        """Encode symbols that all have the same frequencies."""
        self._coder.encode(symbols.astype(np.int32), _categorical(frequencies - 1.0, lazy=True))

    def finish(self) -> Code:
        """The shortest code of the symbols so far; the encoder is left as it is."""
        if self._coder.is_empty():
            return Code(b"", 0)
        # Any number in [low, low + width), read as a fraction of 1, decodes to the symbols.
        position, (low, width) = self._coder.pos()
        words = self._coder.get_compressed()
        size = _WORD * position + _STATE
        some = int.from_bytes(words.astype(">u4").tobytes(), "big") << (size - _WORD * len(words))
        low = some - (some - low) % (1 << _STATE)  # `pos` gives but the last 64 bits of low
        data = _roundest(low, low + width - 1).to_bytes(size // 8, "big").rstrip(b"\0")
        return Code(data, size - _widest(low, low + width))


class RangeDecoder:
    """Gives the symbols of a code back, given the frequencies that each was encoded with."""

    def __init__(self, data: bytes, num_symbols: int):
        """Decode up to `num_symbols` symbols of `data`."""
        # The encoder puts out at most 24 bits a symbol. What it left out is 0.
        words = max(len(data) // 4 + 1, num_symbols * PRECISION // _WORD + 1) + _STATE // _WORD
        padded = data.ljust(4 * words, b"\0")
        self._coder = _stream.queue.RangeDecoder(np.frombuffer(padded, ">u4").astype(np.uint32))

    def decode(self, frequencies: Int[np.ndarray, "k"]) -> int:
        """The next symbol.

        Raises:
            UserError: no encoder writes such data.
        """
        return int(self.decode_all(frequencies, 1)[0])

    def decode_all(
        self, frequencies: Int[np.ndarray, "k"], number: int
    ) -> Int[np.ndarray, "number"]:
        """So many symbols that all have the same frequencies.

        Raises:
            UserError: no encoder writes such data.
        """
        table = _categorical(frequencies - 1.0, lazy=True)
        try:
            return self._coder.decode(table, number).astype(np.int64)
        except (AssertionError, ValueError) as error:
            raise UserError("the code of a chunk is damaged") from error


def to_frequencies(weights: Int[np.ndarray, "*b k"]) -> Int[np.ndarray, "*b k"]:
    """Frequencies of symbols from weights that are whole numbers from 0 to 2^38, not all 0.

    1 + floor(weight (TOTAL - k) / sum); what is left by rounding goes to the first heaviest symbol.
    """
    weights = np.asarray(weights, np.int64)
    total = weights.sum(axis=-1, keepdims=True)
    frequencies = 1 + weights * (TOTAL - weights.shape[-1]) // total
    heaviest = np.argmax(weights, axis=-1, keepdims=True)
    rest = TOTAL - frequencies.sum(axis=-1, keepdims=True)
    extra = np.take_along_axis(frequencies, heaviest, axis=-1) + rest
    np.put_along_axis(frequencies, heaviest, extra, axis=-1)
    return frequencies


def _roundest(first: int, last: int) -> int:
    """The number from `first` to `last` with the most zeros at its end."""
    if first == 0:
        return 0
    free = ((first - 1) ^ last).bit_length() - 1
    return last >> free << free


def _widest(low: int, end: int) -> int:
    """The greatest i for which 2^i numbers from a multiple of 2^i on are in [low, end)."""
    free = (end - low).bit_length() - 1
    while (-(-low >> free) + 1 << free) > end:
        free -= 1
    return free
