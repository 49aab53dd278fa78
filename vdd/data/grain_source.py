"""Batches read in random order from ArrayRecord files by Grain. Needs no TensorFlow."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, SupportsIndex

import grain as pygrain
import numpy as np

from vdd.data import batches
from vdd.data.augment import Augment
from vdd.data.batches import Batch, ClipIterator

# Elements are whole batches here; Grain's default of 500 of them would fill the memory.
_READ_OPTIONS = pygrain.ReadOptions(num_threads=4, prefetch_buffer_size=4)


class Source(Protocol):
    """Random access to examples: a clip, `video` or `latents`, and whole numbers as labels."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: SupportsIndex, /) -> Mapping[str, Any]: ...


def grain(
    source: Source,
    batch_size: int,
    seed: int,
    *,
    augment: Augment | None = None,
    process_index: int = 0,
    process_count: int = 1,
) -> ClipIterator:
    """Endless shuffled batches; the order is that of `in_memory` over the same clips.

    Args:
      source: the clips and their labels, such as a TFDS data source.
      batch_size: rows of the global batch.
      seed: with the step, all that decides what a batch holds.
      augment: applied to each clip, see `vdd.data.augment`.
      process_index: whose rows of the global batch to give.
      process_count: number of processes that share the global batch.
    """
    size = batches.local_size(batch_size, process_count)
    stream = _Stream(source, augment, batch_size, seed, process_index, process_count)

    def batches_from(start: int) -> Iterator[Batch]:
        dataset = pygrain.MapDataset.source(stream).batch(size, drop_remainder=True)
        return iter(dataset.slice(slice(start, None)).to_iter_dataset(_READ_OPTIONS))

    return batches.Resumable(batches_from)


class _Stream:
    """A process's clips, one after another without end, as Grain's random-access source."""

    def __init__(
        self,
        source: Source,
        augment: Augment | None,
        batch_size: int,
        seed: int,
        process_index: int,
        process_count: int,
    ):
        self._source = source
        self._augment = augment
        self._seed = seed
        self._share = (batch_size, process_index, process_count)

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, index: SupportsIndex) -> dict[str, np.ndarray]:
        batch_size, process_index, process_count = self._share
        size = batch_size // process_count
        step, row = divmod(int(index), size)
        position = batches.local_positions(step, *self._share)[row : row + 1]
        (clip,) = batches.shuffled(position, len(self._source), self._seed)
        example = _example(self._source[int(clip)])
        if self._augment is not None:
            # Here rather than on whole batches: of a long clip little may be left.
            key = batches.clips_key(example)
            rng_seed = (self._seed, step, process_index * size + row)
            example[key] = np.ascontiguousarray(self._augment(example[key], rng_seed))
        return example


def _example(example: Mapping[str, Any]) -> dict[str, np.ndarray]:
    key = batches.clips_key(example)
    labels = {name: np.asarray(value, np.int32) for name, value in example.items() if name != key}
    return {key: np.asarray(example[key]), **labels}
