"""Pictures of what a model does: contact sheets, the swap matrix, and moving transfers.

Each function takes uint8 clips and gives PIL images, drawn on a dark ground with captions, so that
a picture says by itself what it shows.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

_GROUND = (24, 25, 31)
_TEXT = (232, 232, 236)
_QUIET = (150, 152, 162)
_REAL = (242, 183, 78)  # frame around real clips, so that they are not taken for samples
_GAP = 6
_MARGIN = 16
_LABEL_SIZE = 15
_TITLE_SIZE = 21

Clip = UInt8[np.ndarray, "t h w 3"]


def contact_sheet(
    title: str, pairs: Sequence[tuple[str, Clip, Clip]], names: tuple[str, str], scale: int = 2
) -> Image.Image:
    """All frames of clips, one below the other in pairs of rows.

    Args:
      title: above the sheet.
      pairs: for each pair its label, a real clip, and what a model made of it.
      names: of the upper and the lower row of each pair.
      scale: size of a pixel.
    """
    frames, height, width, _ = pairs[0][1].shape
    left = max(_text_width(text, _LABEL_SIZE) for text in (*names, *(p[0] for p in pairs))) + 24
    row, column = height * scale + _GAP, width * scale + _GAP
    block = 2 * row + 14
    size = (2 * _MARGIN + left + frames * column, 2 * _MARGIN + 40 + len(pairs) * block)
    sheet = _Sheet(size, title)
    for i, (label, real, made) in enumerate(pairs):
        top = _MARGIN + 40 + i * block
        for place, (name, clip) in enumerate(zip(names, (real, made))):
            y = top + place * row
            sheet.text((_MARGIN, y + row // 2 - 18), label, _TEXT if place == 0 else _QUIET)
            sheet.text((_MARGIN, y + row // 2), name, _REAL if place == 0 else _QUIET)
            for t, frame in enumerate(clip):
                x = _MARGIN + left + t * column
                sheet.frame((x, y), frame, scale, real=place == 0)
    return sheet.image


def swap_matrix(
    title: str,
    content: UInt8[np.ndarray, "r t h w 3"],
    motion: UInt8[np.ndarray, "n t h w 3"],
    names: Sequence[str],
    swaps: UInt8[np.ndarray, "r n t h w 3"],
    scale: int = 2,
) -> list[Image.Image]:
    """Every content in every motion, one image for each frame of the clips.

    Args:
      title: above the matrix.
      content: real clips whose content the rows take: the left margin.
      motion: real clips whose motion the columns take: the upper margin.
      names: of the motions.
      swaps: what the model made of them, rows by columns.
      scale: size of a pixel.
    """  # fmt: skip
    height, width = content.shape[2:4]
    row, column = height * scale + _GAP, width * scale + _GAP
    left, top = _MARGIN + 24 + column, _MARGIN + 64 + row
    size = (left + len(motion) * column + _MARGIN + 8, top + len(content) * row + _MARGIN + 8)
    images = []
    for t in range(content.shape[1]):
        sheet = _Sheet(size, title)
        sheet.text((left - 98, top - row // 2 - 18), "motion", _REAL)
        sheet.arrow((left - 42, top - row // 2 - 8), (1, 0))
        sheet.text((left - column - 8, top - 48), "content", _REAL, centre=width * scale)
        sheet.arrow((left - column - 8 + width * scale // 2, top - 28), (0, 1), length=14)
        for j, (name, clip) in enumerate(zip(names, motion)):
            x = left + j * column
            sheet.text((x, top - row - 30), name, _TEXT, centre=width * scale)
            sheet.frame((x, top - row - 8), clip[t], scale, real=True)
        for i, clip in enumerate(content):
            y = top + i * row
            sheet.frame((left - column - 8, y), clip[t], scale, real=True)
            for j in range(len(motion)):
                sheet.frame((left + j * column, y), swaps[i, j, t], scale)
        images.append(sheet.image)
    return images


def side_by_side(
    columns: Sequence[tuple[str, str, Clip, bool]], scale: int = 3
) -> list[Image.Image]:
    """Clips beside each other, one image a frame.

    Args:
      columns: for each its title, its subtitle, the clip, and whether that is a real one.
      scale: size of a pixel.
    """
    frames, height, width, _ = columns[0][2].shape
    column = width * scale + 14
    size = (2 * _MARGIN + len(columns) * column - 14, 2 * _MARGIN + 44 + height * scale)
    images = []
    for t in range(frames):
        sheet = _Sheet(size, "")
        for i, (title, subtitle, clip, real) in enumerate(columns):
            x = _MARGIN + i * column
            sheet.text((x, _MARGIN - 6), title, _REAL if real else _TEXT, centre=width * scale)
            sheet.text((x, _MARGIN + 14), subtitle, _QUIET, centre=width * scale)
            sheet.frame((x, _MARGIN + 44), clip[t], scale, real)
        images.append(sheet.image)
    return images


class _Sheet:
    """A canvas with a title."""

    def __init__(self, size: tuple[int, int], title: str):
        size = (max(size[0], _text_width(title, _TITLE_SIZE) + 2 * _MARGIN), size[1])
        self.image = Image.new("RGB", size, _GROUND)
        self._draw = ImageDraw.Draw(self.image)
        self._draw.text((_MARGIN, _MARGIN - 4), title, fill=_TEXT, font=_font(_TITLE_SIZE))

    def text(
        self, place: tuple[int, int], text: str, colour: tuple[int, int, int], centre: int = 0
    ) -> None:
        """Writes a label; with `centre`, in the middle of so many pixels."""
        x, y = place
        if centre:
            x += (centre - _text_width(text, _LABEL_SIZE)) // 2
        self._draw.text((x, y), text, fill=colour, font=_font(_LABEL_SIZE))

    def frame(
        self, place: tuple[int, int], pixels: UInt8[np.ndarray, "h w 3"], scale: int,
        real: bool = False,
    ) -> None:  # fmt: skip
        """Pastes a frame, its pixels as squares; real ones are outlined."""
        x, y = place
        picture = Image.fromarray(pixels.repeat(scale, 0).repeat(scale, 1))
        if real:
            box = (x - 2, y - 2, x + picture.width + 1, y + picture.height + 1)
            self._draw.rectangle(box, outline=_REAL, width=2)
        self.image.paste(picture, place)

    def arrow(self, place: tuple[int, int], direction: tuple[int, int], length: int = 22) -> None:
        """Draws an arrow that points right (1, 0) or down (0, 1)."""
        (x, y), (dx, dy) = place, direction
        tip = (x + dx * length, y + dy * length)
        self._draw.line((x, y, *tip), fill=_REAL, width=2)
        for side in (-4, 4):
            barb = (tip[0] - 5 * dx + side * dy, tip[1] - 5 * dy + side * dx)
            self._draw.line((*barb, *tip), fill=_REAL, width=2)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _text_width(text: str, size: int) -> int:
    return round(_font(size).getlength(text))
