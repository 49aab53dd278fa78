"""Sheets of the Universal LPC collection: how they are laid out, found and read.

A sheet is 832 x 1344 pixels, 13 x 21 cells of 64 x 64. A row of cells is one motion: an action in
one direction. Of the 273 cells 178 are in use; they are counted row by row.
"""

import io
import os
from typing import NamedTuple

import numpy as np
from einops import rearrange
from etils import epath
from jaxtyping import Int, UInt8, UInt16
from PIL import Image

from vdd.errors import UserError

ART_DIR_VARIABLE = "VDD_UNIVERSAL_LPC"
SIZE = 64  # pixels, of a cell
FPS = 8.0  # frames a second; sheets have no clock
DIRECTIONS = ("up", "left", "down", "right")  # up is seen from behind
COLUMNS, ROWS = 13, 21
_FRAMES = {"spellcast": 7, "thrust": 8, "walk": 9, "slash": 6, "shoot": 13, "hurt": 6}
_HOW = (
    f"give --config.data.art_dir=DIR or set {ART_DIR_VARIABLE}=DIR, a clone of "
    "github.com/makrohn/Universal-LPC-spritesheet"
)


class Motion(NamedTuple):
    """An action in one direction: a row of a sheet."""

    action: str
    direction: str
    first: int  # its first cell, of the 178
    frames: int

    @property
    def name(self) -> str:
        """`slash_left`, say."""
        return f"{self.action}_{self.direction}"

    @property
    def loop_from(self) -> int | None:
        """The first frame of what is repeated; None: it is played once.

        Who walks stands still in frame 0; the cycle is the others.
        """
        return 1 if self.action == "walk" else None


def _motions() -> tuple[Motion, ...]:
    motions, first = [], 0
    for action, frames in _FRAMES.items():
        for direction in ("down",) if action == "hurt" else DIRECTIONS:
            motions.append(Motion(action, direction, first, frames))
            first += frames
    return tuple(motions)


MOTIONS = _motions()  # in the order of the rows
NUM_CELLS = MOTIONS[-1].first + MOTIONS[-1].frames
# Where each of the 178 cells lies in the grid, whose places are counted row by row.
GRID = np.array([r * COLUMNS + f for r, motion in enumerate(MOTIONS) for f in range(motion.frames)])


class Unusable(Exception):
    """Why a sheet is left out, to follow its name in a sentence."""


class Drawing(NamedTuple):
    """All cells of a sheet: the pixels that are not empty, p of them, cell by cell.

    Recoloured sheets share `starts`, `at` and often `index`.
    """

    starts: Int[np.ndarray, "cells+1"]  # where in `at` the pixels of each cell begin, and the end
    at: UInt16[np.ndarray, "p"]  # place within the cell, row by row
    index: UInt8[np.ndarray, "p"] | UInt16[np.ndarray, "p"]  # colour
    palette: UInt8[np.ndarray, "k 4"]  # RGBA, straight alpha


def find_art_dir(art_dir: epath.PathLike | None = None) -> epath.Path:
    """The folder that has `body`, `hair` and the rest: the one named, or one within it.

    Args:
      art_dir: where to look; None takes the environment variable VDD_UNIVERSAL_LPC.

    Raises:
      UserError: no folder is named, or it holds no sheets.
    """
    named = art_dir or os.environ.get(ART_DIR_VARIABLE)
    if not named:
        raise UserError(f"universal_lpc needs its folder of sheets: {_HOW}.")
    level = [epath.Path(named)]
    for _ in range(4):  # no deeper than this below what was named
        for folder in level:
            if (folder / "body" / "male").is_dir() or (folder / "body" / "female").is_dir():
                return folder
        level = [below for folder in level for below in _folders(folder)]
    raise UserError(f"no sheets of the Universal LPC collection in {named}: {_HOW}.")


def _folders(folder: epath.Path) -> list[epath.Path]:
    if not folder.is_dir():
        return []
    below = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(path for path in below if path.is_dir())


def sheet_names(folder: epath.Path) -> list[str]:
    """Every sheet below a folder, in order: its path there without the ending."""
    root = os.fspath(folder)
    return sorted(
        os.path.relpath(os.path.join(where, name), root).replace(os.sep, "/")[: -len(".png")]
        for where, _, names in os.walk(root)
        for name in names
        if name.lower().endswith(".png")
    )


def decode(data: bytes) -> UInt8[np.ndarray, "1344 832 4"]:
    """The pixels of a sheet of any mode, as RGBA.

    Raises:
      Unusable: it is no image, damaged, or of another size.
    """
    expected = (COLUMNS * SIZE, ROWS * SIZE)
    try:
        with Image.open(io.BytesIO(data)) as image:
            # Checked before decoding: a huge image must not fill the memory first.
            size = image.size
            pixels = np.asarray(image.convert("RGBA")) if size == expected else None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise Unusable(f"cannot be read ({' '.join(str(error).split())})") from error
    if pixels is None:
        raise Unusable(f"is {size[0]} x {size[1]} pixels, not {expected[0]} x {expected[1]}")
    return pixels


def to_drawing(pixels: UInt8[np.ndarray, "1344 832 4"]) -> Drawing:
    """The cells in use of a sheet, without their empty pixels.

    Colours are numbered as they come up, so that a sheet and its recoloured copy agree in all but
    the palette.

    Raises:
      Unusable: nothing is drawn, or a motion is lacking.
    """
    grid = rearrange(pixels, "(r h) (c w) d -> (r c) (h w) d", h=SIZE, w=SIZE)
    cells = np.ascontiguousarray(grid[GRID])
    filled = np.flatnonzero(cells[..., 3])
    starts = np.searchsorted(filled, np.arange(NUM_CELLS + 1) * SIZE**2).astype(np.int32)
    _check_motions(np.diff(starts) > 0)
    colours, first, inverse = np.unique(
        cells.view(np.uint32).ravel()[filled], return_index=True, return_inverse=True
    )
    order = np.argsort(first)
    number = np.empty(len(order), np.uint8 if len(order) <= 256 else np.uint16)
    number[order] = np.arange(len(order))
    palette = colours[order].view(np.uint8).reshape(-1, 4)
    return Drawing(starts, (filled % SIZE**2).astype(np.uint16), number[inverse], palette)


def _check_motions(drawn: np.ndarray) -> None:
    """Looks for rows in which nothing is drawn [cells].

    A beard is never seen from behind. So an empty row is one that lacks only where the sheet shows
    the same direction in another row.
    """
    rows = {motion: drawn[motion.first :][: motion.frames].any() for motion in MOTIONS}
    shown = {motion.direction for motion, any_drawn in rows.items() if any_drawn}
    if not shown:
        raise Unusable("is empty")
    for motion, any_drawn in rows.items():
        if not any_drawn and motion.direction in shown:
            raise Unusable(f"lacks {motion.action} ({motion.direction})")
