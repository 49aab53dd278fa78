"""The fixed numbers of the Sprites benchmark: labels, split, and the order of its clips.

Source: Li and Mandt, "Disentangled Sequential Autoencoder", 2018, and its public scripts.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8

from vdd.errors import UserError

ATTRIBUTES = ("body", "bottomwear", "topwear", "hair")
NUM_VARIANTS = 6
ACTIONS = ("walk", "spellcard", "slash")
DIRECTIONS = ("front", "left", "right")
MOTIONS = tuple(f"{action}_{direction}" for action in ACTIONS for direction in DIRECTIONS)
NUM_FRAMES = 8
SIZE = 64
NUM_CHARACTERS = NUM_VARIANTS ** len(ATTRIBUTES)
# "train" and "test" are published. "train" is "fit", then "validation": the characters that a model
# learns from while its settings are chosen, and those that they are chosen by.
SPLITS = {
    "train": slice(0, 1000),
    "fit": slice(0, 900),
    "validation": slice(900, 1000),
    "test": slice(1000, NUM_CHARACTERS),
}
PERMUTATION_SEED = 423


class SpritesArrays(NamedTuple):
    """One split in memory: clips and their labels, n clips long.

    Labels serve evaluation only: no loss reads them.
    """

    video: UInt8[np.ndarray, "n t h w c"]
    motion: Int32[np.ndarray, "n"]
    attributes: Int32[np.ndarray, "n 4"]


def split_characters(
    split: str, permutation_seed: int = PERMUTATION_SEED
) -> Int32[np.ndarray, "m 4"]:
    """The attributes (body, bottomwear, topwear, hair) of a split's characters, in their order.

    "train" has 1000 characters and "test" the 296 others, so that a test character is never seen.
    The first 900 of "train" are "fit", its last 100 "validation".

    Args:
      split: a name in `SPLITS`.
      permutation_seed: of the order in which the splits cut all characters; the default is the
        published one.

    Raises:
      UserError: no such split, or a seed that is none.
    """
    if split not in SPLITS:
        raise UserError(f"sprites has no split {split!r}: take one of {', '.join(SPLITS)}.")
    if not 0 <= permutation_seed < 2**32:
        raise UserError(f"permutation_seed={permutation_seed} is not from 0 to 2^32 - 1.")
    # The benchmark's split is defined by this legacy generator; no other gives the same characters.
    permutation = np.random.RandomState(permutation_seed).permutation(NUM_CHARACTERS)
    shape = (NUM_VARIANTS,) * len(ATTRIBUTES)
    digits = np.unravel_index(permutation[SPLITS[split]], shape)
    return np.stack(digits, axis=-1).astype(np.int32)


def split_labels(
    split: str, permutation_seed: int = PERMUTATION_SEED
) -> tuple[Int32[np.ndarray, "n"], Int32[np.ndarray, "n 4"]]:
    """Motion and attributes of every clip of a split: motion by motion, characters in their order.

    Arguments and errors as `split_characters`.
    """
    characters = split_characters(split, permutation_seed)
    motion = np.repeat(np.arange(len(MOTIONS), dtype=np.int32), len(characters))
    return motion, np.tile(characters, (len(MOTIONS), 1))


def overlap(split: str, other: str) -> bool:
    """Whether two splits share characters."""
    one, two = SPLITS[split], SPLITS[other]
    return one.start < two.stop and two.start < one.stop
