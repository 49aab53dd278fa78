"""Six bodies: three human skins, an orc, a frost elf and a skeleton."""

import numpy as np

from vdd.data.sprites.builtin.anatomy import (
    HEAD_RX,
    HEAD_RY,
    arm,
    arms_in_order,
    hand,
    leg,
    leg_silhouette,
    legs_in_order,
    shoe,
    trunk,
)
from vdd.data.sprites.builtin.raster import Canvas, Surface, ball, limb, ramp
from vdd.data.sprites.builtin.skeleton import LEFT, RIGHT, Figure
from vdd.data.sprites.builtin.trigonometry import turned

LIGHT, TAN, DARK, ORC, FROST, SKELETON = range(6)
SKINS = (
    ramp(250, 206, 172),
    ramp(212, 146, 88),
    ramp(128, 78, 52),
    ramp(112, 172, 60),
    ramp(100, 152, 226),
    ramp(232, 230, 208),
)
_IRISES = (
    (48, 92, 160),
    (56, 110, 54),
    (70, 36, 20),
    (150, 30, 24),
    (250, 240, 120),
    (255, 70, 40),
)
_SHOES = ramp(116, 62, 44)
_INK = (26, 16, 26)
_WHITE = (255, 252, 244)


def _bones(surface: Surface) -> Surface:
    """Where a skeleton's limb shows the dark gaps at its joints."""
    t = surface.along
    return surface.where((np.abs(t - 1.0) < 0.14) | (np.abs(t - 1.9) < 0.1))


def draw_arms(canvas: Canvas, figure: Figure, variant: int, front: bool) -> None:
    """The arms in front of the trunk, or those behind it."""
    skin, bias = SKINS[variant], 0.0 if front else -0.35
    for side in arms_in_order(figure, front):
        surface = arm(figure, side)
        canvas.fill(surface, skin, bias)
        if variant == SKELETON:
            canvas.dab(_bones(surface).mask, skin[0])
        canvas.fill(hand(figure, side), skin, bias + 0.1)


def draw_body(canvas: Canvas, figure: Figure, variant: int) -> None:
    """Legs and trunk."""
    skin = SKINS[variant]
    far, near = legs_in_order(figure)
    for side, bias in ((far, -0.35), (near, 0.0)):
        surface = leg(figure, side)
        canvas.fill(surface, skin, bias)
        if variant == SKELETON:
            canvas.dab(_bones(surface).mask, skin[0])
    surface = trunk(figure, (6.0, 6.8, 6.0, 6.2), (5.0, 5.4, 4.8, 5.0), bottom=-2.0)
    canvas.fill(surface, skin)
    if variant == SKELETON:
        ribs = (surface.along * 5.0) % 1.0 < 0.4
        canvas.dab(surface.where(ribs & (surface.along < 0.7)).mask, skin[0])


def draw_shoes(canvas: Canvas, figure: Figure) -> None:
    """The boots, the same for everyone; the far one is hidden by the near leg."""
    far, near = legs_in_order(figure)
    canvas.fill(shoe(figure, far), _SHOES, -0.35)
    canvas.erase(leg_silhouette(figure, near))
    canvas.fill(shoe(figure, near), _SHOES)


def _ear(figure: Figure, variant: int, side: int) -> Surface:
    sign = 1.0 if side == LEFT else -1.0
    root, length, height = {
        ORC: (9.0, 6.6, 1.6),
        FROST: (9.0, 8.4, 5.4),
    }.get(variant, (9.8, 0.8, -0.4))
    tip = figure.at_head((sign * (root + length), height, -2.0))
    thick = {ORC: 2.4, FROST: 2.1}.get(variant, 1.5)
    return limb(
        (figure.at_head((sign * root, -1.4, -1.6)), tip), (thick, 0.7 if length > 2 else 1.5)
    )


def _near_ears(figure: Figure) -> tuple[bool, bool]:
    """Whether the left and the right side of the head face the viewer."""
    depth = figure.head_turn[2][0]
    return depth > 0.3, depth < -0.3


def _face_point(figure: Figure, x: float, y: float) -> tuple[int, int, float]:
    """A point of the face, (x, y) on the unit head: pixel column, row, how squarely it is seen."""
    z = float(np.sqrt(max(1.0 - x * x - y * y, 0.0)))
    nx, ny, nz = turned(figure.head_turn, (x, y, z))
    column = int(np.floor(figure.head[0] + nx * (HEAD_RX - 0.4)))
    row = int(np.floor(figure.head[1] - ny * (HEAD_RY - 0.4)))
    return column, row, nz


def _draw_eye(canvas: Canvas, figure: Figure, variant: int, x: float) -> None:
    column, row, facing = _face_point(figure, x, -0.06)
    if facing < 0.4:
        return
    left = column - (1 if x < 0 else 0)
    wide = 2 if facing > 0.5 else 1
    if variant == SKELETON:
        for dy in range(-2, 3):
            for dx in range(-1 if wide == 2 else 0, wide + 1):
                if abs(dy) < 2 or dx in range(wide):
                    canvas.pixel(left + dx, row + dy, _INK)
        canvas.pixel(left, row, _IRISES[variant])
        canvas.pixel(left + wide - 1, row, _IRISES[variant])
        return
    for dx in range(wide):
        for dy, colour in ((-2, _INK), (-1, _INK), (0, _INK), (1, _IRISES[variant])):
            canvas.pixel(left + dx, row + dy, colour)
    if wide == 1:
        return
    canvas.pixel(left, row - 1, _WHITE)
    outer = left + 2 if x > 0 else left - 1
    canvas.pixel(outer, row, _WHITE)
    canvas.pixel(outer, row + 1, _WHITE)


def _draw_mouth(canvas: Canvas, figure: Figure, variant: int) -> None:
    skin = SKINS[variant]
    xs = (-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3) if variant in (ORC, SKELETON) else (-0.1, 0.0, 0.1)
    for x in xs:
        column, row, facing = _face_point(figure, x, -0.56)
        if facing > 0.1:
            canvas.pixel(column, row, skin[0])
    for x in (-0.3, 0.3) if variant == ORC else ():
        column, row, facing = _face_point(figure, x, -0.56)
        if facing > 0.1:
            canvas.pixel(column, row, _WHITE)
            canvas.pixel(column, row - 1, _WHITE)
    for x in (-0.2, 0.0, 0.2) if variant == SKELETON else ():
        column, row, facing = _face_point(figure, x, -0.56)
        if facing > 0.1:
            canvas.pixel(column, row + 1, skin[0])
            canvas.pixel(column, row - 1, skin[0])


def draw_head(canvas: Canvas, figure: Figure, variant: int) -> None:
    """Neck, head, ears and face."""
    skin = SKINS[variant]
    near = _near_ears(figure)
    for side in (LEFT, RIGHT):
        if not near[side]:
            canvas.fill(_ear(figure, variant, side), skin, -0.2)
    canvas.fill(ball(figure.head, HEAD_RX, HEAD_RY), skin, 0.2)
    for x in (-0.4, 0.4):
        _draw_eye(canvas, figure, variant, x)
    if variant == SKELETON:
        column, row, facing = _face_point(figure, 0.0, -0.3)
        if facing > 0.1:
            canvas.pixel(column, row, skin[0])
    _draw_mouth(canvas, figure, variant)
    for side in (LEFT, RIGHT):
        if near[side] and variant in (LIGHT, TAN, DARK):
            canvas.fill(_ear(figure, variant, side), skin)


def draw_pointed_ears(canvas: Canvas, figure: Figure, variant: int) -> None:
    """The near ear of orc and elf, which pokes through the hair."""
    for side, near in enumerate(_near_ears(figure)):
        if near and variant in (ORC, FROST):
            canvas.fill(_ear(figure, variant, side), SKINS[variant])
