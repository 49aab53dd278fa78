"""Batches of motion codes: crops of clips that were encoded once and lie in memory."""

import itertools

import numpy as np
from jaxtyping import Int, Int32

from vdd.data import batches
from vdd.errors import UserError


def crops(
    codes: Int32[np.ndarray, "c t n"],
    batch_size: int,
    seed: int,
    *,
    frames: int,
    start_share: float,
    loop: bool,
    process_index: int = 0,
    process_count: int = 1,
) -> batches.Resumable:
    """Endless batches of crops, each a function of (seed, step), with exact resume.

    A batch is {codes int32 [b t n], scored bool [b t]}. The first frame of a crop is
    scored only where it is the first of its clip: how a clip begins is to be learned from
    beginnings, how it goes on from anywhere.

    Args:
      codes: of the clips.
      batch_size: rows of the global batch.
      seed: with the step, all that decides what a batch holds.
      frames: length of a crop.
      start_share: fraction of the crops that begin where their clip does; the rest begin anywhere.
      loop: behind its last frame a clip begins anew, so that crops may be longer than clips: for
        motions that are cycles, or that come again.
      process_index: whose rows of the global batch to give.
      process_count: number of processes that share the global batch.

    Raises:
      UserError: a crop is longer than the clips, which do not loop.
      ValueError: the batch does not divide among the processes.
    """
    count, length = codes.shape[:2]
    if frames > length and not loop:
        raise UserError(f"data.frames={frames}: the clips have {length} frames (data.loop=False)")
    starts = length if loop else length - frames + 1
    size = batches.local_size(batch_size, process_count)
    own = slice(process_index * size, (process_index + 1) * size)

    def batch_at(step: int) -> dict[str, np.ndarray]:
        at = batches.local_positions(step, batch_size, process_index, process_count)
        rng = np.random.default_rng((seed, step))
        start = rng.integers(starts, size=batch_size)
        start = np.where(rng.random(batch_size) < start_share, 0, start)[own]
        return _cut(codes, batches.shuffled(at, count, seed), start, frames)

    return batches.Resumable(lambda start: map(batch_at, itertools.count(start)))


def _cut(
    codes: Int32[np.ndarray, "c t n"],
    rows: Int[np.ndarray, "b"],
    start: Int[np.ndarray, "b"],
    frames: int,
) -> dict[str, np.ndarray]:
    """A batch: from each of these clips so many frames, beginning anew behind the last."""
    moment = (start[:, None] + np.arange(frames)) % codes.shape[1]
    scored = np.ones(moment.shape, bool)
    scored[:, 0] = start == 0
    return {"codes": codes[rows[:, None], moment], "scored": scored}
