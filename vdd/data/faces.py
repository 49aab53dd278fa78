"""Where the face is: one square for a whole clip, to crop it by.

Faces are found by dlib's frontal detector (histograms of oriented gradients; its few weights are
part of the library, so that nothing is downloaded). It sees a face up to about half a profile.
"""

import importlib
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from vdd.errors import UserError

# The detector's square goes from the brows to the chin, ear to ear. The head with its hair and
# neck fits into one this much as wide, whose middle lies this fraction of the face higher.
ENLARGE = 1.9
RAISE = 0.12

# Frames that are looked at: never more than this many boxes are kept, evenly spread over the clip.
_MAX_SAMPLES = 32
# Where a box lies off the median by more than a face, or is that much larger or smaller, it is of
# something else.
_OUTLIER_SCALE = 1.6
# How far a head may move without being followed: the tenth of the frames at either end.
_TAILS = (0.1, 0.9)
# Longer side to which frames are scaled: the detector sees faces of 80 pixels and more. The second
# is for small faces in large frames, and tried only where the first found nothing.
_LONG_SIDES = (320, 960)


class Box(NamedTuple):
    """A square within a frame, pixels."""

    top: int
    left: int
    size: int


class Face(NamedTuple):
    """Where a detector saw a face, pixels of the frame; it may reach over the frame's edge."""

    top: float
    left: float
    bottom: float
    right: float


Detector = Callable[[UInt8[np.ndarray, "h w 3"]], Face | None]


def stable_box(
    frames: Iterable[UInt8[np.ndarray, "h w 3"]],
    *,
    detect: Detector | None = None,
    enlarge: float = ENLARGE,
    min_share: float = 0.5,
) -> Box | None:
    """One square that holds the head through a whole clip.

    At most 32 frames, evenly spread, are searched for a face, and boxes far from their median are
    left out. The square's side is the median face times `enlarge`, plus the way that the face goes
    in between; where the frame is too small for it, it is as large as fits. It lies wholly inside
    the frame.

    Args:
      frames: uint8 [h w 3], all of one size; read once, and none is kept.
      detect: the largest face of a frame, or None; by default `find_face`.
      enlarge: side of the square for a still head, in sides of the detector's face.
      min_share: fraction of the searched frames that have to show a face.

    Returns:
      The square, or None where too few frames, or none at all, show a face.

    Raises:
      UserError: the extra `face` is not installed.
      ValueError: frames of unlike sizes.
    """
    detect = detect or find_face
    samples: list[Face | None] = []
    stride, shape = 1, None
    for number, frame in enumerate(frames):
        shape = shape or frame.shape
        if frame.shape != shape:
            raise ValueError(f"frames of unlike sizes: {shape} and {frame.shape}")
        if number % stride:
            continue
        if len(samples) == _MAX_SAMPLES:  # looking half as often from here on
            samples, stride = samples[::2], 2 * stride
        samples.append(detect(frame))
    found = np.array([face for face in samples if face is not None], float).reshape(-1, 4)
    if shape is None or not len(found) or len(found) < min_share * len(samples):
        return None
    return _square(_without_outliers(found), shape[:2], enlarge)


def find_face(frame: UInt8[np.ndarray, "h w 3"]) -> Face | None:
    """The largest face that dlib sees, or None.

    The frame is scaled to a longer side of 320 pixels, then, if nothing is seen and it is larger,
    to 960; a face has to have 80 pixels in it.

    Raises:
      UserError: the extra `face` is not installed.
    """
    detector = _frontal_detector()
    longer = max(frame.shape[:2])
    for side in _LONG_SIDES[: 1 if longer <= _LONG_SIDES[0] else 2]:
        factor = side / longer
        faces = [
            Face(*np.array([r.top(), r.left(), r.bottom() + 1, r.right() + 1]) / factor)
            for r in detector(resized(frame, factor), 0)
        ]
        if faces:
            return max(faces, key=lambda face: face.bottom - face.top)
    return None


def import_dlib() -> Any:
    """The module dlib.

    Raises:
      UserError: it is not installed.
    """
    try:
        return importlib.import_module("dlib")
    except ImportError as error:
        raise UserError("finding faces needs dlib: pip install 'vdd-video[face]'") from error


def resized(frame: UInt8[np.ndarray, "h w 3"], factor: float) -> UInt8[np.ndarray, "_ _ 3"]:
    """The frame with its sides this many times as long."""
    height, width = frame.shape[:2]
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    method = Image.Resampling.BOX if factor < 1 else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(frame).resize(size, method))


@cache
def _frontal_detector() -> Any:
    return import_dlib().get_frontal_face_detector()


def _without_outliers(faces: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "k 4"]:
    """Faces whose middle lies within a face of the median, and that are about as large."""
    middle, size = _middle(faces), faces[:, 2] - faces[:, 0]
    usual = np.median(size)
    away = np.abs(middle - np.median(middle, axis=0)).max(axis=1)
    ratio = np.maximum(size / usual, usual / size)
    kept = (away < usual) & (ratio < _OUTLIER_SCALE)
    return faces[kept] if kept.any() else np.median(faces, axis=0, keepdims=True)


def _middle(faces: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "m 2"]:
    return (faces[:, :2] + faces[:, 2:]) / 2


def _square(faces: Float[np.ndarray, "k 4"], frame: tuple[int, ...], enlarge: float) -> Box:
    """The square around the way of these faces, moved and shrunk to lie in the frame."""
    usual = float(np.median(faces[:, 2] - faces[:, 0]))
    low, high = np.quantile(_middle(faces), _TAILS, axis=0)
    side = min(round(enlarge * usual + float(np.max(high - low))), *frame)
    middle = (low + high) / 2 - np.array([RAISE * usual, 0])
    top, left = np.clip(np.round(middle - side / 2), 0, np.array(frame) - side).astype(int)
    return Box(int(top), int(left), side)
