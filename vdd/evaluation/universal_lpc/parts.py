"""Does a result wear what the character wears, and nothing else of its kind?"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, UInt8

from vdd.data.universal_lpc import SLOTS, Wardrobe
from vdd.evaluation.universal_lpc.ground import on_grey
from vdd.values import Figures

ALTERNATIVES = 16  # at most, of each slot: of hair there are hundreds

Draw = Callable[[Int[np.ndarray, "s"], Int[np.ndarray, "t"]], UInt8[np.ndarray, "t h w c"]]


def parts_right(
    video: UInt8[np.ndarray, "t h w c"],
    draw: Draw,
    wardrobe: Wardrobe,
    character: Int[np.ndarray, "s"],
    cells: Int[np.ndarray, "t"],
    seed: int,
) -> Float[np.ndarray, "s"]:
    """For each slot 1 where the right part is seen, 0 where another one, nan where none can be.

    A part is seen where the result is strictly nearer, in squared error over grey, to the character
    in these cells than to the same character with that slot exchanged, whichever other part of the
    slot and the sex is put there, held out or not. Where there are more than `ALTERNATIVES` others
    it is held against as many of them, drawn by the seed and the character. Others that look the
    same in all of these cells (a beard seen from behind) are left out; where none remains, and in
    slots that are empty, there is nothing to see.
    """
    truth, video = on_grey(draw(character, cells)), on_grey(video)
    right = np.full(len(character), np.nan)
    for slot, others in alternatives(wardrobe, character, seed).items():
        at = tuple(SLOTS).index(slot)
        for other in others:
            changed = character.copy()
            changed[at] = other
            gain = advantage(video, truth, on_grey(draw(changed, cells)))
            if gain is not None:
                right[at] = float(gain > 0)
            if right[at] == 0:
                break  # one that is as near is enough
    return right


def alternatives(
    wardrobe: Wardrobe, character: Int[np.ndarray, "s"], seed: int
) -> dict[str, Int[np.ndarray, "m"]]:
    """For each slot that is worn, numbers of other parts; the same for a character everywhere."""
    rng = np.random.default_rng((seed, *(character + 1).tolist()))
    sex, found = sex_of(wardrobe, character), {}
    for slot, worn in zip(SLOTS, character.tolist()):
        if worn < 0:
            continue
        kind = [wardrobe.choices(sex, slot, held_out) for held_out in (False, True)]
        others = np.setdiff1d(np.concatenate(kind), [worn])
        found[slot] = rng.permutation(others)[:ALTERNATIVES]
    return found


def sex_of(wardrobe: Wardrobe, character: Int[np.ndarray, "s"]) -> str:
    """The sex of the body, which all other parts are of too."""
    return wardrobe.parts["body"][character[tuple(SLOTS).index("body")]].sexes[0]


def advantage(
    video: UInt8[np.ndarray, "t h w 3"],
    truth: UInt8[np.ndarray, "t h w 3"],
    other: UInt8[np.ndarray, "t h w 3"],
) -> int | None:
    """By how much a clip is nearer to the truth than to the other, in squared differences.

    None where both are the same. Only where they differ can it matter, so only that is summed.
    """
    differ = np.flatnonzero(truth != other)
    if not len(differ):
        return None
    made, real, wrong = (x.ravel()[differ].astype(np.int64) for x in (video, truth, other))
    return int(np.sum(np.square(made - wrong) - np.square(made - real)))


def section(right: Float[np.ndarray, "n s"]) -> Figures:
    """Of clips' `parts_right`: the fraction of each slot, None where none was seen, their mean."""
    shares = {
        slot: float(np.nanmean(column)) if not np.isnan(column).all() else None
        for slot, column in zip(SLOTS, right.T)
    }
    measured = [share for share in shares.values() if share is not None]
    mean = float(np.mean(measured)) if measured else None
    return {"mean": mean, **shares, "alternatives": ALTERNATIVES}
