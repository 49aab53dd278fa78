"""Shapes of limbs and trunk that bodies and clothes share, and which of them hides which."""

from collections.abc import Sequence

import numpy as np

from vdd.data.sprites.builtin.raster import Hem, Mask, Surface, column, dilate, limb
from vdd.data.sprites.builtin.skeleton import LEFT, RIGHT, Figure, Side

# An arm whose middle lies this far behind the trunk's middle is hidden by the trunk.
_BEHIND = -1.2
HEAD_RX, HEAD_RY = 10.8, 10.0


def arm(figure: Figure, side: Side, thicker: float = 0.0) -> Surface:
    """Shoulder to wrist; `along` is 0 at the shoulder, 1 at the elbow, 2 at the wrist."""
    radii = (2.6 + thicker, 2.4 + thicker, 2.0 + thicker)
    return limb(figure.arms[side].points, radii)


def hand(figure: Figure, side: Side) -> Surface:
    """The fist at the end of the forearm."""
    _, elbow, wrist = figure.arms[side].points
    reach = (wrist[0] + 0.12 * (wrist[0] - elbow[0]), wrist[1] + 0.12 * (wrist[1] - elbow[1]))
    return limb((wrist, reach), (2.8, 2.7))


def leg(figure: Figure, side: Side, thicker: float = 0.0) -> Surface:
    """Hip to ankle; `along` is 0 at the hip, 1 at the knee, 2 at the ankle."""
    radii = (3.4 + thicker, 2.9 + thicker, 2.4 + thicker)
    return limb(figure.legs[side].points, radii)


def shoe(figure: Figure, side: Side) -> Surface:
    """The foot and the ankle above it."""
    _, knee, ankle = figure.legs[side].points
    cuff = (ankle[0] + 0.3 * (knee[0] - ankle[0]), ankle[1] + 0.3 * (knee[1] - ankle[1]))
    return limb((cuff, ankle, figure.feet[side].points[2]), (2.7, 2.7, 2.4))


def leg_silhouette(figure: Figure, side: Side) -> Mask:
    """A bare leg with its shoe, outlines included: what it hides of things behind it."""
    return dilate(leg(figure, side).mask | shoe(figure, side).mask)


def arm_silhouette(figure: Figure, side: Side) -> Mask:
    """A bare arm with its hand, outlines included."""
    return dilate(arm(figure, side).mask | hand(figure, side).mask)


def far_to_near(depths: Sequence[float]) -> tuple[Side, Side]:
    """The two sides, the one farther from the viewer first."""
    return (LEFT, RIGHT) if depths[LEFT] <= depths[RIGHT] else (RIGHT, LEFT)


def legs_in_order(figure: Figure) -> tuple[Side, Side]:
    """The legs, far one first."""
    return far_to_near([f.depth for f in figure.feet])


def arms_in_order(figure: Figure, front: bool) -> tuple[Side, ...]:
    """The arms in front of the trunk, or those behind it, far one first."""
    sides = far_to_near([a.depth for a in figure.arms])
    return tuple(s for s in sides if (figure.arms[s].depth > _BEHIND) == front)


def trunk(
    figure: Figure,
    widths: Sequence[float],
    depths: Sequence[float],
    top: float = 1.6,
    bottom: float = 0.0,
    hem: Hem | None = None,
) -> Surface:
    """The trunk from `top` above the chest to `bottom` above the pelvis.

    `widths` and `depths` are half extents across and along the figure, from top to bottom; what the
    camera sees of them depends on how far the trunk is turned.
    """
    across, deep = figure.trunk_turn[0][0], figure.trunk_turn[0][2]
    radii = [
        float(np.sqrt(w * across * w * across + d * deep * d * deep))
        for w, d in zip(widths, depths)
    ]
    return column(
        figure.at_chest((0.0, top, 0.0)), figure.at_pelvis((0.0, bottom, 0.0)), radii, hem=hem
    )
