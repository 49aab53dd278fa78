"""What the range coder asks of a model of motion codes; and the model of a run without a prior.

A frame has `num_groups` codes, coded one after another. A state stands before one code of each clip
of a batch; clips never touch one another, and all arithmetic is exact, so that encoder and decoder
may take other batches on other machines.
"""

from typing import Protocol

import numpy as np
from jaxtyping import Int

from vdd.codec.range_coder import to_frequencies

ADAPTIVE, PRIOR = 0, 1  # the header's kinds


class State(Protocol):
    """Between two codes of each clip of a batch."""

    def frequencies(self) -> Int[np.ndarray, "b k"]:
        """What the next code may be: frequencies, 1 or more, that sum to `range_coder.TOTAL`."""
        ...

    def push(self, codes: Int[np.ndarray, "b"]) -> None:
        """Go on by one code of each clip."""
        ...


class EntropyModel(Protocol):
    """A distribution of motion codes, each given those before it."""

    kind: int
    fingerprint: bytes  # 8; zeros where there is nothing to tell apart
    num_groups: int
    num_codes: int

    def start(self, batch: int) -> State:
        """The state before the first code of `batch` clips."""
        ...


class Adaptive:
    """Counts the codes of each group as they come by: what a chunk repeats grows cheap.

    Every codeword starts with a count of 1, and each code adds `GAIN` to its own. Codewords that
    the model cannot send (merged into others) have none, and the least frequency of 1.
    """

    GAIN = 2
    kind = ADAPTIVE
    fingerprint = bytes(8)

    def __init__(self, sent: Int[np.ndarray, "n k"]):
        """`sent` is 1 for the codewords of each group that can occur, else 0."""
        self.num_groups, self.num_codes = sent.shape
        self._sent = sent.astype(np.int64)

    def start(self, batch: int) -> State:
        """The state before the first code of `batch` clips."""
        return _Counts(np.repeat(self._sent[None], batch, axis=0), self.GAIN)


class _Counts:
    def __init__(self, counts: Int[np.ndarray, "b n k"], gain: int):
        self._counts, self._gain, self._group = counts, gain, 0

    def frequencies(self) -> Int[np.ndarray, "b k"]:
        return to_frequencies(self._counts[:, self._group])

    def push(self, codes: Int[np.ndarray, "b"]) -> None:
        self._counts[np.arange(len(codes)), self._group, codes] += self._gain
        self._group = (self._group + 1) % self._counts.shape[1]
