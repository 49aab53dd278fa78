"""Figures of faces on landmarks whose answer is known, and dlib's networks on real clips."""

import os
from pathlib import Path

import numpy as np
import pytest

from vdd.data import video_io
from vdd.errors import UserError
from vdd.evaluation import faces
from vdd.evaluation.faces import Observed, cross_error, face_size, motion_error

TALKING_HEADS = os.environ.get("VDD_TALKING_HEADS")


def shape(seed: int = 0) -> np.ndarray:
    """A face of ten points about a hundred pixels wide."""
    return np.random.default_rng(seed).uniform(0, 100, (1, 10, 2))


def motion(seed: int = 0, frames: int = 12) -> np.ndarray:
    """How its points move, pixels; nothing on average."""
    moved = np.random.default_rng(seed).normal(0, 4, (frames, 10, 2))
    return moved - moved.mean(axis=0)


def without(landmarks: np.ndarray, missing: slice) -> np.ndarray:
    hidden = landmarks.copy()
    hidden[missing] = np.nan
    return hidden


def test_equal_clips_have_no_error():
    clip = shape() + motion()
    assert motion_error(clip, clip) == 0
    assert cross_error(clip, clip) == 0


def test_motion_error_is_a_distance_in_sizes_of_the_face():
    clip = shape() + motion()
    assert motion_error(clip + np.array([3, 4]), clip) == pytest.approx(5 / face_size(clip))


def test_the_size_of_a_face():
    square = np.array([[[0, 0], [0, 2], [2, 0], [2, 2]]], float)
    assert face_size(square) == pytest.approx(np.sqrt(2))
    assert face_size(3 * shape() + 7) == pytest.approx(3 * face_size(shape()))


def test_motion_error_does_not_depend_on_the_resolution():
    made, real = shape() + motion(1), shape() + motion(2)
    error = motion_error(made, real)
    assert error is not None
    assert motion_error(4 * made, 4 * real) == pytest.approx(error)
    assert motion_error(made + 9, real + 9) == pytest.approx(error)
    assert motion_error(4 * made, real) > 2 * error


def test_errors_grow_with_the_difference_of_the_motions():
    driving = shape() + motion()
    for error in (motion_error, cross_error):
        errors = [error(driving + k * motion(1), driving) for k in (0, 0.5, 1, 2)]
        assert errors == sorted(errors)
        assert errors[1] > 0


def test_cross_error_is_of_the_motion_alone():
    made = shape(1) + 2 * motion(1)
    driving = shape(2) + motion(2)
    error = cross_error(made, driving)
    assert error is not None
    assert cross_error(5 * made + np.array([40, -7]), driving) == pytest.approx(error)
    assert cross_error(made, driving / 3 - 8) == pytest.approx(error)
    assert motion_error(5 * made, driving) != pytest.approx(motion_error(made, driving))
    # Another face that moves by the same share of its size does it right.
    other, factor = shape(3), face_size(shape(3)) / face_size(driving)
    assert cross_error(other + factor * motion(2), driving) == pytest.approx(0, abs=1e-12)


def test_a_clip_that_stands_still_has_the_driving_movement_as_its_error():
    driving = shape() + motion()
    still = np.repeat(shape(4), len(driving), axis=0)
    moved = np.linalg.norm(motion(), axis=-1).mean() / face_size(driving)
    assert cross_error(still, driving) == pytest.approx(moved)


def test_frames_without_a_face_are_left_out_and_too_many_make_no_figure():
    made, real = shape() + motion(1), shape() + motion(2)
    for error in (motion_error, cross_error):
        assert error(without(made, slice(4)), real) == pytest.approx(error(made[4:], real[4:]))
        assert error(without(made, slice(4)), without(real, slice(4, 8))) is None
        assert error(without(made, slice(None)), real) is None


def test_identity_similarity_is_a_cosine():
    x, y = np.array([3.0, 0.0]), np.array([1.0, 1.0])
    assert faces.identity_similarity(x, 7 * x) == pytest.approx(1)
    assert faces.identity_similarity(x, y) == pytest.approx(np.sqrt(0.5))
    assert faces.identity_similarity(x, -x) == pytest.approx(-1)


def test_what_is_compared_with_what():
    content = Observed(shape(1) + motion(1), np.array([1.0, 0.0]))
    driving = Observed(shape(2) + motion(2), np.array([0.0, 1.0]))
    made = Observed(shape(1) + motion(2), np.array([0.8, 0.6]))
    across = faces.compare(made, content, driving, same_clip=False)
    assert across.identity_similarity == pytest.approx(0.8)
    assert across.identity_distance == pytest.approx(np.hypot(0.2, 0.6))
    assert across.driving_similarity == pytest.approx(0.6)
    assert across.cross_error == cross_error(made.landmarks, driving.landmarks)
    assert across.motion_error is None
    within = faces.compare(made, content, driving, same_clip=True)
    assert within.motion_error == motion_error(made.landmarks, driving.landmarks)
    assert within.driving_similarity is None


def test_what_was_not_seen_is_none():
    real = Observed(shape() + motion(), np.array([1.0, 0.0]))
    blank = Observed(np.full((12, 10, 2), np.nan), None)
    none = faces.compare(blank, real, real, same_clip=True)
    assert none == (None, None, None, None, None, 0.0)


def test_without_the_networks_the_user_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(faces.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'vdd-video\[face\]'"):
        faces._packaged("a.dat")
    monkeypatch.setitem(__import__("sys").modules, "dlib", None)
    with pytest.raises(UserError, match=r"pip install 'vdd-video\[face\]'"):
        faces.dlib_faces()


def test_dlib_on_real_clips():
    pytest.importorskip("dlib", reason="needs the extra `face`")
    pytest.importorskip("av", reason="needs the extra `video`")
    if not TALKING_HEADS:
        pytest.skip("needs real clips: set VDD_TALKING_HEADS to their folder")
    observe, networks = faces.dlib_faces()
    assert all(networks.values())
    paths = sorted(Path(TALKING_HEADS).glob("*.mp4"))
    first, last = (video_io.read_clip(path, 128, max_frames=4) for path in (paths[0], paths[-1]))
    one, other = observe(first[::2]), observe(last[::2])
    again = observe(np.asarray(first[1::2]))
    brighter = observe(np.clip(first[::2] + np.uint8(9), first[::2], 255))
    right = faces.compare(brighter, one, one, same_clip=True)
    wrong = faces.compare(other, one, one, same_clip=True)
    assert right.faces_found == 1
    assert right.motion_error < 0.03 < wrong.motion_error
    assert right.cross_error < 0.03
    assert right.identity_similarity > 0.97 > wrong.identity_similarity
    assert right.identity_distance < 0.6 < wrong.identity_distance
    assert faces.compare(again, one, one, same_clip=True).identity_distance < 0.6
    larger = observe(first[::2].repeat(2, 1).repeat(2, 2))
    assert motion_error(larger.landmarks / 2, one.landmarks) < 0.03
    assert np.isnan(observe(np.zeros_like(first[:2])).landmarks).all()
