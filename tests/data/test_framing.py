"""The square that a model sees, and the way back into the photo: pixel by pixel."""

import numpy as np
import pytest
from PIL import Image

from vdd.data import faces, framing, video_io
from vdd.data.faces import Box, Face
from vdd.errors import UserError


def noise(*shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_the_middle_square_is_the_largest_that_fits():
    assert framing.middle(20, 33) == Box(0, 6, 20)
    assert framing.middle(31, 20) == Box(5, 0, 20)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_crop_of_the_same_size_is_the_pixels_themselves(channels):
    frame = noise(30, 40, channels)
    found = framing.crop(frame, Box(3, 11, 16), 16)
    np.testing.assert_array_equal(found, frame[3:19, 11:27])


def test_a_crop_is_scaled_to_the_model_s_size():
    frame = noise(30, 40, 3)
    found = framing.crop(frame, Box(4, 8, 16), 8).astype(float)
    means = frame[4:20, 8:24].reshape(8, 2, 8, 2, 3).mean((1, 3))
    assert np.abs(found - means).max() <= 1


@pytest.mark.parametrize("side", [1, 2, 7, 64, 301])
def test_the_mask_is_nothing_at_the_border(side):
    mask = framing.soft_mask(side)
    assert mask.shape == (side, side, 1)
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert not border.any()
    assert mask.min() >= 0
    assert mask.max() <= 1


def test_the_mask_is_whole_in_the_middle_even_and_without_steps():
    mask = framing.soft_mask(101)[..., 0]
    assert (mask[24:77, 24:77] == 1).all()
    for turned in (mask[::-1], mask[:, ::-1], mask.T):
        np.testing.assert_allclose(turned, mask, atol=1e-6)
    falling = mask[50, 50:]
    assert (np.diff(falling) <= 0).all()
    # As steep as its smooth fall, and almost level at the very edge: no seam, and no crease.
    assert np.abs(np.diff(mask, axis=0)).max() < 0.12
    assert falling[-2] < 0.02
    assert (mask > 0).mean() > np.pi / 4, "more is seen than through an ellipse"


def test_outside_of_the_square_the_photo_is_untouched_and_in_its_middle_is_the_picture():
    photo, picture, square = noise(60, 80, 3), noise(40, 40, 3, seed=1), Box(7, 33, 40)
    before = photo.copy()
    mask = framing.soft_mask(40)
    pasted = framing.paste(photo, square, picture, mask)
    np.testing.assert_array_equal(photo, before)
    outside = np.ones((60, 80), bool)
    outside[7:47, 33:73] = mask[..., 0] == 0
    assert outside[7:47, 33:73].sum() >= 4 * 39, "corners and border of the square are outside too"
    np.testing.assert_array_equal(pasted[outside], photo[outside])
    whole = mask[..., 0] == 1
    np.testing.assert_array_equal(pasted[7:47, 33:73][whole], picture[whole])
    part = photo[7:47, 33:73] + mask * (picture - photo[7:47, 33:73].astype(np.float64))
    assert np.abs(pasted[7:47, 33:73] - part).max() <= 0.501


def test_a_picture_is_scaled_to_the_square():
    photo, square = np.zeros((50, 50, 3), np.uint8), Box(5, 10, 30)
    picture = np.zeros((10, 10, 3), np.uint8)
    picture[5:] = 200
    pasted = framing.paste(photo, square, picture, framing.soft_mask(30))
    assert pasted.shape == (50, 50, 3)
    assert pasted[10:18, 25].max() < 30
    assert pasted[23:30, 25].min() > 190


def test_what_is_cropped_and_pasted_back_is_the_photo():
    photo, square = noise(60, 80, 3), Box(10, 21, 32)
    picture = framing.crop(photo, square, 32)
    pasted = framing.paste(photo, square, picture, framing.soft_mask(32))
    np.testing.assert_array_equal(pasted, photo)


def test_frames_are_pasted_one_by_one_when_they_are_asked_for():
    asked = []

    def pieces():
        for number in range(3):
            asked.append(number)
            yield np.full((2, 8, 8, 3), 50 * number + 40, np.uint8)

    photo = np.zeros((20, 20, 3), np.uint8)
    frames = (
        frame for piece in framing.paste_all(pieces(), photo, Box(2, 2, 16)) for frame in piece
    )
    assert next(frames)[10, 10, 0] == 40
    assert asked == [0]
    assert [frame[10, 10, 0] for frame in frames] == [40, 90, 90, 140, 140]


def see_red(frame):
    """Stands in for the detector: a face is what is red."""
    places = np.argwhere((frame[..., 0] > 200) & (frame[..., 1] < 50))
    if not len(places):
        return None
    return Face(*places.min(0).astype(float), *(places.max(0) + 1.0))


def with_face(frames, top, left, h=60, w=90) -> np.ndarray:
    video = np.full((frames, h, w, 3), 100, np.uint8)
    video[:, top : top + 10, left : left + 10] = 255, 0, 0
    return video


def test_a_clip_is_read_twice_first_for_the_face_and_then_for_its_square(tmp_path, monkeypatch):
    monkeypatch.setattr(faces, "find_face", see_red)
    path = video_io.write_clip(tmp_path / "clip.npy", with_face(9, 30, 60))
    square = framing.face_square(path)
    assert square == faces.stable_box(with_face(9, 30, 60), detect=see_red)
    with framing.open_square(path, square, square.size) as clip:
        frames = list(clip.frames)
    part = with_face(9, 30, 60)[
        :, square.top : square.top + square.size, square.left : square.left + square.size
    ]
    np.testing.assert_array_equal(np.stack(frames), part)
    with framing.open_square(path, square, 5) as clip:
        assert next(clip.frames).shape == (5, 5, 3)


def test_only_the_frames_that_are_used_are_searched(tmp_path, monkeypatch):
    monkeypatch.setattr(faces, "find_face", see_red)
    video = np.concatenate([with_face(4, 20, 30), with_face(30, 20, 70)])
    path = video_io.write_clip(tmp_path / "clip.npy", video)
    assert framing.face_square(path, 4) == faces.stable_box(video[:4], detect=see_red)
    assert framing.face_square(path, 4) != framing.face_square(path)


def test_no_face_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(faces, "find_face", lambda frame: None)
    path = video_io.write_clip(tmp_path / "clip.npy", with_face(2, 0, 0))
    with pytest.raises(UserError, match=r"clip.npy: no face is seen$"):
        framing.face_square(path)


def test_a_folder_of_unlike_pictures_has_no_one_square(tmp_path, monkeypatch):
    monkeypatch.setattr(faces, "find_face", see_red)
    (tmp_path / "shots").mkdir()
    for i, width in enumerate((90, 80)):
        Image.fromarray(with_face(1, 20, 30, w=width)[0]).save(tmp_path / f"shots/{i}.png")
    with pytest.raises(UserError, match=r"unlike sizes \(90x60 and 80x60\)"):
        framing.face_square(tmp_path / "shots")
    with framing.open_square(tmp_path / "shots", Box(0, 0, 60), 16) as clip:
        next(clip.frames)
        with pytest.raises(UserError, match="unlike sizes"):
            next(clip.frames)
