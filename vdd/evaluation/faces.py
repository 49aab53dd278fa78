"""Motion transfer between faces: who is it, and does the face move as the driving face does?

The figures take landmarks and embeddings of clips. Where those come from is a `Faces`: the one
that the extra `face` brings is `dlib_faces`, and any other networks will do (`Faces(observe,
networks)`). The paper reports such figures without publishing how they are computed; the
definitions here are ours, so that its numbers and these cannot be set side by side.
"""

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8

from vdd.data.faces import import_dlib, resized
from vdd.errors import UserError

# Below this fraction of frames with a face in both clips, motion is not measured.
_MIN_SHARE = 0.5
# The identity network takes half a second a frame on a CPU.
_EMBEDDED_FRAMES = 3
TRACKS = ("mouth open", "eyes open", "nose across", "nose down", "place across", "place down")
_STILL = 0.005  # sizes of the face: the landmarks themselves are no surer
# Frames are scaled to a shorter side of so many pixels: dlib wants faces of 80.
_SHORT_SIDE = 256

_LANDMARKS, _NUM_LANDMARKS = "shape_predictor_68_face_landmarks.dat", 68
_IDENTITY = "dlib_face_recognition_resnet_model_v1.dat"


class Observed(NamedTuple):
    """What networks saw of a clip: p points in each frame, and who it is."""

    landmarks: Float[np.ndarray, "t p 2"]  # in one unit across clips of a size; nan: no face
    embedding: Float[np.ndarray, "d"] | None  # None: no face, or no network


class Faces(NamedTuple):
    """A source of observations.

    Attributes:
      observe: uint8 video [t h w 3] -> Observed.
      networks: which network does what, for the record: `detector`, `landmarks`, `identity`.
    """

    observe: Callable[[UInt8[np.ndarray, "t h w 3"]], Observed]
    networks: dict[str, str | None]


class Compared(NamedTuple):
    """Figures of one clip that a model made; None where it was not measured.

    Attributes:
      identity_similarity: cosine to the clip that it has its content from.
      identity_distance: Euclidean distance of the same embeddings, in the network's own unit
        (dlib: below 0.6 it is taken for the same person).
      driving_similarity: cosine to the clip that it has its motion from; None where that is the
        same person. It ought to be the lower one.
      motion_error: see `motion_error`; None where there is no real clip that it ought to be.
      cross_error: see `cross_error`, to the clip that it has its motion from.
      faces_found: fraction of the frames in which there is a face at all.
    """

    identity_similarity: float | None
    identity_distance: float | None
    driving_similarity: float | None
    motion_error: float | None
    cross_error: float | None
    faces_found: float | None


def compare(made: Observed, content: Observed, driving: Observed, *, same_clip: bool) -> Compared:
    """Figures of a clip made from the content of one clip and the motion of another.

    `same_clip`: both are of one person in one scene, so that `driving` is what it ought to be.
    """
    who, whose, other = made.embedding, content.embedding, driving.embedding
    return Compared(
        None if who is None or whose is None else identity_similarity(who, whose),
        None if who is None or whose is None else float(np.linalg.norm(who - whose)),
        None if same_clip or who is None or other is None else identity_similarity(who, other),
        motion_error(made.landmarks, driving.landmarks) if same_clip else None,
        cross_error(made.landmarks, driving.landmarks),
        float(seen(made.landmarks).mean()),
    )


def identity_similarity(x: Float[np.ndarray, "d"], y: Float[np.ndarray, "d"]) -> float:
    """Cosine of two embeddings, at most 1. What counts as the same person depends on the network.

    With dlib's, whose embeddings share a large common part, two people still have 0.8 or more.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    return float(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


def motion_error(
    made: Float[np.ndarray, "t p 2"], real: Float[np.ndarray, "t p 2"]
) -> float | None:
    """How far the landmarks are from where they ought to be, in sizes of the real face.

    The mean over frames and points of the distance, divided by the `face_size` of the real clip.
    Where a face is and how large it is counts; it is the same in any resolution. None where fewer
    than half of the frames show a face in both clips. dlib's landmarks themselves are no surer
    than 0.01 to 0.02: so much lies between a real clip and the same with a little noise.
    """
    common = _common(made, real)
    if common is None:
        return None
    distance = np.linalg.norm(made[common] - real[common], axis=-1)
    return float(distance.mean() / face_size(real[common]))


def cross_error(
    made: Float[np.ndarray, "t p 2"], driving: Float[np.ndarray, "t p 2"]
) -> float | None:
    """How far the landmarks of one face move unlike those of another, in sizes of the face.

    A clip's motion is what its landmarks depart from their mean over the clip, divided by its
    `face_size`: position, scale and mean shape of the face are gone, movements of the head and of
    the features remain. The error is the mean distance of the two motions over frames and points;
    a clip that stands still has the driving clip's own mean movement. None as in `motion_error`.
    """
    common = _common(made, driving)
    if common is None:
        return None
    difference = _motion(made[common]) - _motion(driving[common])
    return float(np.linalg.norm(difference, axis=-1).mean())


def tracks(landmarks: Float[np.ndarray, "t 68 2"]) -> Float[np.ndarray, "t 6"]:
    """What a face does, in sizes of the face, from the 68 points of iBUG 300-W; see `TRACKS`."""
    size = face_size(landmarks[seen(landmarks)])
    eyes = landmarks[:, 36:48].mean(axis=1)
    nose = landmarks[:, 30] - eyes
    lids = landmarks[:, [40, 41, 46, 47], 1] - landmarks[:, [38, 37, 44, 43], 1]
    columns = (
        landmarks[:, 66, 1] - landmarks[:, 62, 1], lids.mean(axis=1), nose[:, 0], nose[:, 1],
        eyes[:, 0], eyes[:, 1],
    )  # fmt: skip
    return np.stack(columns, axis=1) / size


class Followed(NamedTuple):
    """How one face follows another, for each of `TRACKS`; nan where the other holds still."""

    correlation: Float[np.ndarray, "6"]
    amplitude: Float[np.ndarray, "6"]  # standard deviation over that of the other


def followed(
    made: Float[np.ndarray, "t 68 2"], driving: Float[np.ndarray, "t 68 2"]
) -> Followed | None:
    """Compares tracks over time; None as in `motion_error`. What stands still has correlation 0."""
    common = _common(made, driving)
    if common is None:
        return None
    x, y = (part - part.mean(axis=0) for part in (tracks(made[common]), tracks(driving[common])))
    deviation, other = x.std(axis=0), y.std(axis=0)
    other = np.where(other > _STILL, other, np.nan)
    correlation = (x * y).mean(axis=0) / (np.maximum(deviation, 1e-9) * other)
    return Followed(correlation, deviation / other)


def face_size(landmarks: Float[np.ndarray, "t p 2"]) -> float:
    """Size of a clip's mean face: root mean square distance of its points from their centre.

    It is Procrustes' scale, which a turned head changes less than it does the distance between the
    eyes; with dlib's 68 points about 0.9 times that distance, for a face seen from the front.
    """
    shape = landmarks.mean(axis=0)
    return float(np.sqrt(np.mean(np.sum((shape - shape.mean(axis=0)) ** 2, axis=-1))))


def seen(landmarks: Float[np.ndarray, "t p 2"]) -> Bool[np.ndarray, "t"]:
    """Whether each frame shows a face."""
    return np.asarray(~np.isnan(landmarks).any(axis=(1, 2)))


def _common(
    x: Float[np.ndarray, "t p 2"], y: Float[np.ndarray, "t p 2"]
) -> Bool[np.ndarray, "t"] | None:
    """Frames with a face in both clips; None if these are too few."""
    common = seen(x) & seen(y)
    return common if common.mean() >= _MIN_SHARE else None


def _motion(landmarks: Float[np.ndarray, "t p 2"]) -> Float[np.ndarray, "t p 2"]:
    return (landmarks - landmarks.mean(axis=0)) / face_size(landmarks)


def dlib_faces() -> Faces:
    """dlib's detector, its 68 landmarks and its identity network, from installed packages.

    A window of eight frames takes 2 to 4 seconds on one core, most of it the identity of three.
    The networks are in the public domain (CC0), but the data that the landmarks were learned from
    (iBUG 300-W) exclude commercial use: whoever measures for a product asks its owners, or brings
    another network.

    Raises:
      UserError: the extra `face` is not installed.
    """
    dlib = import_dlib()
    networks = _Dlib(
        dlib.get_frontal_face_detector(),
        dlib.shape_predictor(str(_packaged(_LANDMARKS))),
        dlib.face_recognition_model_v1(str(_packaged(_IDENTITY))),
    )
    version = f"dlib {dlib.__version__}"
    return Faces(
        partial(_observe, networks),
        {
            "detector": f"{version} get_frontal_face_detector",
            "landmarks": f"{version} {_LANDMARKS}",
            "identity": f"{version} {_IDENTITY}",
        },
    )


class _Dlib(NamedTuple):
    detector: Any
    landmarks: Any
    identity: Any


def _packaged(file: str) -> Path:
    """A file of the package face_recognition_models, which itself no longer imports."""
    spec = importlib.util.find_spec("face_recognition_models")
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise UserError("face metrics need face_recognition_models: pip install 'vdd-video[face]'")
    return Path(folders[0]) / "models" / file


def _observe(networks: _Dlib, video: UInt8[np.ndarray, "t h w 3"]) -> Observed:
    """Landmarks of every frame, pixels; the mean embedding of a few frames that show a face."""
    landmarks = np.full((len(video), _NUM_LANDMARKS, 2), np.nan)
    shapes: list[tuple[np.ndarray, Any]] = []
    factor = _SHORT_SIDE / min(video.shape[1:3])
    for i, frame in enumerate(video):
        pixels = resized(frame, factor)
        faces = networks.detector(pixels, 0)
        if len(faces):
            shape = networks.landmarks(pixels, max(faces, key=lambda face: face.area()))
            landmarks[i] = [(point.x, point.y) for point in shape.parts()]
            shapes.append((pixels, shape))
    few = {round(i) for i in np.linspace(0, len(shapes) - 1, _EMBEDDED_FRAMES)} if shapes else set()
    embeddings = [
        np.array(networks.identity.compute_face_descriptor(*shapes[i])) for i in sorted(few)
    ]
    mean = np.mean(embeddings, axis=0) if embeddings else None
    return Observed(landmarks / factor, mean)
