"""Six bottoms: trousers, shorts, skirt, robe, harem trousers, striped leggings."""

import numpy as np

from vdd.data.sprites.builtin.anatomy import leg, leg_silhouette, legs_in_order, trunk
from vdd.data.sprites.builtin.raster import Canvas, Plane, Surface, column, limb, ramp
from vdd.data.sprites.builtin.skeleton import Figure, Side

TROUSERS, SHORTS, SKIRT, ROBE, HAREM, LEGGINGS = range(6)
_BLUE, _RED, _GREEN = ramp(64, 96, 190), ramp(206, 52, 52), ramp(52, 152, 84)
_PURPLE, _SAND, _TEAL = ramp(132, 72, 178), ramp(240, 214, 130), ramp(44, 178, 164)
_GOLD, _WHITE = ramp(236, 182, 52), ramp(238, 238, 244)


def _seat(figure: Figure, wider: float = 0.0) -> Surface:
    """The hips, from the waist down to the thighs."""
    return trunk(
        figure,
        (6.2 + wider, 6.8 + wider, 7.0 + wider),
        (5.0 + wider, 5.4 + wider, 5.4 + wider),
        top=-7.4,
        bottom=-2.2,
    )


def _puffed(figure: Figure, side: Side) -> Surface:
    hip, knee, ankle = figure.legs[side].points
    low = (knee[0] + 0.4 * (ankle[0] - knee[0]), knee[1] + 0.4 * (ankle[1] - knee[1]))
    return limb((hip, knee, low), (4.2, 5.2, 4.6))


def _draw_leg(canvas: Canvas, figure: Figure, variant: int, side: Side, bias: float) -> None:
    if variant == HAREM:
        cuff = leg(figure, side, 0.7)
        canvas.fill(cuff.where(cuff.along < 1.86), _GOLD, bias)
        canvas.fill(_puffed(figure, side), _SAND, bias)
        return
    surface = leg(figure, side, 0.7)
    if variant == TROUSERS:
        canvas.fill(surface.where(surface.along < 1.82), _BLUE, bias)
        turn_up = np.abs(surface.along - 1.72) < 0.1
        canvas.fill(surface.where(turn_up), _BLUE, bias + 0.6, outline=False)
    elif variant == SHORTS:
        wide = leg(figure, side, 1.6)
        canvas.fill(wide.where(wide.along < 1.05), _RED, bias)
        canvas.fill(wide.where(np.abs(wide.along - 0.94) < 0.11), _WHITE, bias, outline=False)
    else:
        canvas.fill(surface.where(surface.along < 1.7), _TEAL, bias)
        bands = (surface.along * 2.4) % 1.0 < 0.45
        canvas.fill(surface.where(bands & (surface.along < 1.7)), _WHITE, bias, outline=False)


def _skirt(figure: Figure, length: float, hem: float, joint: int) -> Surface:
    """A flared tube from the waist whose hem trails behind and always spans the legs."""
    top = figure.at_chest((0.0, -8.0, 0.0))
    below = figure.at_pelvis((0.0, -length, 0.0))
    bottom = (below[0] + figure.drag[0] * length * 0.1, below[1] - figure.rise)
    reach = max(abs(leg.points[joint][0] - bottom[0]) for leg in figure.legs)
    flare = max(hem, reach + 3.2)
    return column(top, bottom, (6.0, 6.0 + 0.5 * (flare - 6.0), flare), sag=1.8, hem=_pleats)


def _pleats(x: Plane) -> Plane:
    return 1.6 * np.abs((x * 2.2 + 10.0) % 1.0 - 0.5)


def _draw_skirt(canvas: Canvas, figure: Figure, variant: int) -> None:
    if variant == SKIRT:
        surface, tones, trim = _skirt(figure, 8.4, 10.0, 1), _GREEN, _WHITE
    else:
        surface, tones, trim = _skirt(figure, 14.8, 9.6, 2), _PURPLE, _GOLD
    canvas.fill(surface, tones)
    across, _, depth = surface.local(figure.hips_turn)
    # Pleats keep their place on the cloth: bands of the angle around the figure.
    pleats = ((across * 2.6 + (depth > 0) * 0.5) % 1.0 < 0.3) & (surface.along > 0.25)
    canvas.fill(surface.where(pleats), tones, -0.55, outline=False)
    hem = surface.along > (0.82 if variant == SKIRT else 0.88)
    canvas.fill(surface.where(hem), trim, outline=False)
    if variant == ROBE:
        front = (depth > 0) & (np.abs(across) < 0.16) & (surface.along > 0.1)
        canvas.fill(surface.where(front), _GOLD, outline=False)


def draw_bottomwear(canvas: Canvas, figure: Figure, variant: int) -> None:
    """Far leg, near leg, then what goes around both."""
    if variant in (SKIRT, ROBE):
        _draw_skirt(canvas, figure, variant)
        return
    far, near = legs_in_order(figure)
    _draw_leg(canvas, figure, variant, far, -0.35)
    canvas.erase(leg_silhouette(figure, near))
    _draw_leg(canvas, figure, variant, near, 0.0)
    tones = {TROUSERS: _BLUE, SHORTS: _RED, HAREM: _SAND}.get(variant, _TEAL)
    canvas.fill(_seat(figure, 0.6 if variant == HAREM else 0.0), tones)
