"""Sprite art drawn by code: the parts of 1296 little adventurers in nine motions, in two styles.

Same factors as the LPC Sprites benchmark (body, bottomwear, topwear, hair: six variants each;
motion = 3 * action + direction with action walk, spellcard, slash and direction front, left,
right), but our own drawing, so that no art files are needed. The bytes are the same on every
machine.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from jaxtyping import UInt8

from vdd.data.sprites.builtin.bodies import (
    draw_arms,
    draw_body,
    draw_head,
    draw_pointed_ears,
    draw_shoes,
)
from vdd.data.sprites.builtin.bottomwear import draw_bottomwear
from vdd.data.sprites.builtin.hair import MUTED, VIVID, Style, draw_hair, draw_hair_back
from vdd.data.sprites.builtin.raster import Canvas
from vdd.data.sprites.builtin.skeleton import Figure, figures
from vdd.data.sprites.builtin.topwear import draw_cape, draw_sleeves, draw_topwear

# (part, factor whose variant it follows), bottom to top; None: the same for every character.
ORDER: tuple[tuple[str, str | None], ...] = (
    ("hair_back", "hair"),
    ("cape", "topwear"),
    ("arm_back", "body"),
    ("sleeve_back", "topwear"),
    ("body", "body"),
    ("shoes", None),
    ("bottomwear", "bottomwear"),
    ("topwear", "topwear"),
    ("head", "body"),
    ("hair", "hair"),
    ("ears", "body"),
    ("arm_front", "body"),
    ("sleeve_front", "topwear"),
)

# Hair is what the styles differ in. `vivid` has it in vivid colours and with a tail at the side: it
# changes more of the picture than a turn of the body does.
STYLES = {"builtin": MUTED, "vivid": VIVID}
_DRAW_HAIR: dict[str, Callable[[Canvas, Figure, int, Style], None]] = {
    "hair_back": draw_hair_back,
    "hair": draw_hair,
}
_DRAW: dict[str, Callable[[Canvas, Figure, int], None]] = {
    "cape": draw_cape,
    "arm_back": lambda canvas, figure, variant: draw_arms(canvas, figure, variant, front=False),
    "sleeve_back": lambda canvas, figure, variant: draw_sleeves(canvas, figure, variant, False),
    "body": draw_body,
    "shoes": lambda canvas, figure, variant: draw_shoes(canvas, figure),
    "bottomwear": draw_bottomwear,
    "topwear": draw_topwear,
    "head": draw_head,
    "ears": draw_pointed_ears,
    "arm_front": lambda canvas, figure, variant: draw_arms(canvas, figure, variant, front=True),
    "sleeve_front": lambda canvas, figure, variant: draw_sleeves(canvas, figure, variant, True),
}


@cache
def part_frames(
    part: str, variant: int, motion: int, style: str = "builtin"
) -> UInt8[np.ndarray, "8 64 64 4"]:
    """The eight frames of one part: RGBA, straight alpha, every alpha 0 or 255; read-only.

    Args:
      part: a name from `ORDER`.
      variant: 0..5 (ignored by parts whose factor is None).
      motion: 0..8, 3 * action + direction.
      style: a name from `STYLES`.

    Raises:
      KeyError: `part` is no name from `ORDER`, or `style` none from `STYLES`.
      IndexError: `variant` or `motion` is out of range.
    """
    if not (0 <= variant < 6 and 0 <= motion < 9):
        raise IndexError(f"variant must be 0..5 and motion 0..8, not {variant} and {motion}")
    frames = []
    for figure in figures(motion):
        canvas = Canvas()
        if part in _DRAW_HAIR:
            _DRAW_HAIR[part](canvas, figure, variant, STYLES[style])
        else:
            _DRAW[part](canvas, figure, variant)
        frames.append(canvas.rgba)
    stack = np.stack(frames)
    stack.setflags(write=False)
    return stack
