"""The square around a face: with detectors that know where it is, and on real clips."""

import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from vdd.data import faces, video_io
from vdd.data.faces import Box, Face
from vdd.errors import UserError

TALKING_HEADS = os.environ.get("VDD_TALKING_HEADS")


def frames(count, h=200, w=300):
    """Frames that are told apart by their first pixel."""
    for i in range(count):
        frame = np.zeros((h, w, 3), np.uint8)
        frame[0, 0, :2] = divmod(i, 256)
        yield frame


def detector(places):
    """Sees a face 40 pixels wide whose middle is given for each frame; None where there is none."""

    def detect(frame):
        place = places[int(frame[0, 0, 0]) * 256 + int(frame[0, 0, 1])]
        return place and Face(place[0] - 20, place[1] - 20, place[0] + 20, place[1] + 20)

    return detect


def box_of(places, **settings):
    return faces.stable_box(frames(len(places)), detect=detector(places), **settings)


def test_the_box_is_around_the_face():
    box = box_of([(100, 150)] * 9, enlarge=2)
    middle = box.top + box.size / 2, box.left + box.size / 2
    assert box.size == 80
    assert middle == (pytest.approx(100 - faces.RAISE * 40, abs=1), pytest.approx(150, abs=1))


def test_a_shifted_face_moves_the_box():
    box, moved = box_of([(100, 150)] * 9), box_of([(107, 171)] * 9)
    assert moved == Box(box.top + 7, box.left + 21, box.size)


def test_one_frame_of_something_else_does_not():
    places = [(100 + i % 3, 150) for i in range(9)]
    for strange in ((180, 20), (30, 280), None):
        assert box_of([*places[:4], strange, *places[5:]]) == pytest.approx(box_of(places), abs=1)


def test_a_face_that_moves_stays_inside():
    places = [(100, 120 + 2 * i) for i in range(21)]
    box = box_of(places, enlarge=1.5)
    assert box.size > 1.5 * 40
    assert box.left < 120 - 20
    assert box.left + box.size > 160 + 20


def test_the_box_lies_in_the_frame():
    assert box_of([(10, 290)] * 5, enlarge=2) == Box(0, 220, 80)
    assert box_of([(190, 5)] * 5, enlarge=2) == Box(120, 0, 80)
    large = box_of([(100, 150)] * 5, enlarge=9)
    assert large == Box(0, 50, 200)


def test_no_face_no_box():
    assert box_of([None] * 5) is None
    assert box_of([]) is None
    assert box_of([(100, 150)] * 3 + [None] * 5) is None
    assert box_of([(100, 150)] * 3 + [None] * 5, min_share=0.3) is not None


def test_long_clips_are_read_once_and_searched_seldom_and_evenly():
    looked = []

    def detect(frame):
        looked.append(int(frame[0, 0, 0]) * 256 + int(frame[0, 0, 1]))
        return Face(80, 130, 120, 170)

    assert faces.stable_box(frames(1000), detect=detect) is not None
    assert looked[:33] == [*range(32), 32]
    assert len(looked) < 140
    assert np.diff(looked).max() == 32


def test_later_frames_of_a_long_clip_weigh_as_much_as_the_first():
    box = box_of([(100, 60)] * 200 + [(100, 240)] * 800)
    assert box.left + box.size / 2 == pytest.approx(240, abs=1)


def test_frames_of_unlike_sizes_are_refused():
    with pytest.raises(ValueError, match="unlike sizes"):
        faces.stable_box(
            itertools.chain(frames(1), frames(1, h=100)), detect=detector([(50, 50)] * 2)
        )


def test_without_dlib_the_user_is_told_what_to_install(monkeypatch):
    faces._frontal_detector.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "dlib", None)
    with pytest.raises(UserError, match=r"pip install 'vdd-video\[face\]'"):
        faces.stable_box(frames(1))


@pytest.fixture(scope="module")
def head() -> np.ndarray:
    pytest.importorskip("dlib", reason="needs the extra `face`")
    pytest.importorskip("av", reason="needs the extra `video`")
    if not TALKING_HEADS:
        pytest.skip("needs real clips: set VDD_TALKING_HEADS to their folder")
    return video_io.read_clip(sorted(Path(TALKING_HEADS).glob("*.mp4"))[0], 256, max_frames=6)


def test_a_real_face_is_found_where_it_is(head):
    box = faces.stable_box(head)
    assert box is not None
    face = faces.find_face(head[3])
    assert face is not None
    assert box.top < face.top
    assert face.bottom < box.top + box.size <= 256
    black = np.zeros_like(head)
    assert faces.stable_box(black) is None
    beside = np.concatenate([black[:, :, :80], head], axis=2)
    moved = faces.stable_box(beside)
    assert moved is not None
    assert moved.left == pytest.approx(box.left + 80, abs=12)


def test_a_small_face_in_a_large_frame_is_found(head):
    frame = np.zeros((1080, 1920, 3), np.uint8)
    frame[300:556, 1200:1456] = head[0]
    face, alone = faces.find_face(frame), faces.find_face(head[0])
    assert face is not None
    assert alone is not None
    np.testing.assert_allclose(face, np.add(alone, [300, 1200] * 2), atol=25)
