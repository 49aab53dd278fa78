import struct

import numpy as np
import pytest
from PIL import Image

from vdd.data import encoders, video_io
from vdd.errors import UserError


def blobs(t=6, h=48, w=64, colours=8, seed=0):
    """A clip of flat, moving rectangles: few colours, like a sprite."""
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (colours, 3), dtype=np.uint8)
    video = np.zeros((t, h, w, 3), np.uint8)
    for i, colour in enumerate(palette):
        top, left = rng.integers(0, h - 12), rng.integers(0, w - 12 - t)
        for frame in range(t):
            video[frame, top : top + 12, left + frame : left + frame + 12] = colour
        if i == 0:
            video[:, :8] = colour
    return video


def smooth(t=5, h=64, w=64):
    """A clip with far more than 256 colours."""
    y, x, s = np.mgrid[0:h, 0:w, 0:t].transpose(0, 3, 1, 2)
    return np.stack([y * 3 + s, x * 3 + s, 255 - y - x], -1).astype(np.uint8)


def test_npy_and_gif_give_back_the_very_same_frames(tmp_path):
    video = blobs()
    for name in ("clip.npy", "clip.gif"):
        written = video_io.write_clip(tmp_path / name, video, fps=10)
        np.testing.assert_array_equal(video_io.read_clip(written), video)


def test_gif_keeps_equal_neighbours_and_the_rate(tmp_path):
    video = np.repeat(blobs(t=3), 4, axis=0)
    for fps in (8, 25, 30):
        path = video_io.write_clip(tmp_path / "still.gif", video, fps=fps)
        info = video_io.probe_clip(path)
        assert (info.frames, info.height, info.width) == (12, 48, 64)
        assert info.fps == pytest.approx(fps, rel=0.05)
    with Image.open(path) as image:
        assert image.info["loop"] == 0


def test_gif_of_256_close_colours_is_exact(tmp_path):
    ramp = np.arange(256, dtype=np.uint8)
    video = np.broadcast_to(np.stack([ramp] * 3, -1), (2, 3, 256, 3))
    np.testing.assert_array_equal(
        video_io.read_clip(video_io.write_clip(tmp_path / "ramp.gif", video)), video
    )


def test_gif_of_many_colours_is_close_and_does_not_flicker(tmp_path):
    video = np.repeat(smooth(t=1), 3, axis=0)
    video[1:, 20:30, 20:30] = 255 - video[1:, 20:30, 20:30]
    back = video_io.read_clip(video_io.write_clip(tmp_path / "photo.gif", video))
    assert np.abs(back.astype(int) - video).mean() < 8
    np.testing.assert_array_equal(back[0, :20], back[1, :20])


def test_mp4_goes_round_with_odd_sizes(tmp_path):
    pytest.importorskip("av")
    video = smooth(t=9, h=65, w=63)
    path = video_io.write_clip(tmp_path / "odd.mp4", video, fps=25)
    back = video_io.read_clip(path)
    assert back.shape == (9, 66, 64, 3)
    assert np.abs(back[:, :65, :63].astype(int) - video).mean() < 4
    assert video_io.probe_clip(path).fps == pytest.approx(25)


def test_mp4_turned_by_its_header_is_read_upright(tmp_path):
    pytest.importorskip("av")
    upright = smooth(t=2, h=32, w=48)
    data = encoders.mp4(np.rot90(upright, 1, axes=(1, 2)), 8)  # stored lying on its left side
    plain = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    turn_clockwise = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    track = data.index(b"tkhd")
    (tmp_path / "phone.mov").write_bytes(
        data[:track] + data[track:].replace(plain, turn_clockwise, 1)
    )
    back = video_io.read_clip(tmp_path / "phone.mov")
    assert back.shape == upright.shape
    assert np.abs(back.astype(int) - upright).mean() < 4
    cropped = video_io.read_clip(tmp_path / "phone.mov", size=(32, 16))
    assert np.abs(cropped.astype(int) - upright[:, :, 16:32]).mean() < 5


def test_png_is_a_contact_sheet(tmp_path):
    video = blobs(t=10)
    sheet = video_io.read_clip(video_io.write_clip(tmp_path / "sheet.png", video))
    assert sheet.shape == (1, 2 * 48 + 2, 8 * 64 + 7 * 2, 3)
    np.testing.assert_array_equal(sheet[0, :48, 66:130], video[1])
    np.testing.assert_array_equal(sheet[0, 50:, :64], video[8])


def test_folder_is_read_in_natural_order_and_only_pictures(tmp_path):
    video = blobs(t=12)
    for i, frame in enumerate(video):
        Image.fromarray(frame).save(tmp_path / f"Frame{i}.{'PNG' if i % 2 else 'png'}")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_text("no picture")
    np.testing.assert_array_equal(video_io.read_clip(tmp_path), video)


def test_size_undoes_an_enlargement_and_keeps_the_middle(tmp_path):
    video = blobs(t=2, h=32, w=32)
    wide = np.pad(video, [(0, 0), (0, 0), (16, 16), (0, 0)]).repeat(3, 1).repeat(3, 2)
    for name in ("wide.npy", "wide.gif"):
        path = video_io.write_clip(tmp_path / name, wide)
        np.testing.assert_array_equal(video_io.read_clip(path, size=32), video)
        np.testing.assert_array_equal(
            video_io.read_clip(path, size=(32, 48)),
            np.pad(video, [(0, 0), (0, 0), (8, 8), (0, 0)]),
        )


@pytest.mark.parametrize("size", [24, 96])
def test_size_holds_for_every_kind_of_file(tmp_path, size):
    video = smooth(t=3, h=40, w=64)
    Image.fromarray(video[0]).save(tmp_path / "one.jpg")
    paths = [tmp_path / "one.jpg"]
    paths += [video_io.write_clip(tmp_path / name, video) for name in ("a.gif", "a.npy")]
    if pytest.importorskip("av"):
        paths.append(video_io.write_clip(tmp_path / "a.mp4", video))
    clips = [video_io.read_clip(path, size=size) for path in paths]
    assert {clip.shape[1:] for clip in clips} == {(size, size, 3)}
    for clip in clips:
        assert np.abs(clip[0].astype(int) - clips[2][0]).mean() < 8


def test_transparency_is_laid_on_black(tmp_path):
    pixels = np.full((8, 8, 4), 255, np.uint8)
    pixels[:, :4, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "cell.png")
    frame = video_io.read_clip(tmp_path / "cell.png")[0]
    assert frame[:, :4].max() == 0
    assert frame[:, 4:].min() == 255


def layers():
    """A clip with alpha: opaque, and transparent without a colour."""
    video = blobs()
    shown = (np.indices(video.shape[:3]).sum(0) % 3 > 0)[..., None]
    return np.concatenate([video * shown, 255 * shown], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("name", ["clip.npy", "clip.gif"])
def test_alpha_goes_round_and_can_be_laid_on_any_colour(tmp_path, name):
    video = layers()
    path = video_io.write_clip(tmp_path / name, video, fps=10)
    np.testing.assert_array_equal(video_io.read_clip(path, ground=None), video)
    laid = video_io.read_clip(path, ground=(9, 8, 7))
    np.testing.assert_array_equal(laid, np.where(video[..., 3:], video[..., :3], [9, 8, 7]))


def test_alpha_of_other_files(tmp_path):
    video = layers()
    sheet = video_io.write_clip(tmp_path / "sheet.png", video)
    np.testing.assert_array_equal(
        video_io.read_clip(sheet, ground=None)[0], encoders.contact_sheet(video)
    )
    mp4 = video_io.write_clip(tmp_path / "clip.mp4", np.zeros((2, 16, 16, 4), np.uint8))
    back = video_io.read_clip(mp4, ground=None)
    assert (back[..., 3] == 255).all(), "what a video shows is opaque"
    assert back[..., :3].max() < 4


def test_gif_with_alpha_of_many_colours_is_close(tmp_path):
    video = np.concatenate([smooth(), np.full((5, 64, 64, 1), 255, np.uint8)], axis=-1)
    video[:, :9] = 0
    path = video_io.write_clip(tmp_path / "photo.gif", video)
    back = video_io.read_clip(path, ground=None)
    np.testing.assert_array_equal(back[..., 3], video[..., 3])
    assert np.abs(back.astype(int) - video).mean() < 12


def test_gif_with_alpha_leaves_no_colour_to_what_is_transparent(tmp_path):
    ramp = np.arange(256, dtype=np.uint8)
    video = np.stack([ramp, ramp, ramp, np.full(256, 255, np.uint8)], -1)[None, None]
    path = video_io.write_clip(tmp_path / "ramp.gif", video)
    back = video_io.read_clip(path, ground=None)
    assert (back[..., 3] == 255).all()
    assert np.abs(back.astype(int) - video).max() <= 8


def test_a_picture_is_made_smaller_without_what_is_hidden(tmp_path):
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[...] = (0, 255, 0, 0)
    pixels[1::2] = (255, 0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    (small,) = video_io.read_clip(tmp_path / "a.png", 32, ground=None)
    np.testing.assert_array_equal(small[..., :3], np.broadcast_to((255, 0, 0), (32, 32, 3)))
    assert np.abs(small[..., 3].astype(int) - 128).max() <= 1


def test_floats_with_alpha_are_refused(tmp_path):
    with pytest.raises(ValueError, match="to_uint8"):
        video_io.write_clip(tmp_path / "a.gif", np.zeros((2, 8, 8, 4)))


def test_max_frames_stops_early(tmp_path):
    path = video_io.write_clip(tmp_path / "clip.gif", blobs(t=6))
    assert len(video_io.read_clip(path, max_frames=4)) == 4


def broken_files(folder):
    """Files that must end in one clear line, with a word that the line holds."""
    for ending in ("gif", "mp4", "npy"):
        (folder / f"empty.{ending}").write_bytes(b"")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (folder / "broken.mp4").write_bytes(bytes(range(256)) * 8)
    (folder / "cut.gif").write_bytes(encoders.gif(smooth(), 8)[:900])
    (folder / "cut.npy").write_bytes(encoders.npy(blobs())[:-7])
    (folder / "words.npy").write_text("not an array")
    (folder / "notes.txt").write_text("not a clip")
    (folder / "nothing").mkdir()
    (folder / "unlike").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "unlike" / "1.png")
    Image.new("RGB", (8, 9)).save(folder / "unlike" / "2.png")
    np.save(folder / "float.npy", np.zeros((2, 8, 8, 3), np.float32))
    np.save(folder / "picture.npy", np.zeros((8, 8, 3), np.uint8))
    np.save(folder / "none.npy", np.zeros((0, 8, 8, 3), np.uint8))
    np.save(folder / "flat.npy", np.zeros((2, 0, 8, 3), np.uint8))
    np.save(folder / "object.npy", np.array([{}]), allow_pickle=True)
    return {
        "missing.gif": "no such file",
        "empty.gif": "cannot be read \\(an empty file",
        "empty.mp4": "cannot be read \\(an empty file",
        "empty.npy": "cannot be read \\(an empty file",
        "broken.png": "cannot be read",
        "broken.mp4": "cannot be read",
        "cut.gif": "cannot be read",
        "cut.npy": "cannot be read",
        "words.npy": "cannot be read",
        "object.npy": "needs uint8",
        "notes.txt": "not a clip",
        "nothing": "without pictures",
        "unlike": "unlike sizes",
        "float.npy": "needs uint8",
        "picture.npy": "needs uint8",
        "none.npy": "0 frames",
        "flat.npy": "without pixels",
    }


def test_what_a_user_can_get_wrong_is_one_clear_line(tmp_path):
    pytest.importorskip("av")
    for name, words in broken_files(tmp_path).items():
        with pytest.raises(UserError, match=words) as caught:
            video_io.read_clip(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_video_without_pyav_tells_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    (tmp_path / "clip.mp4").write_bytes(b"0")
    for use in (video_io.read_clip, video_io.check_output, video_io.probe_clip):
        with pytest.raises(UserError, match=r"pip install 'vdd-video\[video\]'"):
            use(tmp_path / "clip.mp4")


def test_outputs_that_cannot_be_written(tmp_path):
    (tmp_path / "folder.gif").mkdir()
    for name, words in {
        "clip.avi": "cannot write",
        "clip": "ending",
        "folder.gif": "folder",
    }.items():
        with pytest.raises(UserError, match=words):
            video_io.write_clip(tmp_path / name, blobs())
    with pytest.raises(ValueError, match=r"\[t h w 3 or 4\]"):
        video_io.write_clip(tmp_path / "a.gif", np.zeros((2, 2, 3), np.uint8))


def test_floats_are_taken_to_lie_in_minus_one_to_one(tmp_path):
    video = smooth()
    path = video_io.write_clip(tmp_path / "clip.npy", video.astype(np.float32) / 127.5 - 1)
    np.testing.assert_array_equal(video_io.read_clip(path), video)


def test_a_failed_write_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = video_io.write_clip(tmp_path / "clip.gif", blobs(t=2))
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match=r"clip.gif: cannot be written \(No space"):
        video_io.write_clip(path, blobs(t=4))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["clip.gif"]
