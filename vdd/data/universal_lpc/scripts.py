"""A character plays: whole actions in random order and direction, one after the other."""

import numpy as np
from jaxtyping import Int32

from vdd.data.universal_lpc.sheets import MOTIONS, NUM_CELLS

_CELLS = [np.arange(motion.first, motion.first + motion.frames) for motion in MOTIONS]
MOTION_OF_CELL = np.repeat(np.arange(len(MOTIONS)), [motion.frames for motion in MOTIONS])


def script(rng: np.random.Generator, frames: int) -> Int32[np.ndarray, "t"]:
    """The cell that each frame of a clip shows: some frames from a random place of endless play.

    Every motion is as likely as any other to come next. So a random place is any cell, each as
    likely as any other.
    """
    cell = int(rng.integers(NUM_CELLS))
    cells = _CELLS[MOTION_OF_CELL[cell]]
    played = [cells[cell - cells[0] :]]
    # Enough for any choice of motions, and always as many numbers of the generator.
    for motion in rng.integers(len(MOTIONS), size=1 + frames // min(map(len, _CELLS))):
        played.append(_CELLS[motion])
    return np.concatenate(played)[:frames].astype(np.int32)
