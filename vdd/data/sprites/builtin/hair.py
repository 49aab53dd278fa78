"""Six heads of hair: cropped, long, tied, mohawk, curls, and bald under a pointed hat."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vdd.data.sprites.builtin.anatomy import HEAD_RX, HEAD_RY
from vdd.data.sprites.builtin.raster import (
    ROWS,
    Canvas,
    Mask,
    Plane,
    Ramp,
    Surface,
    ball,
    column,
    dilate,
    limb,
    ramp,
)
from vdd.data.sprites.builtin.skeleton import Figure
from vdd.data.sprites.builtin.trigonometry import cosine, sine, turned

CROPPED, LONG, TIED, MOHAWK, CURLS, HAT = range(6)


class Style(NamedTuple):
    """The colour of each head of hair, and how hair is tied."""

    tones: Sequence[Ramp]
    tail: bool  # at the side; else a bun on the crown, which is seen from all sides alike


# Muted on purpose: hair changes not much more of the picture than the way one faces, as in the LPC
# art. Where it changes three times as much, a short training's codes take it for motion
# (experiments/notebook/hair.md).
MUTED = Style(
    [
        ramp(84, 68, 76), ramp(184, 146, 90), ramp(160, 84, 50),
        ramp(126, 120, 72), ramp(116, 78, 88), ramp(102, 92, 98),
    ],
    tail=False,
)  # fmt: skip
VIVID = Style(
    [
        ramp(84, 76, 92), ramp(246, 206, 84), ramp(206, 70, 34),
        ramp(70, 214, 116), ramp(146, 92, 190), ramp(58, 78, 168),
    ],
    tail=True,
)  # fmt: skip
_CURL_RINGS = ((-0.3, 0.98, 9), (0.28, 1.0, 9), (0.84, 0.62, 7), (1.08, 0.1, 1))
# Spikes of the mohawk: height and depth on the unit head, and pixels aside at the tip.
_SPIKES = (
    (0.62, 0.74, 0.6),
    (0.88, 0.4, 5.2),
    (1.0, 0.0, -5.2),
    (0.86, -0.46, 3.4),
    (0.6, -0.78, -3.4),
)
_GOLD, _TEAL = ramp(244, 196, 64), ramp(70, 190, 200)


def _shell(figure: Figure, thicker: float) -> Surface:
    return ball((figure.head[0], figure.head[1] - 0.6), HEAD_RX + thicker, HEAD_RY + thicker)


def _grown(surface: Surface, figure: Figure, brow: float, nape: float, teeth: float) -> Mask:
    """Where hair covers the head: above `brow` at the forehead, above `nape` at the back.

    `teeth` cuts the fringe into locks; the parting sits on the figure's left.
    """
    x, y, z = surface.local(figure.head_turn)
    front = np.clip(z * 2.4 + 0.25, 0.0, 1.0)
    lock = np.abs(((x + 0.35) * 2.3) % 1.0 - 0.5) * teeth
    line = nape + front * (brow - nape) + front * (lock - 0.25 * teeth) + 0.05 * front * x
    return y > line


def _sheen(canvas: Canvas, surface: Surface, figure: Figure, tones: Ramp) -> None:
    """A broken band of light around the crown."""
    x, y, _ = surface.local(figure.head_turn)
    band = (np.abs(y - 0.62 + 0.1 * np.abs(x)) < 0.07) & ((x * 3.1 + 0.2) % 1.0 < 0.7)
    canvas.fill(surface.where(band & (surface.normal[0] < 0.55)), tones, 0.6, outline=False)


def _cap(canvas: Canvas, figure: Figure, tones: Ramp, thicker: float, *line: float) -> None:
    shell = _shell(figure, thicker)
    surface = shell.where(_grown(shell, figure, *line))
    canvas.fill(surface, tones)
    _sheen(canvas, surface, figure, tones)


def _draw_bun(canvas: Canvas, figure: Figure, tones: Ramp) -> None:
    """Hair tied on the crown with a ribbon."""
    x, y = figure.at_head((0.0, 11.4, -2.4))
    bun = ball((x + 0.3 * figure.drag[0], y - 0.2 * figure.rise), 6.0, 4.6)
    canvas.fill(bun, tones)
    canvas.fill(ball(figure.at_head((0.0, 9.0, -1.2)), 4.2, 1.7), _TEAL)


def _tail(figure: Figure) -> tuple[Surface, float]:
    """A pony tail tied high on the figure's left, and its depth relative to the head."""
    joints = (
        (2.0, 8.8, -6.0),
        (6.6, 12.4, -9.0),
        (12.0, 9.6, -13.0),
        (14.0, 0.6, -15.0),
        (11.6, -10.0, -16.0),
    )
    points = []
    for i, joint in enumerate(joints):
        x, y = figure.at_head(joint)
        pull = 0.1 * i * i
        points.append((x + figure.drag[0] * pull, y + 0.4 * pull * (figure.drag[1] - figure.rise)))
    return limb(points, (2.2, 3.0, 3.7, 3.5, 1.0)), turned(figure.head_turn, joints[3])[2]


def _draw_tail(canvas: Canvas, figure: Figure, tones: Ramp) -> None:
    """The tail where it hangs in front, and its ribbon."""
    surface, depth = _tail(figure)
    if depth >= 0.0:
        canvas.fill(surface, tones)
    canvas.fill(ball(figure.at_head((3.0, 8.8, -6.6)), 2.4, 2.2), _TEAL)


def _tips(x: Plane) -> Plane:
    """The hem of long hair: three pointed locks."""
    return -6.0 * np.abs((x * 1.5 + 10.0) % 1.0 - 0.5)


def draw_hair_back(canvas: Canvas, figure: Figure, variant: int, style: Style) -> None:
    """What hangs behind the trunk."""
    tones = style.tones[variant]
    if variant == LONG:
        top = figure.at_head((0.0, 2.0, -3.0))
        low = figure.at_chest((0.0, -9.0, -6.4))
        bottom = (low[0] + 1.4 * figure.drag[0], low[1] - figure.rise)
        across = abs(figure.head_turn[0][0])
        radii = (10.0, 11.4 + 0.6 * across, 10.0 + 2.6 * across, 7.0 + 5.0 * across)
        surface = column(top, bottom, radii, sag=-1.2, hem=_tips)
        canvas.fill(surface, tones, -0.1)
        strands = np.abs((surface.normal[0] * 1.5 + 10.0) % 1.0 - 0.5) > 0.42
        canvas.fill(surface.where(strands & (surface.along > 0.5)), tones, -0.8, outline=False)
    elif variant == TIED and style.tail:
        surface, depth = _tail(figure)
        if depth < 0.0:
            canvas.fill(surface, tones, -0.05)


def _join_behind(canvas: Canvas, figure: Figure, tones: Ramp) -> None:
    """Soften the outline where the cap of long hair runs into the hair behind it."""
    shell = _shell(figure, 1.8)
    _, _, z = shell.local(figure.head_turn)
    low = figure.head[1] < ROWS
    rim = dilate(shell.mask) & ~shell.mask & low & (z < -0.3)
    canvas.dab(rim, tones[1])


def _draw_locks(canvas: Canvas, figure: Figure, tones: Ramp) -> None:
    """Two locks that frame the face and lie on the shoulders."""
    for sign in (1.0, -1.0):
        joints = ((sign * 10.4, 0.0, 2.0), (sign * 10.6, -8.0, 3.0), (sign * 9.4, -15.0, 4.0))
        if turned(figure.head_turn, joints[1])[2] < -3.0:
            continue
        points = [figure.at_head(joint) for joint in joints]
        points[2] = (points[2][0] + 0.7 * figure.drag[0], points[2][1] - 0.6 * figure.rise)
        canvas.fill(limb(points, (1.6, 2.6, 1.2)), tones)


def _draw_mohawk(canvas: Canvas, figure: Figure, tones: Ramp) -> None:
    """A crest of spikes from brow to nape, and the shaved scalp under it."""
    shell = _shell(figure, 0.5)
    shadow = shell.where(_grown(shell, figure, 0.5, -0.1, 0.0))
    x, _, _ = shell.local(figure.head_turn)
    canvas.fill(shadow.where(np.abs(x) < 0.5), tones, -1.0)
    crest = []
    for y, z, aside in _SPIKES:
        root = figure.at_head((0.3 * aside, y * HEAD_RY, z * HEAD_RX))
        tip = figure.at_head((aside, y * (HEAD_RY + 6.4), z * (HEAD_RX + 5.4) - 1.6))
        tip = (tip[0] + 0.5 * figure.drag[0], tip[1] + 0.2 * figure.drag[1])
        crest.append(limb((root, tip), (3.8, 1.5)))
    facing = figure.head_turn[2][2] > 0
    canvas.fill_group(crest[::-1] if facing else crest, tones)


def _draw_curls(canvas: Canvas, figure: Figure, tones: Ramp) -> None:
    """Balls of hair all around the head except the face, those at the back first."""
    placed = []
    for y, ring, count in _CURL_RINGS:
        for i in range(count):
            angle = (2 * i + (y > 0)) * 180 // count  # rings are staggered
            x, z = ring * sine(angle), ring * cosine(angle)
            if z > 0.2 and y < 0.7:
                continue
            depth = turned(figure.head_turn, (x, y, z))[2]
            px, py = figure.at_head((x * 11.4, y * 10.4 + 2.4, z * 9.0 - 2.0))
            placed.append((depth, px + 0.25 * figure.drag[0], py))
    canvas.fill_group([ball((px, py), 4.1, 3.8) for _, px, py in sorted(placed)], tones)
    head = ball(figure.head, HEAD_RX, HEAD_RY)
    x, y, z = head.local(figure.head_turn)
    face = head.mask & (z > 0.3) & (np.abs(x) < 0.74) & (y + 0.25 * x * x < 0.28)
    canvas.dab(dilate(face) & (canvas.rgba[..., 3] > 0), tones[0])
    canvas.erase(face)


def _draw_hat(canvas: Canvas, figure: Figure, tones: Ramp) -> None:
    """A wide brim and a cone whose tip flops after the head."""
    brim = figure.at_head((0.0, 6.4, -0.6))
    tip = figure.at_head((1.2, 17.4, -6.6))
    tip = (tip[0] + 1.1 * figure.drag[0], tip[1] + 0.6 * figure.rise)
    bend = figure.at_head((0.4, 13.2, -1.6))
    bend = (bend[0] + 0.4 * figure.drag[0], bend[1])
    canvas.fill(ball((brim[0], brim[1] + 0.4), 15.0, 3.6), tones, -0.3)
    base = figure.at_head((0.0, 7.4, -0.6))
    cone = limb((base, bend, tip), (8.6, 4.8, 1.0))
    cone = cone.where(brim[1] + 2.2 > ROWS)
    canvas.fill(cone, tones)
    canvas.fill(cone.where(brim[1] - 1.6 < ROWS), _GOLD, outline=False)


def draw_hair(canvas: Canvas, figure: Figure, variant: int, style: Style) -> None:
    """What lies on the head."""
    tones = style.tones[variant]
    if variant == CROPPED:
        _cap(canvas, figure, tones, 1.2, 0.42, -0.35, 0.3)
    elif variant == LONG:
        _cap(canvas, figure, tones, 1.8, 0.4, -0.95, 0.16)
        _join_behind(canvas, figure, tones)
        _draw_locks(canvas, figure, tones)
    elif variant == TIED:
        _cap(canvas, figure, tones, 1.1, 0.5, -0.3, -0.2)
        (_draw_tail if style.tail else _draw_bun)(canvas, figure, tones)
    elif variant == MOHAWK:
        _draw_mohawk(canvas, figure, tones)
    elif variant == CURLS:
        _draw_curls(canvas, figure, tones)
    else:
        _draw_hat(canvas, figure, tones)
