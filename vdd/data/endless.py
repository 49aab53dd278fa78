"""Batches of clips that are drawn as they are needed, none of them twice. Needs no TensorFlow."""

import itertools
from collections.abc import Iterator

import numpy as np

from vdd.data import batches
from vdd.data.augment import Augment
from vdd.data.batches import Batch, ClipIterator
from vdd.data.datasets import Draw


def endless(
    draw: Draw,
    batch_size: int,
    seed: int,
    *,
    augment: Augment | None = None,
    process_index: int = 0,
    process_count: int = 1,
) -> ClipIterator:
    """Batches of new clips, drawn in the thread that reads ahead.

    Args:
      draw: gives the clip, and labels, of a seed and a number.
      batch_size: rows of the global batch.
      seed: with the step, all that decides what a batch holds.
      augment: applied to each clip, see `vdd.data.augment`.
      process_index: whose rows of the global batch to give.
      process_count: number of processes that share the global batch.
    """

    def batches_from(start: int) -> Iterator[Batch]:
        for step in itertools.count(start):
            at = batches.local_positions(step, batch_size, process_index, process_count)
            clips = [draw(seed, number) for number in at.tolist()]
            yield {key: np.stack([clip[key] for clip in clips]) for key in clips[0]}

    batches.local_size(batch_size, process_count)  # raises here rather than at the first batch
    return batches.Resumable(batches.augmented(batches_from, augment, seed, process_index))
