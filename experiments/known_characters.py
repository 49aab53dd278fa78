"""What is reached without a model: each baseline answers what a character shows in some cells.

They know more than a model: the exact cells, and one of them even the answer. A model that has
carried anything over that it had not seen is better than the best known character.
"""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float, Int, UInt8

from vdd.data.universal_lpc import MOTIONS, Wardrobe, draw_character
from vdd.evaluation.universal_lpc.ground import GREY, flat_pixels, on_grey
from vdd.evaluation.universal_lpc.parts import Draw

NUM_KNOWN = 600

Parts = Int[np.ndarray, "n s"]
Cells = Int[np.ndarray, "n t"]
Known = Int[np.ndarray, "k s"]
Answer = Callable[[Parts, Cells], Iterator[UInt8[np.ndarray, "t h w 3"]]]


def always(frame: UInt8[np.ndarray, "h w 3"]) -> Answer:
    """The same frame, whatever is asked."""
    return lambda parts, cells: (np.broadcast_to(frame, (len(c), *frame.shape)) for c in cells)


def grey(size: int) -> Answer:
    """Nothing but the background."""
    return always(np.full((size, size, 3), GREY, np.uint8))


def mean_of(frames: UInt8[np.ndarray, "n h w c"]) -> Answer:
    """The mean of all frames."""
    return always(on_grey(frames).mean(0).round().astype(np.uint8))


def draw_known(wardrobe: Wardrobe, seed: int, count: int = NUM_KNOWN) -> Known:
    """Characters of the train split, by the seed."""
    return np.stack([draw_character(wardrobe, seed, "train", number) for number in range(count)])


def nearest_known(draw: Draw, known: Known) -> Answer:
    """The known character that is nearest to the truth, in the exact cells: the best of them."""

    def answer(parts: Parts, cells: Cells) -> Iterator[UInt8[np.ndarray, "t h w 3"]]:
        truth = np.stack([on_grey(draw(*asked)) for asked in zip(parts, cells)])
        best = _distances(draw, known, truth, cells).argmin(1)
        return (on_grey(draw(known[row], c)) for row, c in zip(best, cells))

    return answer


def random_known(draw: Draw, known: Known, seed: int) -> Answer:
    """Any known character in the exact cells."""

    def answer(parts: Parts, cells: Cells) -> Iterator[UInt8[np.ndarray, "t h w 3"]]:
        rows = np.random.default_rng(seed).integers(len(known), size=len(cells))
        return (on_grey(draw(known[row], c)) for row, c in zip(rows, cells))

    return answer


def _distances(
    draw: Draw, known: Known, truth: UInt8[np.ndarray, "n t h w 3"], cells: Cells
) -> Float[np.ndarray, "n k"]:
    """Squared error of each known character in each clip's cells, less what all share.

    Each known character is drawn once in every cell, a motion at a time to fit in the memory.
    """
    total = np.zeros((len(cells), len(known)), np.float32)
    for motion in MOTIONS:
        numbers = np.arange(motion.first, motion.first + motion.frames, dtype=np.int32)
        drawn = np.stack([on_grey(draw(character, numbers)) for character in known])
        for at, number in enumerate(numbers):
            clip, frame = np.nonzero(cells == number)
            if len(clip):
                a, b = (flat_pixels(x) for x in (truth[clip, frame], drawn[:, at]))
                np.add.at(total, clip, np.square(b).sum(1)[None] - 2 * a @ b.T)
    return total
