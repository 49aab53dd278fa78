"""Who is in which split: characters are drawn by a seed, and no two splits share one."""

import functools
import hashlib
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int32

from vdd.data.universal_lpc.wardrobe import ALWAYS, CHANCE, SLOTS, Wardrobe
from vdd.errors import UserError

SPLITS = ("train", "validation", "test", "test_parts")
NEW_PARTS = 3  # so many parts at most of a character of test_parts are in no training clip
_TRIES = 10_000


def draw_character(
    wardrobe: Wardrobe, seed: int, split: str, number: int
) -> Int32[np.ndarray, "s"]:
    """A character of a split, a function of the wardrobe, the seed, the split and its number.

    The same character may come up under another number.

    Returns:
      For each of `SLOTS` the number of the part, -1 for none.

    Raises:
      UserError: the wardrobe is too small to have any character in that split.
    """
    rng = np.random.default_rng((seed, SPLITS.index(split), number, 0))
    for _ in range(_TRIES):
        character = _dress(wardrobe, rng, new=split == "test_parts")
        if character is not None and split_of(wardrobe, character) == split:
            return character
    raise UserError(
        f"the sheets are too few for characters of {split}: is the collection complete?"
    )


def split_of(wardrobe: Wardrobe, character: Int32[np.ndarray, "s"]) -> str:
    """The only split in which a character may be: of ten characters of known parts eight train."""
    worn = zip(wardrobe.parts.values(), character.tolist())
    if any(number >= 0 and parts[number].held_out for parts, number in worn):
        return "test_parts"
    digest = hashlib.sha256("\n".join(wardrobe.names(character)).encode()).digest()
    return {0: "validation", 1: "test"}.get(int.from_bytes(digest[:4]) % 10, "train")


def _dress(
    wardrobe: Wardrobe, rng: np.random.Generator, new: bool
) -> Int32[np.ndarray, "s"] | None:
    """A character; where `new`, one to three of its parts are held out. None where none fits."""
    sex = wardrobe.sexes[rng.integers(len(wardrobe.sexes))]
    chance, choice = rng.random((2, len(SLOTS)))
    held = _choices(wardrobe, sex, True)
    novel = set()
    if new:
        slots = [slot for slot, parts in held.items() if len(parts)]
        count = rng.integers(1, NEW_PARTS + 1)
        novel = set(rng.permutation(slots)[:count].tolist())
    character = np.full(len(SLOTS), -1, np.int32)
    for at, (slot, parts) in enumerate(_choices(wardrobe, sex, False).items()):
        if slot in novel:
            parts = held[slot]
        elif chance[at] >= CHANCE.get(slot, 1.0):
            continue
        if len(parts):
            character[at] = parts[int(choice[at] * len(parts))]
        elif slot in ALWAYS:
            return None
    return character


@functools.lru_cache(maxsize=8)
def _choices(wardrobe: Wardrobe, sex: str, held_out: bool) -> dict[str, np.ndarray]:
    return {slot: wardrobe.choices(sex, slot, held_out) for slot in SLOTS}


def characters(wardrobe: Wardrobe, seed: int, split: str) -> Iterator[Int32[np.ndarray, "s"]]:
    """Characters number 0, 1, 2 ... of a split, without end."""
    number = 0
    while True:
        yield draw_character(wardrobe, seed, split, number)
        number += 1
