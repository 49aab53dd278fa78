"""Sprite sheets: pictures of a grid of cells, read as clips.

`read_sheet` finds the cells in which something is drawn, `as_clip` makes of them what a model
reads. A cell that is not of the model's size is scaled by a whole number and padded, so that a
pixel of the art stays a square of pixels.
"""

import os
import re
from typing import NamedTuple

import numpy as np
from einops import rearrange, reduce
from etils import epath
from jaxtyping import Bool, Int, UInt8

from vdd import files
from vdd.data import decoding
from vdd.data.picture_files import BROKEN, Ground, is_animated, open_image, with_ground
from vdd.data.universal_lpc import sheets
from vdd.errors import UserError, check_address

_LAYOUT = re.compile(
    r"(\d{1,4})x(\d{1,4})(?::(\d{1,4})(?:x(\d{1,4}))?)?(?:\+(\d{1,5})\+(\d{1,5}))?"
)


class Layout(NamedTuple):
    """Where the cells of a sheet lie."""

    columns: int
    rows: int
    cell: tuple[int, int] | None = None  # height and width; None: the picture is divided evenly
    at: tuple[int, int] = (0, 0)  # top and left of the first cell


LPC = Layout(sheets.COLUMNS, sheets.ROWS, (sheets.SIZE, sheets.SIZE))


class Sheet(NamedTuple):
    """The cells of a sheet in which something is drawn."""

    cells: UInt8[np.ndarray, "n h w 4"]  # as in the file, straight alpha
    places: Int[np.ndarray, "n"]  # of each in the grid, counted row by row
    ground: Ground | None  # the flat colour behind; None where there is alpha, or no such colour
    layout: Layout


class Content(NamedTuple):
    """Frames for a model, and what was done to get them, in words."""

    video: UInt8[np.ndarray, "t h w c"]
    told: str


def parse(text: str) -> Layout:
    """The layout that a text stands for: lpc, COLSxROWS or COLSxROWS:CELL+X+Y.

    CELL is a number of pixels, or width and height (64x48); X and Y are of the first cell.

    Raises:
        UserError: it stands for none.
    """
    if text == "lpc":
        return LPC
    match = _LAYOUT.fullmatch(text)
    if match is None or 0 in (sizes := [int(x) for x in match.groups()[:4] if x]):
        raise UserError(f"--layout {text}: take lpc, COLSxROWS or COLSxROWS:CELL+X+Y")
    columns, rows, *cell = sizes
    left, top = (int(x or 0) for x in match.groups()[4:])
    return Layout(columns, rows, (cell[-1], cell[0]) if cell else None, (top, left))


def is_lpc(path: epath.PathLike) -> bool:
    """Whether a file is a still picture of exactly the size of an LPC sheet.

    Raises:
        UserError: it is an address.
    """
    check_address(path)
    path = epath.Path(path)
    if path.suffix.lower() not in decoding.PICTURE_ENDINGS or not path.is_file():
        return False
    try:
        with path.open("rb") as file, open_image(file) as image:
            size = (sheets.COLUMNS * sheets.SIZE, sheets.ROWS * sheets.SIZE)
            return image.size == size and not is_animated(image)
    except (UserError, *BROKEN):  # whoever reads it says what is wrong
        return False


def read_sheet(path: epath.PathLike, layout: Layout) -> Sheet:
    """The cells of a sheet that are not empty.

    Cells are empty where all is transparent. In an opaque picture, they are where all is of the
    flat colour behind (`find_ground`); without one, no cell is. Of the LPC layout only the 178
    cells in use are looked at.

    Raises:
        UserError: no such file, no still picture, a damaged one, the layout does not fit it, or no
            cell has anything drawn.
    """
    pixels = _read_picture(path)
    try:
        cells = cut(pixels, layout)
    except ValueError as error:
        raise UserError(f"{os.fspath(path)}: {error}") from error
    ground = find_ground(cells)
    used = np.zeros(len(cells), bool)
    used[sheets.GRID if layout == LPC else slice(None)] = True
    places = np.flatnonzero(used & is_filled(cells, ground))
    if not len(places):
        raise UserError(f"{os.fspath(path)}: no cell of this layout has anything drawn in it")
    return Sheet(cells[places], places, ground, layout)


def _read_picture(path: epath.PathLike) -> UInt8[np.ndarray, "h w 4"]:
    check_address(path)
    path = epath.Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if path.suffix.lower() not in decoding.PICTURE_ENDINGS or not path.is_file():
        raise UserError(f"{path}: a sheet is one still picture, .png say")
    with decoding.open_video(path, alpha=True) as video:
        if video.fps is not None:
            raise UserError(f"{path}: is animated; a sheet is one still picture")
        frame = next(video.frames)
    return with_ground(frame.scaled(frame.height, frame.width), None)


def cut(
    pixels: UInt8[np.ndarray, "height width k"], layout: Layout
) -> UInt8[np.ndarray, "n h w k"]:
    """All cells of a sheet, row by row.

    Raises:
        ValueError: the layout does not fit the picture.
    """
    columns, rows, cell, (top, left) = layout
    height, width, _ = pixels.shape
    told = f"{width}x{height} pixels are not {columns}x{rows} cells"
    if cell is None:
        if (height - top) % rows or (width - left) % columns or height <= top or width <= left:
            raise ValueError(f"{told} of one size")
        cell = (height - top) // rows, (width - left) // columns
    bottom, right = top + rows * cell[0], left + columns * cell[1]
    if bottom > height or right > width:
        raise ValueError(f"{told} of {cell[1]}x{cell[0]}, which need {right}x{bottom}")
    grid = pixels[top:bottom, left:right]
    return rearrange(grid, "(r h) (c w) k -> (r c) h w k", r=rows, c=columns)


def find_ground(cells: UInt8[np.ndarray, "n h w 4"]) -> Ground | None:
    """The flat colour on which opaque cells stand: that of most of their corners.

    None where anything is transparent, or fewer than half of the corners are of one colour.
    """
    if np.any(cells[..., 3] < 255):
        return None
    corners = cells[:, [0, 0, -1, -1], [0, -1, 0, -1], :3].reshape(-1, 3)
    colours, counts = np.unique(corners, axis=0, return_counts=True)
    if 2 * counts.max() < len(corners):
        return None
    red, green, blue = colours[counts.argmax()].tolist()
    return red, green, blue


def is_filled(cells: UInt8[np.ndarray, "n h w 4"], ground: Ground | None) -> Bool[np.ndarray, "n"]:
    """In which cells anything is drawn: a pixel that is neither transparent nor of the ground."""
    drawn = cells[..., 3] > 0
    if ground is not None:
        drawn &= (cells[..., :3] != np.array(ground, np.uint8)).any(axis=-1)
    return np.any(drawn, axis=(1, 2))


def fit(
    cells: UInt8[np.ndarray, "n h w 4"], size: tuple[int, int], ground: Ground | None = None
) -> tuple[UInt8[np.ndarray, "n H W 4"], str]:
    """Cells at a size (height, width): scaled by a whole number, then padded.

    A cell that fits is enlarged as often as it goes in; a larger one is reduced by the smallest
    number that makes it fit, whole squares of pixels to their mean. The figure stays in the middle,
    on the ground, or on nothing without one.

    Returns:
        the cells, and what was done, in words; "" where nothing had to be.
    """
    (height, width), (h, w) = size, cells.shape[1:3]
    less = max(-(-h // height), -(-w // width))
    more = min(height // h, width // w) if less == 1 else 1
    told = [f"scaled by {more}"] if more > 1 else [f"scaled by 1/{less}"] if less > 1 else []
    if less > 1:
        whole = _padded(cells, -(-h // less) * less, -(-w // less) * less, ground)
        cells = _reduced(whole, less)
    cells = cells.repeat(more, axis=1).repeat(more, axis=2)
    if cells.shape[1:3] != size:
        told.append(f"padded to {width}x{height}")
    return _padded(cells, height, width, ground), " and ".join(told)


def _padded(cells: np.ndarray, height: int, width: int, ground: Ground | None) -> np.ndarray:
    """Cells in the middle of larger ones."""
    n, h, w, _ = cells.shape
    padded = np.zeros((n, height, width, 4), np.uint8)
    if ground is not None:
        padded[:] = (*ground, 255)
    top, left = (height - h) // 2, (width - w) // 2
    padded[:, top : top + h, left : left + w] = cells
    return padded


def _reduced(cells: np.ndarray, by: int) -> np.ndarray:
    """Squares of pixels to their mean; colours count as much as they are opaque."""
    alpha = cells[..., 3:].astype(np.float64)
    weighted = np.concatenate([cells[..., :3] * alpha, alpha], axis=-1)
    mean = reduce(weighted, "n (h i) (w j) c -> n h w c", "mean", i=by, j=by)
    colours = mean[..., :3] / np.maximum(mean[..., 3:], 1e-9)
    return np.round(np.concatenate([colours, mean[..., 3:]], axis=-1)).astype(np.uint8)


def spread(count: int, most: int | None) -> Int[np.ndarray, "m"]:
    """Numbers of at most so many of `count` things, evenly from the first on."""
    taken = count if most is None else min(count, most)
    return np.arange(taken) * count // taken


def as_clip(
    sheet: Sheet, size: tuple[int, int], ground: Ground | None, most: int | None = None
) -> Content:
    """The filled cells as a clip that a model reads.

    Args:
        sheet: which cells.
        size: height and width of the model's frames.
        ground: the colour that what is transparent is laid on; None keeps it transparent, without
            a colour (0), and with alpha as a fourth channel.
        most: frames to take; of more cells they are taken evenly.
    """
    count, (height, width) = len(sheet.cells), sheet.cells.shape[1:3]
    taken = spread(count, most)
    cells, scaled = fit(sheet.cells[taken], size, sheet.ground)
    cells = np.where(cells[..., 3:] == 0, 0, cells).astype(np.uint8)
    video = np.stack([with_ground(cell, ground) for cell in cells])
    columns, rows, *_ = sheet.layout
    words = [f"{columns}x{rows} cells of {width}x{height}, {count} filled"]
    if len(taken) < count:
        words.append(f"{len(taken)} of these are read, evenly")
    if sheet.ground not in (None, ground):
        known = "nothing (alpha)" if ground is None else f"the colour {ground}"
        words.append(f"they stand on the colour {sheet.ground}, where the model knows {known}")
    return Content(video, "; ".join([*words, scaled] if scaled else words))


def read_clip(
    path: epath.PathLike,
    size: tuple[int, int],
    ground: Ground | None,
    layout: Layout,
    most: int | None = None,
) -> Content:
    """The filled cells of a file as a clip; `read_sheet` and `as_clip` in one.

    Raises:
        UserError: as `read_sheet`.
    """
    return as_clip(read_sheet(files.expand(path), layout), size, ground, most)
