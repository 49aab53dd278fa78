"""The benchmark's own art: layered sheets of the Liberated Pixel Cup, read from a folder.

The sheets are CC-BY-SA 3.0 / GPL 3.0 and no part of this package. A sheet is a grid of 64x64 cells,
13 a row, counted row by row; a folder holds `body/0.png` ... `hair/5.png` and `shoes/1.png`.
"""

import hashlib
import io
from collections.abc import Mapping

import numpy as np
from einops import rearrange
from etils import epath
from jaxtyping import UInt8
from PIL import Image

from vdd.data.sprites.benchmark import ACTIONS, ATTRIBUTES, DIRECTIONS, NUM_VARIANTS, SIZE
from vdd.data.sprites.renderer import Art
from vdd.errors import UserError

ORDER = (*((attribute, attribute) for attribute in ATTRIBUTES), ("shoes", None))
SHEETS = (
    *(f"{attribute}/{variant}.png" for attribute in ATTRIBUTES for variant in range(NUM_VARIANTS)),
    "shoes/1.png",
)

_COLUMNS, _ROWS = 13, 21
# Cells of the 8 frames, counted from the action's first cell; walk starts its cycle one frame late
# and the shorter actions repeat cells to fill 8 frames.
_FRAME_CELLS = {
    "walk": (7, 0, 1, 2, 3, 4, 5, 6),
    "spellcard": (0, 1, 2, 3, 4, 5, 4, 6),
    "slash": (0, 1, 2, 3, 4, 5, 4, 0),
}
_FIRST_CELL = {
    "walk": {"front": 131, "left": 118, "right": 144},
    "spellcard": {"front": 26, "left": 13, "right": 39},
    "slash": {"front": 182, "left": 169, "right": 195},
}


def sheet_paths(art_dir: epath.PathLike) -> dict[str, epath.Path]:
    """The files of a folder of sheets, by their names in `SHEETS`.

    Raises:
      UserError: there is no such folder.
    """
    folder = epath.Path(art_dir)
    if not folder.is_dir():
        raise UserError(f"no folder of LPC sheets at {folder}: check --config.data.art_dir.")
    return {name: folder / name for name in SHEETS}


def load_art(paths: Mapping[str, epath.PathLike]) -> Art:
    """Reads the sheets into an art that the renderer draws.

    Args:
      paths: the file of each sheet in `SHEETS`.

    Raises:
      UserError: a sheet is missing, unreadable or of the wrong size.
    """
    cells = {name: _cells(_decode(path, _read(path))) for name, path in paths.items()}

    def part_frames(part: str, variant: int, motion: int) -> UInt8[np.ndarray, "t h w 4"]:
        return cells[f"{part}/{variant}.png"][list(motion_cells(motion))]

    return Art(ORDER, part_frames)


def motion_cells(motion: int) -> tuple[int, ...]:
    """Numbers of the sheet's cells that are the 8 frames of a motion."""
    action, direction = ACTIONS[motion // len(DIRECTIONS)], DIRECTIONS[motion % len(DIRECTIONS)]
    first = _FIRST_CELL[action][direction]
    return tuple(first + offset for offset in _FRAME_CELLS[action])


def fingerprint(paths: Mapping[str, epath.PathLike]) -> str:
    """SHA-256 (hexadecimal) over the sheets' files: tells whether two folders hold the same art.

    Raises:
      UserError: a sheet is missing or cannot be read.
    """
    digest = hashlib.sha256()
    for name in SHEETS:
        digest.update(f"{name} {hashlib.sha256(_read(paths[name])).hexdigest()}\n".encode())
    return digest.hexdigest()


def _read(path: epath.PathLike) -> bytes:
    try:
        return epath.Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"LPC sheet {path} is missing: the folder must hold body, bottomwear, topwear and "
            "hair 0.png to 5.png and shoes/1.png."
        ) from None
    except OSError as error:
        raise UserError(f"LPC sheet {path} cannot be read: {error.strerror or error}.") from error


def _decode(path: epath.PathLike, data: bytes) -> UInt8[np.ndarray, "1344 832 4"]:
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.verify()  # decoding alone overlooks damaged pixels, but spends the image
        with Image.open(io.BytesIO(data)) as image:
            # Checked before decoding: a huge image must not fill the memory first.
            size, expected = image.size, (_COLUMNS * SIZE, _ROWS * SIZE)
            pixels = np.asarray(image.convert("RGBA")) if size == expected else None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(
            f"LPC sheet {path} is not a readable image (truncated?): {error}"
        ) from error
    if pixels is None:
        raise UserError(
            f"LPC sheet {path} is {size[0]}x{size[1]} pixels, but a sheet is "
            f"{expected[0]}x{expected[1]}."
        )
    return pixels


def _cells(
    sheet: UInt8[np.ndarray, "1344 832 4"],
) -> UInt8[np.ndarray, "n h w 4"]:
    return rearrange(sheet, "(r h) (c w) d -> (r c) h w d", h=SIZE, w=SIZE)
