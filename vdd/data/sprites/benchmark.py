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
SPLITS = {"train": slice(0, 1000), "test": slice(1000, NUM_CHARACTERS)}

_SPLIT_SEED = 423


class SpritesArrays(NamedTuple):
    """One split in memory: clips and their labels, n clips long.

    Labels serve evaluation only: no loss reads them.
    """

    video: UInt8[np.ndarray, "n t h w c"]
    motion: Int32[np.ndarray, "n"]
    attributes: Int32[np.ndarray, "n 4"]


def split_characters(split: str) -> Int32[np.ndarray, "m 4"]:
    """The attributes (body, bottomwear, topwear, hair) of a split's characters, in their order.

    "train" has 1000 characters and "test" the 296 others, so that a test character is never seen.

    Raises:
      UserError: the split is neither "train" nor "test".
    """
    if split not in SPLITS:
        raise UserError(f"sprites has no split {split!r}: take one of {', '.join(SPLITS)}.")
    # The benchmark's split is defined by this legacy generator; no other gives the same characters.
    permutation = np.random.RandomState(_SPLIT_SEED).permutation(NUM_CHARACTERS)
    shape = (NUM_VARIANTS,) * len(ATTRIBUTES)
    digits = np.unravel_index(permutation[SPLITS[split]], shape)
    return np.stack(digits, axis=-1).astype(np.int32)


def split_labels(split: str) -> tuple[Int32[np.ndarray, "n"], Int32[np.ndarray, "n 4"]]:
    """Motion and attributes of every clip of a split: motion by motion, characters in their order.

    Raises:
      UserError: the split is neither "train" nor "test".
    """
    characters = split_characters(split)
    motion = np.repeat(np.arange(len(MOTIONS), dtype=np.int32), len(characters))
    return motion, np.tile(characters, (len(MOTIONS), 1))
