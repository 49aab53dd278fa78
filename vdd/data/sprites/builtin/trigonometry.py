"""Exact trigonometry: sines of whole degrees, rounded so that every machine has the same bits."""

import math

# No sine of a whole degree lies near a tie at this precision: the last bits of libm do not matter.
_SCALE = 1 << 14
_SINES = tuple(round(math.sin(math.radians(d)) * _SCALE) / _SCALE for d in range(360))

Vector = tuple[float, float, float]
Rotation = tuple[Vector, Vector, Vector]


def sine(degrees: int) -> float:
    """Sine of a whole angle in degrees."""
    return _SINES[degrees % 360]


def cosine(degrees: int) -> float:
    """Cosine of a whole angle in degrees."""
    return _SINES[(degrees + 90) % 360]


def about_x(degrees: int) -> Rotation:
    """Rotation that takes up (y) towards forward (z)."""
    c, s = cosine(degrees), sine(degrees)
    return ((1.0, 0.0, 0.0), (0.0, c, -s), (0.0, s, c))


def about_y(degrees: int) -> Rotation:
    """Rotation that takes forward (z) towards x."""
    c, s = cosine(degrees), sine(degrees)
    return ((c, 0.0, s), (0.0, 1.0, 0.0), (-s, 0.0, c))


def about_z(degrees: int) -> Rotation:
    """Rotation that takes up (y) towards x."""
    c, s = cosine(degrees), sine(degrees)
    return ((c, s, 0.0), (-s, c, 0.0), (0.0, 0.0, 1.0))


def turned(rotation: Rotation, vector: Vector) -> Vector:
    """The vector, rotated."""
    x, y, z = vector
    return (
        rotation[0][0] * x + rotation[0][1] * y + rotation[0][2] * z,
        rotation[1][0] * x + rotation[1][1] * y + rotation[1][2] * z,
        rotation[2][0] * x + rotation[2][1] * y + rotation[2][2] * z,
    )


def transposed(r: Rotation) -> Rotation:
    """The inverse rotation."""
    return (
        (r[0][0], r[1][0], r[2][0]),
        (r[0][1], r[1][1], r[2][1]),
        (r[0][2], r[1][2], r[2][2]),
    )


def chained(*rotations: Rotation) -> Rotation:
    """The product of rotations; the last one acts first."""
    product = rotations[0]
    for rotation in rotations[1:]:
        inner = transposed(rotation)
        product = transposed(
            (turned(product, inner[0]), turned(product, inner[1]), turned(product, inner[2]))
        )
    return product


def added(*vectors: Vector) -> Vector:
    """The sum of vectors, from left to right."""
    x, y, z = vectors[0]
    for vector in vectors[1:]:
        x, y, z = x + vector[0], y + vector[1], z + vector[2]
    return (x, y, z)


def scaled(vector: Vector, factor: float) -> Vector:
    """The vector times a number."""
    return (vector[0] * factor, vector[1] * factor, vector[2] * factor)
