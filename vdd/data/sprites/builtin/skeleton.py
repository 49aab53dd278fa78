"""The articulated figure: forward kinematics of a pose, seen by a camera that looks slightly down.

Figure frame: x to the figure's own left, y up, z forward; pixels. View frame: x right, y up, z to
the viewer. In the front view both are the same.
"""

from dataclasses import dataclass
from functools import cache

from vdd.data.sprites.builtin.motions import NUM_FRAMES, VIEWS, Pose, Segment, pose
from vdd.data.sprites.builtin.trigonometry import (
    Rotation,
    Vector,
    about_x,
    about_y,
    about_z,
    added,
    chained,
    cosine,
    scaled,
    sine,
    turned,
)

GROUND = 58.6
CENTRE = 32.0
CAMERA_PITCH = 14
THIGH = SHIN = 7.3
UPPER_ARM = FOREARM = 7.3
FOOT = 3.8
ANKLE = 2.2  # height of the ankle above the sole
HIP, SHOULDER = 3.6, 7.0  # half widths
TRUNK, NECK = 10.4, 10.8  # pelvis to chest, chest to the middle of the head

Side = int
LEFT, RIGHT = 0, 1


@dataclass(frozen=True)
class Limb:
    """Three joints on the picture (x, y) and the depth of the limb (towards the viewer)."""

    points: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    depth: float


@dataclass(frozen=True)
class Figure:
    """A posed figure on the picture. Rotations take a part's own frame to the view."""

    pelvis: tuple[float, float]
    chest: tuple[float, float]
    head: tuple[float, float]
    arms: tuple[Limb, Limb]  # shoulder, elbow, hand
    legs: tuple[Limb, Limb]  # hip, knee, ankle
    feet: tuple[Limb, Limb]  # ankle, ball of the foot, toe
    hips_turn: Rotation
    trunk_turn: Rotation
    head_turn: Rotation
    drag: tuple[float, float]  # where loose ends trail, in pixels of the picture
    rise: float  # how far loose ends are lifted by the speed of the body

    def at_chest(self, vector: Vector) -> tuple[float, float]:
        """The picture's point at `vector` from the chest, in the trunk's frame."""
        x, y, _ = turned(self.trunk_turn, vector)
        return (self.chest[0] + x, self.chest[1] - y)

    def at_head(self, vector: Vector) -> tuple[float, float]:
        """The picture's point at `vector` from the middle of the head, in the head's frame."""
        x, y, _ = turned(self.head_turn, vector)
        return (self.head[0] + x, self.head[1] - y)

    def at_pelvis(self, vector: Vector) -> tuple[float, float]:
        """The picture's point at `vector` from the pelvis, in the hips' frame."""
        x, y, _ = turned(self.hips_turn, vector)
        return (self.pelvis[0] + x, self.pelvis[1] - y)


def _direction(segment: Segment, side: Side, length: float) -> Vector:
    swing, spread = segment
    outward = sine(spread) if side == LEFT else -sine(spread)
    reach = cosine(spread)
    return (length * outward, -length * reach * cosine(swing), length * reach * sine(swing))


def _leg(position: Pose, side: Side, hips: Rotation) -> tuple[Vector, Vector, Vector, Vector]:
    """Hip, knee, ankle, toe from the pelvis."""
    thigh, shin = position.legs[side]
    hip = turned(hips, (HIP if side == LEFT else -HIP, 0.0, 0.0))
    knee = added(hip, turned(hips, _direction(thigh, side, THIGH)))
    ankle = added(knee, turned(hips, _direction(shin, side, SHIN)))
    # A lifted heel points the toes down; toes turn out a little.
    tilt = shin[0] * 6 // 10
    toe = turned(
        hips,
        (
            (0.8 if side == LEFT else -0.8),
            FOOT * sine(tilt),
            FOOT * cosine(tilt),
        ),
    )
    return hip, knee, ankle, added(ankle, toe)


def _arm(position: Pose, side: Side, trunk: Rotation) -> tuple[Vector, Vector, Vector]:
    """Shoulder, elbow, hand from the chest."""
    upper, fore = position.arms[side]
    shoulder = turned(trunk, (SHOULDER if side == LEFT else -SHOULDER, -1.0, 0.0))
    elbow = added(shoulder, turned(trunk, _direction(upper, side, UPPER_ARM)))
    hand = added(elbow, turned(trunk, _direction(fore, side, FOREARM)))
    return shoulder, elbow, hand


def _figure(position: Pose, view_yaw: int) -> Figure:
    view = chained(about_x(CAMERA_PITCH), about_y(view_yaw))
    hips = about_y(-position.twist // 3)
    trunk = chained(about_y(position.twist), about_x(position.lean), about_z(position.roll))
    head = chained(about_y(position.turn), about_x(position.nod), about_z(position.roll // 2))
    legs = tuple(_leg(position, side, hips) for side in (LEFT, RIGHT))
    lowest = min(min(leg[2][1], leg[3][1]) for leg in legs)
    left, up, forward = position.shift
    pelvis = (left, ANKLE - lowest + up, forward)
    chest = added(pelvis, turned(trunk, (0.0, TRUNK, 0.0)))
    skull = added(
        chest, turned(trunk, (0.0, NECK * 0.5, 0.0)), turned(head, (0.0, NECK * 0.5, 0.0))
    )

    def seen(point: Vector) -> Vector:
        return turned(view, point)

    def shown(point: Vector) -> tuple[float, float]:
        x, y, _ = seen(point)
        return (CENTRE + x, GROUND - y)

    def traced(joints: tuple[Vector, Vector, Vector], origin: Vector) -> Limb:
        placed = tuple(added(origin, joint) for joint in joints)
        depth = turned(about_y(view_yaw), scaled(added(joints[1], joints[2]), 0.5))[2]
        return Limb((shown(placed[0]), shown(placed[1]), shown(placed[2])), depth)

    arms = tuple(traced(_arm(position, side, trunk), chest) for side in (LEFT, RIGHT))
    feet = tuple((leg[2], scaled(added(leg[2], leg[3]), 0.5), leg[3]) for leg in legs)
    trail = seen((position.drag[0], 0.0, position.drag[1]))
    return Figure(
        pelvis=shown(pelvis),
        chest=shown(chest),
        head=shown(skull),
        arms=(arms[0], arms[1]),
        legs=(traced(legs[0][:3], pelvis), traced(legs[1][:3], pelvis)),
        feet=(traced(feet[0], pelvis), traced(feet[1], pelvis)),
        hips_turn=chained(view, hips),
        trunk_turn=chained(view, trunk),
        head_turn=chained(about_x(CAMERA_PITCH), about_y(view_yaw * 13 // 16), head),
        drag=(trail[0], -trail[1]),
        rise=abs(position.drag[0]) * 0.3 + abs(position.drag[1]) * 0.25,
    )


@cache
def figures(motion: int) -> tuple[Figure, ...]:
    """The eight figures of motion 0..8 (3 * action + direction)."""
    action, direction = divmod(motion, len(VIEWS))
    return tuple(_figure(pose(action, f), VIEWS[direction]) for f in range(NUM_FRAMES))
