"""Batches of clips that lie in memory. Needs no TensorFlow."""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from vdd.data import batches
from vdd.data.augment import Augment
from vdd.data.batches import Batch, ClipIterator
from vdd.data.packed import Packed


def in_memory(
    arrays: Mapping[str, np.ndarray | Packed],
    batch_size: int,
    seed: int,
    *,
    augment: Augment | None = None,
    process_index: int = 0,
    process_count: int = 1,
) -> ClipIterator:
    """Endless batches of `arrays`; batches go on over the end of an epoch, which drops no clip.

    Args:
      arrays: the clips and their labels, [n ...] each, by their names in a batch.
      batch_size: rows of the global batch.
      seed: with the step, all that decides what a batch holds.
      augment: applied to each clip, see `vdd.data.augment`.
      process_index: whose rows of the global batch to give.
      process_count: number of processes that share the global batch.
    """
    num_clips = _count(arrays)

    def batches_from(start: int) -> Iterator[Batch]:
        for step in itertools.count(start):
            at = batches.local_positions(step, batch_size, process_index, process_count)
            yield _take(arrays, batches.shuffled(at, num_clips, seed))

    batches.local_size(batch_size, process_count)  # raises here rather than at the first batch
    return batches.Resumable(batches.augmented(batches_from, augment, seed, process_index))


def _take(arrays: Mapping[str, np.ndarray | Packed], clips: np.ndarray) -> Batch:
    return {key: value[clips] for key, value in arrays.items()}


def _count(arrays: Mapping[str, np.ndarray | Packed]) -> int:
    return len(arrays[batches.clips_key(arrays)])
