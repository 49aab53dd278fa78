"""What a character can wear: slots, sexes and held-out parts, by rules over the names of sheets."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from vdd.errors import UserError

# The sheets of each slot, by their names; in the order in which they are drawn. Beside a folder of
# coloured hair lies its template (`hair/male/pixie.png`), which is no part, nor are the shadows.
SLOTS = {
    "body": r"body/(fe)?male/[^/]+",
    "eyes": r"body/(fe)?male/eyes/[^/]+",
    "legs": r"legs/.+",
    "feet": r"feet/.+",
    "torso": r"torso/(?!back/).+",
    "hands": r"hands/.+",
    "cape": r"torso/back/cape/.+",
    "facial": r"facial/(fe)?male/[^/]+/[^/]+",
    "hair": r"hair/(fe)?male/[^/]+/(?!shadows)[^/]+",
    "head": r"head/.+",
}
ALWAYS = ("body", "eyes", "legs", "feet", "torso")
# The probability of the others, where the sex has any.
CHANCE = {"hair": 0.9, "facial": 0.4, "hands": 0.3, "cape": 0.3, "head": 0.2}
SEXES = ("female", "male")

# What no clip but those of test_parts shows: whole hairstyles, garments and skins, whatever the sex
# and, of hair, whatever the colour. About a tenth of each slot; eyes are too small to look for.
HELD_OUT = {
    "body": r"/orc$",
    "legs": r"/teal_pants",
    "feet": r"/maroon_shoes",
    "torso": r"/shirts/.*/teal_|/maroon_tunic",
    "hands": r"/golden_gloves",
    "cape": r"blue",
    "facial": r"/frenchstache/",
    "hair": r"/(pixie|ponytail2|mohawk)/",
    "head": r"/chain_hood",
}


class Part(NamedTuple):
    """One sheet that can be worn."""

    name: str  # path of its sheet, without the ending: hair/male/pixie/black
    slot: str
    sexes: tuple[str, ...]
    held_out: bool


def part_of(name: str) -> Part | None:
    """The part that a sheet is, None for one that is none (weapons, belts, templates).

    A sheet is for the sex that its folders or its file name tell, and for both where none does.
    """
    for slot, pattern in SLOTS.items():
        if re.fullmatch(pattern, name):
            words = re.split(r"[/_.-]", name)
            sexes = tuple(sex for sex in SEXES if sex in words) or SEXES
            held_out = slot in HELD_OUT and re.search(HELD_OUT[slot], name) is not None
            return Part(name, slot, sexes, held_out)
    return None


def behind(name: str) -> str:
    """The sheet of what hangs behind the body, for a cape's: `behind_body/cape/...`; else ""."""
    front = "torso/back/"
    return name.replace(front, "behind_body/", 1) if name.startswith(front) else ""


class Wardrobe:
    """The parts of each slot, numbered in the order of their names.

    Args:
      parts: all there are.

    Raises:
      UserError: no sex has all the slots that a character must have.
    """

    def __init__(self, parts: Sequence[Part]):
        ordered = sorted(parts, key=lambda part: part.name)
        self.parts = {slot: [part for part in ordered if part.slot == slot] for slot in SLOTS}
        self.sexes = tuple(
            sex for sex in SEXES if all(len(self.choices(sex, slot)) for slot in ALWAYS)
        )
        if not self.sexes:
            raise UserError(
                "the sheets dress nobody: a character needs "
                f"{', '.join(ALWAYS)} of one sex; is the collection complete?"
            )

    def choices(self, sex: str, slot: str, held_out: bool = False) -> Int[np.ndarray, "n"]:
        """Numbers of the parts of a slot for one sex: those of the training, or those held out."""
        fits = [sex in part.sexes and part.held_out == held_out for part in self.parts[slot]]
        return np.flatnonzero(fits)

    def names(self, character: Int[np.ndarray, "s"]) -> list[str]:
        """What a character wears; it has a part's number for each slot, -1 for none."""
        worn = zip(self.parts.values(), character.tolist())
        return [parts[number].name for parts, number in worn if number >= 0]
