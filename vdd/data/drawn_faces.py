"""Heads that the package draws itself, nobody's: what a model of faces is tried on without data."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

COUNT = 12  # seeds that look different
FRAMES = 24  # in which a head moves once, and comes back to rest
_FINER = 4  # drawn so much larger, so that edges are smooth
_CORNERS = 90  # of the polygon that an ellipse is drawn as
_NECK = (0.0, 0.6)  # about which a head leans

Colour = tuple[int, int, int]
Place = tuple[float, float, float]  # to the right, down, and near: how much it moves
_SKINS = ((241, 205, 178), (224, 172, 138), (190, 132, 98), (141, 90, 64), (96, 61, 46))
_HAIRS = ((38, 30, 28), (92, 58, 34), (168, 114, 58), (214, 182, 120), (128, 128, 132))
_CLOTHES = ((62, 84, 128), (140, 56, 62), (70, 112, 84), (120, 98, 150), (200, 190, 170))
_WALLS = ((198, 206, 212), (168, 182, 170), (214, 200, 186), (120, 132, 148))


class Pose(NamedTuple):
    """Where a head is: turned to its left, lowered, leant (each -1 to 1), mouth and eyes open."""

    turn: float = 0.0
    nod: float = 0.0
    lean: float = 0.0
    mouth: float = 0.0
    eyes: float = 1.0


def clip(seed: int, frames: int = FRAMES, side: int = 64) -> UInt8[np.ndarray, "t side side 3"]:
    """A head that moves; it begins at rest. Who it is and how it moves follow from the seed."""
    return np.stack([picture(seed, pose(seed, i / FRAMES), side) for i in range(frames)])


def pose(seed: int, time: float) -> Pose:
    """The pose at a time, of which a round of the motion takes 1."""
    rng = np.random.default_rng((seed, 1))
    turn, nod, lean, mouth = rng.uniform(0.3, 1, 4) * rng.choice([-1, 1], 4)
    beats = rng.integers(1, 3, 3)
    turn, nod, lean = (
        much * math.sin(2 * math.pi * beat * time)
        for much, beat in zip((turn, nod, 0.7 * lean), beats)
    )
    blink = abs((3 * time + 0.5) % 1 - 0.5) < 0.06 and time % 1 > 0.1
    return Pose(turn, nod, lean, abs(mouth * math.sin(4 * math.pi * time)), 0.1 if blink else 1.0)


def picture(seed: int, pose: Pose, side: int) -> UInt8[np.ndarray, "side side 3"]:
    """One frame."""
    rng = np.random.default_rng(seed)
    skin, hair, clothes, wall = (
        tuple(rng.permutation(some)[0].tolist()) for some in (_SKINS, _HAIRS, _CLOTHES, _WALLS)
    )
    wide, long, fringe = rng.uniform(0.92, 1.08), rng.uniform(0, 1), rng.uniform(0.25, 0.5)
    pen = _Pen(_FINER * side, wall)
    pen.oval((0, 1.28, 0), (0.86, 0.55), clothes)
    pen.oval((0, 0.68, 0), (0.22, 0.34), _darker(skin, 0.82))
    pen.lean, pen.wide = math.radians(9 * pose.lean), wide
    pen.shift = 0.10 * pose.turn, 0.07 * pose.nod
    _head(pen, pose, skin, hair, long, fringe)
    return np.asarray(pen.image.resize((side, side), Image.Resampling.BOX))


def _head(pen: "_Pen", pose: Pose, skin: Colour, hair: Colour, long: float, fringe: float) -> None:
    """Draws a head from back to front; what is nearer to the eye moves more."""
    pen.oval((0, -0.22 + 0.1 * long, 0.6), (0.56 * pen.wide, 0.6 + 0.1 * long), hair)
    for ear in (-0.5, 0.5):
        pen.oval((ear, 0.0, 0.2), (0.09, 0.14), _darker(skin, 0.9))
    pen.oval((0, -0.02, 1), (0.48 * pen.wide, 0.62), skin)
    pen.pie((0, -0.18, 1.1), (0.5 * pen.wide, 0.52), hair, 180 + 40 * fringe, 360 - 40 * fringe)
    for eye in (-0.2, 0.2):
        pen.oval((eye, -0.04, 2), (0.1, 0.055 * pose.eyes), (250, 250, 248))
        looks = (eye + 0.02 * pose.turn, -0.04 + 0.01 * pose.nod, 2.1)
        pen.oval(looks, (0.045, 0.05 * pose.eyes), (44, 36, 34))
        pen.oval((eye, -0.16, 2), (0.12, 0.022), _darker(hair, 0.8))
    pen.oval((0, 0.12, 2.6), (0.055, 0.09), _darker(skin, 0.88))
    pen.oval((0, 0.33, 2.1), (0.17, 0.03 + 0.06 * pose.mouth), (150, 66, 66))
    pen.oval((0, 0.33, 2.1), (0.13, 0.05 * pose.mouth), (60, 24, 28))


class _Pen:
    """Draws ovals; the picture goes from -1 to 1, x to the right and y down."""

    lean = 0.0  # radians by which what is drawn is turned about the neck, clockwise
    wide = 1.0  # by which places are stretched to the sides
    shift = (0.0, 0.0)  # by which what has depth 1 moves: the nearer, the more

    def __init__(self, size: int, ground: Colour):
        self.image = Image.new("RGB", (size, size), ground)
        self._draw, self._half = ImageDraw.Draw(self.image), size / 2

    def oval(self, middle: Place, radii: tuple[float, float], colour: Colour) -> None:
        """A filled ellipse."""
        self.pie(middle, radii, colour, 0, 360)

    def pie(
        self,
        middle: Place,
        radii: tuple[float, float],
        colour: Colour,
        start: float,
        end: float,
    ) -> None:
        """The part of an ellipse on one side of a chord; degrees, clockwise from the right."""
        angles = np.radians(np.linspace(start, end, _CORNERS))
        right, down, depth = middle
        place = np.array([self.wide * right, down]) + depth * np.array(self.shift)
        points = np.stack([np.cos(angles), np.sin(angles)], -1) * radii + place - _NECK
        cos, sin = math.cos(self.lean), math.sin(self.lean)
        points = points @ np.array([[cos, sin], [-sin, cos]]) + _NECK
        self._draw.polygon((self._half * (1 + points)).ravel().tolist(), colour)


def _darker(colour: Colour, by: float) -> Colour:
    red, green, blue = colour
    return round(by * red), round(by * green), round(by * blue)
