"""Batches of clips that are drawn as they are needed, none of them twice. Needs no TensorFlow."""

import functools
import itertools
from collections.abc import Iterator

import numpy as np

from vdd.data import batches
from vdd.data.augment import Augment
from vdd.data.batches import Batch, ClipIterator
from vdd.data.datasets import Draw
from vdd.data.workers import made_by_processes


def endless(
    draw: Draw,
    batch_size: int,
    seed: int,
    *,
    workers: int = 0,
    augment: Augment | None = None,
    process_index: int = 0,
    process_count: int = 1,
) -> ClipIterator:
    """Batches of new clips, drawn in the thread that reads ahead, or by processes of their own.

    Args:
      draw: gives the clip, and labels, of a seed and a number; with workers it can be pickled.
      batch_size: rows of the global batch.
      seed: with the step, all that decides what a batch holds.
      workers: processes that draw; 0 for none.
      augment: applied to each clip, see `vdd.data.augment`.
      process_index: whose rows of the global batch to give.
      process_count: number of processes that share the global batch.
    """
    place = (batch_size, process_index, process_count)
    make = functools.partial(_draw_batch, draw, seed, place)

    def batches_from(start: int) -> Iterator[Batch]:
        if workers:
            return made_by_processes(make, start, workers)
        return map(make, itertools.count(start))

    batches.local_size(batch_size, process_count)  # raises here rather than at the first batch
    return batches.Resumable(batches.augmented(batches_from, augment, seed, process_index))


def _draw_batch(draw: Draw, seed: int, place: tuple[int, int, int], step: int) -> Batch:
    at = batches.local_positions(step, *place)
    clips = [draw(seed, number) for number in at.tolist()]
    return {key: np.stack([clip[key] for clip in clips]) for key in clips[0]}
