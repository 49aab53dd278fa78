"""What every data source has in common: the batch, its iterator, which rows a batch holds."""

import functools
import itertools
from collections.abc import Callable, Collection, Iterator
from typing import Protocol

import numpy as np
from jaxtyping import Int64

from vdd.data.augment import Augment
from vdd.data.prefetch import prefetch
from vdd.values import Json

Batch = dict[str, np.ndarray]
"""One process's rows of a global batch, by name.

`video` uint8 [b t h w c] (or `latents` float16 [b t h w c] in its place), and what
labels the data set has, int32 [b ...]. They serve evaluation only: no loss reads them.
"""


def clips_key(batch: Collection[str]) -> str:
    """What the clips of a batch are called."""
    return "latents" if "latents" in batch else "video"


class ClipIterator(Protocol):
    """Endless training batches that can be resumed exactly, also in the middle of an epoch."""

    def __iter__(self) -> "ClipIterator": ...

    def __next__(self) -> Batch: ...

    def get_state(self) -> Json:
        """Where the iterator stands, as JSON: what it has delivered, whatever it has prefetched."""
        ...

    def set_state(self, state: Json) -> None:
        """Goes on from a state of `get_state`, of this or of another process."""
        ...

    def close(self) -> None:
        """Ends the reading thread; the iterator can go on afterwards, from the same place."""
        ...


class Resumable:
    """A `ClipIterator` over a function from a step to the batches from that step on.

    Batch i being a pure function of (seed, i), the step is the whole state, and what has been read
    ahead need not be saved.
    """

    def __init__(self, batches_from: Callable[[int], Iterator[Batch]], prefetch_depth: int = 2):
        self._batches_from = batches_from
        self._prefetch_depth = prefetch_depth
        self._step = 0
        self._batches = None

    def __iter__(self) -> "Resumable":
        return self

    def __next__(self) -> Batch:
        if self._batches is None:
            start = functools.partial(self._batches_from, self._step)
            self._batches = prefetch(start, self._prefetch_depth)
        batch = next(self._batches)
        self._step += 1
        return batch

    def get_state(self) -> Json:
        """The number of batches delivered, whatever has been read ahead."""
        return {"step": self._step}

    def set_state(self, state: Json) -> None:
        """Goes on from a state of `get_state`, of this or of another process."""
        self.close()
        self._step = int(state["step"])

    def close(self) -> None:
        """Ends the reading thread; the iterator can go on afterwards, from the same place."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None


def local_size(batch_size: int, process_count: int) -> int:
    """Rows of a global batch that each process holds.

    Raises:
      ValueError: the batch does not divide among the processes.
    """
    if batch_size % process_count:
        raise ValueError(f"{batch_size=} does not divide among {process_count} processes")
    return batch_size // process_count


def local_positions(
    step: int, batch_size: int, process_index: int, process_count: int
) -> Int64[np.ndarray, "b"]:
    """Places in the global stream of clips of a process's rows of batch `step`.

    Processes hold consecutive blocks, so that the blocks in the order of the processes are the
    global batch itself, the same for any number of processes.
    """
    size = local_size(batch_size, process_count)
    start = step * batch_size + process_index * size
    return np.arange(start, start + size)


def shuffled(
    positions: Int64[np.ndarray, "b"], num_clips: int, seed: int
) -> Int64[np.ndarray, "b"]:
    """The clips at some places of an endless stream in which every epoch is a new permutation."""
    epochs, places = np.divmod(positions, num_clips)
    clips = np.empty_like(positions)
    for epoch in np.unique(epochs):
        at = epochs == epoch
        clips[at] = _permutation(num_clips, seed, int(epoch))[places[at]]
    return clips


@functools.lru_cache(maxsize=4)
def _permutation(num_clips: int, seed: int, epoch: int) -> Int64[np.ndarray, "n"]:
    return np.random.default_rng((seed, epoch)).permutation(num_clips)


def augmented(
    batches_from: Callable[[int], Iterator[Batch]],
    augment: Augment | None,
    seed: int,
    process_index: int,
) -> Callable[[int], Iterator[Batch]]:
    """Applies `augment` clip by clip, each with a seed of its own: (seed, step, row).

    The row is that of the global batch, so that a clip is augmented alike on any number of
    processes.
    """
    if augment is None:
        return batches_from

    def augmented_from(start: int) -> Iterator[Batch]:
        for step, batch in zip(itertools.count(start), batches_from(start)):
            key = clips_key(batch)
            first = process_index * len(batch[key])
            rows = enumerate(batch[key], first)
            clips = [augment(clip, (seed, step, row)) for row, clip in rows]
            yield {**batch, key: np.stack(clips)}

    return augmented_from
