"""Six tops: shirt, vest, armour, dress top, striped jersey, tunic with cape."""

import numpy as np

from vdd.data.sprites.builtin.anatomy import arm, arm_silhouette, arms_in_order, trunk
from vdd.data.sprites.builtin.raster import Canvas, Mask, Plane, Ramp, Surface, ball, column, ramp
from vdd.data.sprites.builtin.skeleton import Figure

SHIRT, VEST, ARMOUR, DRESS, STRIPES, CAPE = range(6)
_WHITE, _BURGUNDY, _STEEL = ramp(236, 236, 240), ramp(146, 40, 78), ramp(150, 164, 184)
_PINK, _NAVY, _FOREST = ramp(238, 104, 168), ramp(44, 62, 128), ramp(36, 120, 116)
_CRIMSON, _GOLD, _BELT = ramp(196, 36, 52), ramp(240, 190, 60), ramp(134, 82, 44)
_SUN = ramp(246, 206, 62)
_MAIN = (_WHITE, _BURGUNDY, _STEEL, _PINK, _SUN, _FOREST)
# Where the sleeve ends along the arm (1 elbow, 2 wrist); the vest has none.
_SLEEVE_END = (1.75, 0.0, 1.0, 0.75, 1.35, 1.6)
_SLEEVE_GIRTH = (0.7, 0.0, 0.9, 1.7, 0.7, 0.7)


def _torso(figure: Figure, variant: int) -> Surface:
    if variant == DRESS:
        return trunk(figure, (6.2, 7.2, 6.0, 6.2, 8.4), (5.0, 6.0, 5.0, 5.4, 7.2), bottom=0.4)
    if variant == ARMOUR:
        return trunk(figure, (7.0, 8.0, 7.2, 7.0), (5.4, 6.4, 5.8, 5.6), bottom=1.6)
    return trunk(figure, (6.4, 7.4, 6.6, 6.8), (5.2, 5.8, 5.4, 5.4), bottom=1.2)


def draw_topwear(canvas: Canvas, figure: Figure, variant: int) -> None:
    """What covers the trunk."""
    surface = _torso(figure, variant)
    across, _, depth = surface.local(figure.trunk_turn)
    t, front = surface.along, depth > 0.0
    canvas.fill(surface, _MAIN[variant])

    def mark(mask: Mask, tones: Ramp, bias: float = 0.0) -> None:
        canvas.fill(surface.where(mask), tones, bias, outline=False)

    if variant == SHIRT:
        mark(front & (np.abs(across) < 0.12), _WHITE, -0.6)
        mark(front & (np.abs(across) < 0.12) & ((t * 4.0) % 1.0 < 0.3), _GOLD)
        mark(t < 0.34, _WHITE, 0.5)
        mark(t > 0.86, _BELT)
    elif variant == VEST:
        open_front = front & (np.abs(across) < 0.42 - 0.3 * t) & (t < 0.82)
        seam = front & (np.abs(across) < 0.56 - 0.3 * t) & (t < 0.86)
        canvas.dab(surface.where(seam).mask, _BURGUNDY[0])
        canvas.erase(surface.where(open_front).mask)
        mark(t > 0.82, _GOLD)
    elif variant == ARMOUR:
        mark((t > 0.58) & (t < 0.68), _STEEL, -0.8)
        mark(front & (np.abs(across) < 0.12) & (t < 0.6), _STEEL, 0.6)
        mark(t > 0.86, _GOLD)
        mark(t < 0.3, _GOLD)
    elif variant == DRESS:
        mark(np.abs(t - 0.6) < 0.08, _WHITE)
        mark(front & (np.abs(across) < 0.3) & (t < 0.5), _WHITE)
        mark(t > 0.92, _WHITE)
    elif variant == STRIPES:
        mark((t * 4.0 + 0.5) % 1.0 < 0.5, _NAVY)
    else:
        mark(t > 0.82, _BELT)
        mark(t < 0.42, _CRIMSON)
        mark(front & (np.abs(across) < 0.28) & (np.abs(t - 0.36) < 0.1), _GOLD)


def draw_sleeves(canvas: Canvas, figure: Figure, variant: int, front: bool) -> None:
    """The sleeves of the arms in front of the trunk, or of those behind it."""
    if variant == VEST:
        return
    bias = 0.0 if front else -0.35
    tones, end = _MAIN[variant], _SLEEVE_END[variant]
    for side in arms_in_order(figure, front):
        canvas.erase(arm_silhouette(figure, side))
        surface = arm(figure, side, _SLEEVE_GIRTH[variant])
        canvas.fill(surface.where(surface.along < end), tones, bias)
        if variant == STRIPES:
            bands = ((surface.along * 3.0) % 1.0 < 0.45) & (surface.along < end)
            canvas.fill(surface.where(bands), _NAVY, bias, outline=False)
        elif variant == ARMOUR:
            canvas.fill(ball(figure.arms[side].points[0], 4.4, 4.0), _STEEL, bias + 0.15)
        elif variant == CAPE:
            cuff = np.abs(surface.along - end + 0.1) < 0.16
            canvas.fill(surface.where(cuff & (surface.along < end)), _GOLD, bias, outline=False)


def _scallops(x: Plane) -> Plane:
    return -4.0 * np.abs((x * 1.7 + 10.25) % 1.0 - 0.5)


def draw_cape(canvas: Canvas, figure: Figure, variant: int) -> None:
    """The cape, behind everything; it swings with what the body does."""
    if variant != CAPE:
        return
    top = figure.at_chest((0.0, 1.4, -3.4))
    low = figure.at_pelvis((0.0, -12.0, -6.4))
    bottom = (low[0] + 1.3 * figure.drag[0], low[1] + 0.3 * figure.drag[1] - 1.4 * figure.rise)
    across = abs(figure.trunk_turn[0][0])
    flare = 5.8 + 9.4 * across
    surface = column(
        top, bottom, (4.6 + 3.2 * across, 5.2 + 7.4 * across, flare), sag=-1.4, hem=_scallops
    )
    canvas.fill(surface, _CRIMSON, -0.1)
    folds = np.abs((surface.normal[0] * 1.7 + 10.25) % 1.0 - 0.5) > 0.36
    canvas.fill(surface.where(folds & (surface.along > 0.3)), _CRIMSON, -0.7, outline=False)
    canvas.fill(surface.where(surface.along > 0.92), _GOLD, outline=False)
