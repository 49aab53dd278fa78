"""Pixel-art rasteriser: shapes as surfaces with normals, three tones, dark outlines, hard alpha.

Only IEEE-exact operations touch a pixel (+, -, *, /, sqrt and comparisons, one ufunc each), so the
same bytes come out on every machine. `np.interp`, `np.hypot`, `@` and the like are left out on
purpose: compilers may fuse their multiply-adds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, UInt8

from vdd.data.sprites.builtin.trigonometry import Rotation

SIZE = 64
# Towards the light, from the viewer: left, up and out of the picture.
LIGHT = (-0.5, 0.62, 0.6)

_CENTRES = np.arange(SIZE, dtype=np.float64) + 0.5
# Number of each pixel's row.
ROWS = np.broadcast_to(np.arange(SIZE)[:, None], (SIZE, SIZE))
_X = np.broadcast_to(_CENTRES[None, :], (SIZE, SIZE))
_Y = np.broadcast_to(_CENTRES[:, None], (SIZE, SIZE))

Point = tuple[float, float]
Mask = Bool[np.ndarray, "h w"]
Plane = Float[np.ndarray, "h w"]
Ramp = UInt8[np.ndarray, "tone 3"]
Hem = Callable[[Plane], Plane]


def ramp(red: int, green: int, blue: int) -> Ramp:
    """Four tones of a colour: outline, shadow, base, light; shadows lean to violet."""
    outline = (red * 26 // 100 + 8, green * 22 // 100 + 4, blue * 30 // 100 + 14)
    shadow = (red * 68 // 100 + 4, green * 62 // 100, blue * 72 // 100 + 10)
    light = (
        min(red * 21 // 20 + (255 - red) * 24 // 100, 255),
        min(green * 21 // 20 + (255 - green) * 20 // 100, 255),
        min(blue * 21 // 20 + (255 - blue) * 16 // 100, 255),
    )
    return np.array([outline, shadow, (red, green, blue), light], np.uint8)


@dataclass(frozen=True)
class Surface:
    """A rasterised shape.

    Attributes:
      mask: where it is.
      normal: its unit normal (x right, y up, z to the viewer), meaningful inside the mask.
      along: position along its axis; what the numbers mean is up to the shape.
    """

    mask: Mask
    normal: tuple[Plane, Plane, Plane]
    along: Plane

    def local(self, rotation: Rotation) -> tuple[Plane, Plane, Plane]:
        """The normal in the frame that `rotation` takes to the view; textures are fixed to it."""
        nx, ny, nz = self.normal
        r = rotation
        return (
            r[0][0] * nx + r[1][0] * ny + r[2][0] * nz,
            r[0][1] * nx + r[1][1] * ny + r[2][1] * nz,
            r[0][2] * nx + r[1][2] * ny + r[2][2] * nz,
        )

    def where(self, mask: Mask) -> "Surface":
        """The part of the surface inside `mask`."""
        return Surface(self.mask & mask, self.normal, self.along)


def _out_of_plane(nx: Plane, ny: Plane) -> Plane:
    return np.sqrt(np.maximum(1.0 - (nx * nx + ny * ny), 0.0))


def _window(points: Sequence[Point], margin: float) -> tuple[slice, slice]:
    """Rows and columns that can lie within `margin` of the points; the rest need no arithmetic."""
    xs, ys = zip(*points)
    low_y, high_y = int(min(ys) - margin - 1.0), int(max(ys) + margin + 2.0)
    low_x, high_x = int(min(xs) - margin - 1.0), int(max(xs) + margin + 2.0)
    return slice(max(low_y, 0), max(high_y, 0)), slice(max(low_x, 0), max(high_x, 0))


def _placed(
    window: tuple[slice, slice], inside: np.ndarray, planes: Sequence[np.ndarray]
) -> Surface:
    """A surface from values in `window`: its mask, then the normal's three planes and `along`."""
    mask = np.zeros((SIZE, SIZE), bool)
    mask[window] = inside
    whole = np.zeros((4, SIZE, SIZE))
    for plane, values in zip(whole, planes):
        plane[window] = values
    return Surface(mask, (whole[0], whole[1], whole[2]), whole[3])


def ball(centre: Point, rx: float, ry: float) -> Surface:
    """An ellipsoid seen from the front; `along` runs from 0 at the top to 1 at the bottom."""
    window = _window((centre,), max(rx, ry))
    nx = (_X[window] - centre[0]) / rx
    ny = (centre[1] - _Y[window]) / ry
    planes = (nx, ny, _out_of_plane(nx, ny), (1.0 - ny) * 0.5)
    return _placed(window, nx * nx + ny * ny < 1.0, planes)


def limb(points: Sequence[Point], radii: Sequence[float]) -> Surface:
    """A chain of tapered capsules through `points`; `along` counts segments from 0."""
    window = _window(points, max(radii))
    x, y = _X[window], _Y[window]
    best = np.full(x.shape, np.inf)
    nx, ny, along = (np.zeros(x.shape) for _ in range(3))
    for i, ((ax, ay), (bx, by)) in enumerate(pairwise(points)):
        dx, dy = bx - ax, by - ay
        square = max(dx * dx + dy * dy, 1e-6)
        t = np.minimum(np.maximum(((x - ax) * dx + (y - ay) * dy) / square, 0.0), 1.0)
        radius = radii[i] + t * (radii[i + 1] - radii[i])
        ex, ey = (x - ax - t * dx) / radius, (ay + t * dy - y) / radius
        distance = ex * ex + ey * ey
        closer = distance < best
        best = np.where(closer, distance, best)
        nx, ny = np.where(closer, ex, nx), np.where(closer, ey, ny)
        along = np.where(closer, t + i, along)
    return _placed(window, best < 1.0, (nx, ny, _out_of_plane(nx, ny), along))


def column(
    top: Point, bottom: Point, radii: Sequence[float], sag: float = 1.2, hem: Hem | None = None
) -> Surface:
    """A vertical tube whose half width passes through `radii`, evenly spaced from top to bottom.

    Rings look curved downwards by `sag` pixels, since the camera looks from above. `hem` takes the
    horizontal normal (-1 to 1) to the pixels by which the tube is longer there. `along` runs from
    0 to 1.
    """
    height = max(bottom[1] - top[1], 1e-6)
    t = np.clip((_Y - top[1]) / height, 0.0, 1.0)
    step = np.minimum(np.floor(t * (len(radii) - 1)), len(radii) - 2).astype(np.int64)
    table = np.asarray(radii, np.float64)
    fraction = t * (len(radii) - 1) - step
    radius = table[step] + fraction * (table[step + 1] - table[step])
    nx = (_X - (top[0] + t * (bottom[0] - top[0]))) / radius
    nz = _out_of_plane(nx, np.zeros_like(nx))
    ring = _Y - sag * nz
    end = bottom[1] if hem is None else bottom[1] + hem(nx)
    mask = (np.abs(nx) < 1.0) & (ring > top[1] - sag) & (ring < end)
    return Surface(mask, (nx, np.zeros_like(nx), nz), (ring - top[1]) / height)


def dilate(mask: Mask) -> Mask:
    """The mask grown by one pixel up, down, left and right."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


class Canvas:
    """One transparent 64x64 picture, painted back to front."""

    def __init__(self):
        self.rgba = np.zeros((SIZE, SIZE, 4), np.uint8)

    def dab(self, mask: Mask, colour: Sequence[int] | UInt8[np.ndarray, "3"]) -> None:
        """Paint `mask` in one flat colour."""
        self.rgba[mask, :3] = colour
        self.rgba[mask, 3] = 255

    def fill(self, surface: Surface, tones: Ramp, bias: float = 0.0, outline: bool = True) -> None:
        """Paint a shaded surface; `bias` < 0 darkens it. The outline lies just outside the mask."""
        if outline:
            self.dab(dilate(surface.mask) & ~surface.mask, tones[0])
        at = np.nonzero(surface.mask)
        nx, ny, nz = (plane[at] for plane in surface.normal)
        lit = nx * LIGHT[0] + ny * LIGHT[1] + nz * LIGHT[2] + bias
        self.rgba[at[0], at[1], :3] = tones[1 + (lit > 0.1).astype(np.int64) + (lit > 0.84)]
        self.rgba[at[0], at[1], 3] = 255

    def fill_group(self, surfaces: Sequence[Surface], tones: Ramp, bias: float = 0.0) -> None:
        """Paint surfaces as one thing: dark outline around all, only a shadow line between them."""
        whole = np.any([surface.mask for surface in surfaces], axis=0)
        self.dab(dilate(whole) & ~whole, tones[0])
        for surface in surfaces:
            self.dab(dilate(surface.mask) & whole, tones[1])
            self.fill(surface, tones, bias, outline=False)

    def pixel(self, x: int, y: int, colour: Sequence[int] | UInt8[np.ndarray, "3"]) -> None:
        """Paint one pixel; outside the picture nothing happens."""
        if 0 <= x < SIZE and 0 <= y < SIZE:
            self.rgba[y, x] = (*colour, 255)

    def erase(self, mask: Mask) -> None:
        """Make `mask` transparent again."""
        self.rgba[mask] = 0
