"""Long clips are coded and drawn piece by piece, and lost content is replaced."""

import numpy as np
import pytest
import tiny

import vdd
from vdd.codec import container, description, files
from vdd.data import video_io
from vdd.diffusion import samplers
from vdd.run import Run


def test_a_long_clip_is_read_in_windows_that_overlap(tiny_run, tmp_path, monkeypatch):
    coded_run, coded = files.open_run(tiny_run), tmp_path / "clip.vdd"
    video = tiny.random_video(1, 11, seed=3)[0]
    clip = video_io.write_clip(tmp_path / "clip.npy", video)
    monkeypatch.setattr(Run, "windows", (4, 2))
    files.encode(coded_run, clip, coded)
    decoded = files.decode(coded_run, coded)
    pieces = [coded_run.take_apart(video[i : i + 4]) for i in (0, 2, 4, 6)]
    last = coded_run.take_apart(video[[8, 9, 10, 10]])
    wanted = [pieces[0].codes[:3], *(piece.codes[1:3] for piece in pieces[1:]), last.codes[1:3]]
    np.testing.assert_array_equal(decoded.codes, np.concatenate(wanted))
    assert decoded.header.frames == 11
    assert decoded.content is not None
    numbers = coded_run.content.decode(decoded.content)
    np.testing.assert_array_equal(numbers, pieces[0].numbers)


def test_a_clip_that_fits_one_window_is_read_as_a_whole(tiny_run, tmp_path):
    coded_run, coded = files.open_run(tiny_run), tmp_path / "clip.vdd"
    size, overlap = coded_run.run.windows
    assert (size, overlap) == (8, 1)
    video = tiny.random_video(1, size, seed=3)[0]
    clip = video_io.write_clip(tmp_path / "clip.npy", video)
    files.encode(coded_run, clip, coded, fps=8)
    assert coded.read_bytes() == coded_run.to_bytes(coded_run.take_apart(video), 8.0)


def test_more_frames_than_a_file_holds_are_refused(tiny_run, clip, tmp_path, monkeypatch):
    coded_run, coded = files.open_run(tiny_run), tmp_path / "clip.vdd"
    monkeypatch.setattr(container, "MAX_FRAMES", 4)
    with pytest.raises(vdd.errors.UserError, match=r"more than 4 frames; .* --frames 4"):
        files.encode(coded_run, clip, coded)
    files.encode(coded_run, clip, coded, max_frames=4)
    assert len(files.decode(coded_run, coded).codes) == 4


def test_content_that_is_damaged_can_be_replaced(tiny_run, clip, tmp_path):
    coded_run, coded = files.open_run(tiny_run), tmp_path / "clip.vdd"
    files.encode(coded_run, clip, coded)
    data = bytearray(coded.read_bytes())
    data[49] ^= 1
    coded.write_bytes(data)
    decoded = files.decode(coded_run, coded)
    sampler = samplers.choose(coded_run.run.config.eval, steps=1)
    with pytest.raises(vdd.errors.UserError, match="--content"):
        files.draw(coded_run, decoded, None, sampler, 0)
    other = video_io.read_clip(clip, 16)
    assert next(files.draw(coded_run, decoded, other, sampler, 0)).shape == (5, 16, 16, 3)


def test_a_long_clip_is_drawn_in_pieces_and_other_content_read_from_one(tiny_run, monkeypatch):
    coded_run = files.open_run(tiny_run)
    video = tiny.random_video(1, 11, seed=3)[0]
    data = coded_run.to_bytes(coded_run.take_apart(video), 8.0)
    decoded = coded_run.from_bytes(data)
    monkeypatch.setattr(Run, "windows", (4, 2))
    sampler = samplers.choose(coded_run.run.config.eval, steps=1)
    pieces = list(files.draw(coded_run, decoded, None, sampler, 0))
    assert [piece.shape for piece in pieces] == [(n, 16, 16, 3) for n in (4, 4, 3)]
    assert {piece.dtype for piece in pieces} == {np.dtype(np.uint8)}
    first = decoded._replace(codes=np.concatenate([decoded.codes[:4]] * 2))
    again = list(files.draw(coded_run, first, None, sampler, 0))
    np.testing.assert_array_equal(again[0], pieces[0])
    assert not np.array_equal(again[1], pieces[0])  # noise of its own
    clips = (video, video[:4])
    shown = [next(files.draw(coded_run, decoded, clip, sampler, 0)) for clip in clips]
    np.testing.assert_array_equal(*shown)


def test_what_has_no_end_is_read_to_the_limit_alone():
    with pytest.raises(vdd.errors.UserError, match="more than 64 MB"):
        description.read("/dev/zero")
