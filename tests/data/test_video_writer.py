"""Clips that are written frame by frame."""

import io
import tempfile

import numpy as np
import pytest
from moving import moving_square, sound_seconds, write_tone

from vdd.data import video_io, video_writer
from vdd.errors import UserError
from vdd.files import changes


@pytest.mark.parametrize("ending", ["mp4", "gif", "npy"])
def test_written_frame_by_frame_it_reads_as_written_at_once(tmp_path, ending):
    video = moving_square(7)
    with video_writer.writing_clip(tmp_path / f"a.{ending}", 8) as clip:
        for frame in video:
            clip.write(frame)
    video_io.write_clip(tmp_path / f"b.{ending}", video, 8)
    one, other = (video_io.read_clip(tmp_path / f"{name}.{ending}") for name in "ab")
    np.testing.assert_array_equal(one, other)
    assert video_io.frame_rate(tmp_path / f"a.{ending}") in (None, pytest.approx(8, rel=0.05))


@pytest.mark.parametrize(("ending", "codec"), [("mkv", "flac"), ("mp4", "aac")])
def test_the_last_picture_is_held_while_there_is_sound(tmp_path, ending, codec):
    """As players show it; and of a clip whose frames are uneven, which ends with a long one."""
    source = write_tone(tmp_path / f"source.{ending}", 16000, codec, 38400)
    with video_io.open_clip(source) as clip:
        sound = clip.sound._replace(whole=True)
        with video_writer.writing_clip(tmp_path / "out.mp4", clip.fps, sound) as written:
            for frame in clip.frames:
                written.write(frame)
    out = video_io.read_clip(tmp_path / "out.mp4").astype(int)
    assert sound_seconds(tmp_path / "out.mp4") == pytest.approx(2.4, abs=0.15)
    assert len(out) == pytest.approx(24, abs=1)
    assert np.abs(out[9:] - out[9]).mean() < 1
    assert np.abs(out[8] - out[9]).mean() > 2


def test_a_rest_of_sound_as_encoders_leave_it_holds_no_picture(tmp_path):
    source = write_tone(tmp_path / "source.mkv", 16000, "flac", 17000)
    with video_io.open_clip(source) as clip:
        sound = clip.sound._replace(whole=True)
        with video_writer.writing_clip(tmp_path / "out.mp4", clip.fps, sound) as written:
            for frame in clip.frames:
                written.write(frame)
    assert written.count == 10


def test_a_full_folder_for_temporary_files_is_not_in_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    out = tmp_path / "new" / "out.mp4"
    with video_writer.writing_clip(out, 8) as clip:
        clip.write(moving_square(1)[0])
    assert len(video_io.read_clip(out)) == 1


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as bucket:
        bucket.setattr(changes, "is_remote", lambda path: True)
        bucket.setattr(tempfile, "TemporaryFile", lambda **_: Full())
        bucket.setattr(tempfile, "tempdir", "/scratch")
        with pytest.raises(UserError, match=r"^/scratch, .*TMPDIR.*: cannot be written \(No space"):
            write_many(tmp_path / "out.mp4")
    monkeypatch.setattr(changes, "open", lambda *_: Full(), raising=False)
    with pytest.raises(UserError, match=r"out.mp4: cannot be written \(No space left"):
        write_many(tmp_path / "out.mp4")
    assert not list(tmp_path.iterdir())


def write_many(path):
    with video_writer.writing_clip(path, 8) as clip:
        for frame in moving_square(40):
            clip.write(frame)


def write_one_and_fail(path):
    with video_writer.writing_clip(path, 8) as clip:
        clip.write(moving_square(1)[0])
        raise RuntimeError


def test_after_an_error_no_file_is_left(tmp_path):
    with pytest.raises(RuntimeError):
        write_one_and_fail(tmp_path / "out.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["mp4", "gif"])
def test_no_frames_are_an_error(tmp_path, ending):
    with (
        pytest.raises(UserError, match="no frames"),
        video_writer.writing_clip(tmp_path / f"o.{ending}", 8),
    ):
        pass
    assert not list(tmp_path.iterdir())
