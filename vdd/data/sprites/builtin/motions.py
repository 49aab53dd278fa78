"""The nine motions: poses of the skeleton for walk, spellcard and slash, eight frames each.

Angles are whole degrees, lengths pixels. An arm or leg segment is given by its swing (0 hangs down,
90 points forward, 180 up) and its spread (sideways, away from the body; negative reaches across).
"""

from dataclasses import dataclass

from vdd.data.sprites.builtin.trigonometry import sine

NUM_FRAMES = 8

Segment = tuple[int, int]


@dataclass(frozen=True)
class Pose:
    """Where the body is in one frame; pairs are (left, right) of the figure itself."""

    arms: tuple[tuple[Segment, Segment], tuple[Segment, Segment]]  # (upper arm, forearm) each
    legs: tuple[tuple[Segment, Segment], tuple[Segment, Segment]]  # (thigh, shin) each
    twist: int = 0  # trunk about the vertical; positive turns the chest to the figure's left
    lean: int = 0  # trunk forward
    roll: int = 0  # trunk to the figure's left
    turn: int = 0  # head, as twist
    nod: int = 0  # head forward
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)  # pelvis: left, up, forward
    drag: tuple[float, float] = (0.0, 0.0)  # what hangs loose trails: to the left, forward


def _scaled(amplitude: int, degrees: int) -> int:
    return round(amplitude * sine(degrees))


def _walk(frame: int) -> Pose:
    phase = 45 * frame + 20
    legs, arms = [], []
    for half in (0, 180):
        swing = _scaled(36, phase + half)
        # The knee folds while the leg travels forward and is nearly straight under load.
        fold = 8 + max(0, _scaled(58, phase + half + 78))
        legs.append(((swing, 3), (swing - fold, 2)))
        reach = _scaled(-40, phase + half)
        arms.append(((reach, 14), (reach + 22 + max(0, reach) // 2, 8)))
    return Pose(
        arms=(arms[0], arms[1]),
        legs=(legs[0], legs[1]),
        twist=_scaled(-12, phase),
        lean=5,
        roll=_scaled(3, phase + 90),
        turn=_scaled(4, phase),
        nod=_scaled(3, 2 * phase),
        shift=(1.2 * sine(phase + 90), 0.0, 0.0),
        drag=(-2.2 * sine(phase + 40), -2.6 + 1.4 * sine(2 * phase - 50)),
    )


# (upper arm, forearm), bend of the knees, lean, nod, lift of the body, drag forward
_SPELL = (
    ((20, 12), (60, 4), 14, 6, 8, 0.0, 0.0),
    ((28, 30), (105, -18), 26, 14, 14, 0.0, -0.8),
    ((40, 52), (96, 40), 20, 4, 2, 0.0, -1.8),
    ((88, 52), (142, 40), 8, -8, -8, 0.0, -3.0),
    ((160, 58), (175, 42), 2, -12, -16, 1.4, -1.2),
    ((138, 52), (166, 30), 4, -8, -12, 0.8, 1.4),
    ((92, 30), (96, 12), 18, 12, 2, 0.0, 3.4),
    ((50, 24), (72, 8), 22, 9, 8, 0.0, 1.8),
)


def _spellcard(frame: int) -> Pose:
    upper, fore, bend, lean, nod, lift, drag = _SPELL[frame]
    # Hands are never quite level: the left one leads by a few degrees.
    lead = (8, 2, 5, 12, -6, -10, 6, -4)[frame]
    return Pose(
        arms=(((upper[0] + lead, upper[1]), (fore[0] + lead, fore[1])), (upper, fore)),
        legs=(((bend, 12), (-bend, 6)), ((bend + 4, 12), (-bend - 4, 6))),
        twist=lead // 2,
        lean=lean,
        roll=(0, -2, -3, -2, 2, 4, 2, 0)[frame],
        turn=-lead // 2,
        nod=nod,
        shift=((0.0, -0.4, -0.8, -0.6, 0.3, 0.9, 0.6, 0.2)[frame], lift, 0.0),
        drag=((0.4, 1.0, 1.8, 1.0, -1.2, -2.4, -1.0, 0.4)[frame], drag),
    )


# right upper arm, right forearm, left upper arm, left forearm, twist, lean, roll, step, drag
_SLASH = (
    ((40, 46), (120, 40), (24, 20), (66, 0), -12, 2, -2, -0.5, (0.6, 0.0)),
    ((-70, 56), (200, 36), (54, 24), (92, 4), -30, -6, -5, -1.6, (2.2, 0.6)),
    ((-110, 60), (208, 40), (64, 30), (84, 18), -42, -12, -7, -2.2, (3.0, 1.6)),
    ((108, 46), (104, 40), (14, 34), (44, 26), -14, 4, -2, 1.0, (-1.0, -3.4)),
    ((88, 8), (84, 0), (-30, 36), (-6, 30), 20, 14, 5, 3.2, (-4.0, -4.0)),
    ((58, -26), (48, -44), (-52, 38), (-34, 30), 44, 18, 7, 3.8, (-3.6, -0.8)),
    ((24, -20), (16, -56), (-34, 30), (0, 22), 34, 12, 5, 2.4, (1.8, 1.8)),
    ((10, 20), (64, -8), (-6, 20), (30, 8), 6, 4, 0, 0.6, (2.6, 0.8)),
)


def _slash(frame: int) -> Pose:
    upper, fore, left_upper, left_fore, twist, lean, roll, step, drag = _SLASH[frame]
    stride = round(11 * step)
    return Pose(
        arms=((left_upper, left_fore), (upper, fore)),
        legs=(
            ((12 - stride, 10), (-12 - stride, 6)),
            ((10 + stride, 10), (min(stride // 2, 4) - 8, 6)),
        ),
        twist=twist,
        lean=lean,
        roll=roll,
        turn=twist // 8,
        nod=lean // 2,
        shift=(-0.4 * step, 0.0, step),
        drag=drag,
    )


ACTIONS = (_walk, _spellcard, _slash)
# Turns of the figure about the vertical: front, then towards the picture's left and right edge.
VIEWS = (0, -64, 64)


def pose(action: int, frame: int) -> Pose:
    """The pose of action 0..2 (walk, spellcard, slash) at frame 0..7."""
    return ACTIONS[action](frame)
