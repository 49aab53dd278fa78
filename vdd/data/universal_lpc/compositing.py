"""Lays drawings over each other: the bytes of Pillow's `Image.alpha_composite`, frame by frame."""

from collections.abc import Iterable, Sequence

import numpy as np
from einops import rearrange
from jaxtyping import Int, UInt8

from vdd.data.universal_lpc.sheets import SIZE, Drawing

NOTHING = (0, 0, 0, 0)


def composite(
    drawings: Iterable[Drawing], cells: Int[np.ndarray, "t"], ground: Sequence[int] = NOTHING
) -> UInt8[np.ndarray, "t h w 4"]:
    """Draws the frames of a clip, RGBA with straight alpha.

    Args:
      drawings: the rearmost first.
      cells: which cell each frame shows.
      ground: RGBA of the flat colour below; with alpha 0 it is nothing, and pixels where nothing is
        drawn stay 0, 0, 0, 0.
    """
    flat = np.array(ground, np.uint8).view(np.uint32)
    canvas = np.repeat(flat, len(cells) * SIZE**2).view(np.uint8).reshape(-1, 4)
    # Neighbours in a motion lie side by side in a drawing: a slice for each run of cells.
    edges = np.flatnonzero(np.diff(cells) != 1) + 1
    runs = [(run[0], run[-1] + 1) for run in np.split(cells, edges)]
    frame_at = np.arange(len(cells)) * SIZE**2
    for drawing in drawings:
        spans = [slice(drawing.starts[first], drawing.starts[end]) for first, end in runs]
        counts = drawing.starts[cells + 1] - drawing.starts[cells]
        place = np.repeat(frame_at, counts)
        place += np.concatenate([drawing.at[span] for span in spans])
        index = np.concatenate([drawing.index[span] for span in spans])
        _lay(canvas, place, drawing.palette, index)
    return rearrange(canvas, "(t h w) c -> t h w c", h=SIZE, w=SIZE)


def _lay(
    canvas: UInt8[np.ndarray, "n 4"],
    place: Int[np.ndarray, "p"],
    palette: UInt8[np.ndarray, "k 4"],
    index: np.ndarray,
) -> None:
    """Lays pixels of a palette at some places of the canvas, each place at most once.

    Nearly all are opaque: only the translucent ones are worth arithmetic.
    """
    translucent = palette[:, 3] < 255
    some = np.flatnonzero(translucent[index]) if translucent.any() else np.empty(0, np.int64)
    mixed = over(palette[index[some]], canvas[place[some]])  # before they are drawn over
    canvas.view(np.uint32)[place, 0] = palette.view(np.uint32)[index, 0]
    canvas[place[some]] = mixed


def over(
    source: UInt8[np.ndarray, "n 4"], below: UInt8[np.ndarray, "n 4"]
) -> UInt8[np.ndarray, "n 4"]:
    """Pixels of straight alpha, none of them empty, over others: as Pillow rounds it.

    Pillow weighs colours in steps of 1 / (255 * 128), and divides by 255 to the nearest.
    """
    a, b = source[:, 3:].astype(np.uint32), below[:, 3:].astype(np.uint32)
    alpha = 255 * a + b * (255 - a)  # 255 times the alpha of the result
    weight = 255 * 255 * 128 * a // alpha
    colour = source[:, :3] * weight + below[:, :3] * (255 * 128 - weight)
    rounded = _by_255(colour + 128 * 128) // 128, _by_255(alpha + 128)
    return np.concatenate(rounded, axis=1).astype(np.uint8)


def _by_255(x: np.ndarray) -> np.ndarray:
    return ((x >> 8) + x) >> 8
