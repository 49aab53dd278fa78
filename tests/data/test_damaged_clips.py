"""Clips that are damaged, or hardly clips, cost a line and no more."""

import io
import os
import warnings
import zipfile

import numpy as np
import pytest
from odd import read_shades, shades, write
from PIL import Image

from vdd.data import video_io
from vdd.errors import UserError

av = pytest.importorskip("av", reason="needs PyAV (the extra `video`)")


# ---- damage


def test_a_video_that_is_cut_off_says_so(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (50, 32, 48, 3), np.uint8)
    path = write(tmp_path / "a.mp4", list(noise), layout={"movflags": "faststart"})
    whole = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(video_io.read_clip(path)) == 50
    path.write_bytes(whole[: len(whole) * 6 // 10])
    with pytest.warns(UserWarning, match=r"a.mp4: is cut off: it holds \d+ of 50 frames"):
        clip = video_io.read_clip(path)
    assert 5 < len(clip) < 50
    path = write(tmp_path / "a.mkv", list(noise))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.warns(UserWarning, match=r"a.mkv: is cut off: it holds \d\.\d of 5\.0 seconds"):
        assert 5 < len(video_io.read_clip(path)) < 50


def test_damage_in_the_middle_costs_no_more_than_it_damages(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (20, 32, 48, 3), np.uint8)
    path = write(tmp_path / "a.mov", list(noise), codec="png", pix_fmt="rgb24")
    data = bytearray(path.read_bytes())
    at = data.index(b"IDAT", len(data) // 2)
    data[at : at + 2000] = bytes(2000)
    path.write_bytes(data)
    with pytest.warns(UserWarning, match=r"a.mov: is damaged"):
        clip = video_io.read_clip(path)
    assert len(clip) == 20  # the frame before is held
    same = [np.abs(frame.astype(int) - real).max() < 3 for frame, real in zip(clip, noise)]
    assert sum(same) >= 18


def test_a_video_in_an_unknown_codec_is_one_line(tmp_path):
    data = write(tmp_path / "a.mp4", shades(3)).read_bytes()
    (tmp_path / "a.mp4").write_bytes(data.replace(b"avc1", b"zzz1").replace(b"avcC", b"zzzC"))
    with pytest.raises(UserError, match=r"a.mp4: .*codec that FFmpeg cannot decode"):
        video_io.read_clip(tmp_path / "a.mp4")


def test_arrays_that_are_not_what_they_claim_are_one_line(tmp_path):
    with zipfile.ZipFile(tmp_path / "archive.npy", "w") as archive:
        archive.writestr("a.npy", b"")
    header = io.BytesIO()
    claim = {"descr": "|u1", "fortran_order": False, "shape": (10**6, 114, 114, 3)}
    np.lib.format.write_array_header_1_0(header, claim)
    (tmp_path / "claims.npy").write_bytes(header.getvalue() + bytes(1000))
    (tmp_path / "long.npy").write_bytes(b"\x93NUMPY\x02\0\xff\xff\xff\xff" + bytes(1000))
    (tmp_path / "open.npy").write_bytes(header.getvalue().replace(b"}", b" ") + bytes(1000))
    for name, words in {
        "archive.npy": "an archive of arrays",
        "open.npy": "cannot be read",
        "long.npy": "cannot be read .a header of 4294967295 bytes",
        "claims.npy": "cut off: 1000 bytes of the 38988000000",
    }.items():
        with pytest.raises(UserError, match=f"{name}: .*{words}"):
            video_io.read_clip(tmp_path / name)


def test_arrays_stored_by_columns_are_read(tmp_path):
    video = np.random.default_rng(0).integers(0, 255, (3, 8, 6, 3), np.uint8)
    np.save(tmp_path / "a.npy", np.asfortranarray(video))
    np.testing.assert_array_equal(video_io.read_clip(tmp_path / "a.npy"), video)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(UserError, match=r"pipe.mp4: not a regular file"):
        video_io.read_clip(tmp_path / "pipe.mp4")


def test_a_clip_of_one_frame(tmp_path):
    path = write(tmp_path / "one.mp4", shades(1))
    assert len(video_io.read_clip(path)) == 1
    assert video_io.frame_rate(path) == 10


def test_a_quick_gif_lasts_as_long_as_it_should(tmp_path):
    with pytest.warns(UserWarning, match=r"50 frames a second, not 60: 25 of 30 frames .*mp4"):
        video_io.write_clip(tmp_path / "a.gif", np.stack(shades(30)), fps=60)
    with Image.open(tmp_path / "a.gif") as image:
        durations = []
        for number in range(image.n_frames):
            image.seek(number)
            durations.append(image.info["duration"])
    assert durations == [20] * 25
    assert read_shades(video_io.read_clip(tmp_path / "a.gif"))[::5] == [0, 6, 12, 18, 24]


def test_whole_numbers_of_unknown_range_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="not int64"):
        video_io.write_clip(tmp_path / "a.gif", np.full((2, 8, 8, 3), 100))


def test_an_animation_whose_last_frame_is_damaged_is_one_line(tmp_path):
    stills = [Image.fromarray(frame) for frame in tiny_noise()]
    buffer = io.BytesIO()
    stills[0].save(buffer, "AVIF", save_all=True, append_images=stills[1:])
    (tmp_path / "clip.avif").write_bytes(buffer.getvalue()[:-20] + b"\xff" * 20)
    with pytest.raises(UserError, match=r"clip.avif: cannot be read \(Failed to decode frame"):
        video_io.read_clip(tmp_path / "clip.avif")


def tiny_noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)


def test_metadata_that_are_no_text_are_no_matter(tmp_path):
    """PyAV up to 18 has to be told so, and 19 must not be."""
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["comment"] = "a comment"
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width = 32, 48
        for pixels in shades(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    written = path.read_bytes()
    assert b"a comment" in written
    path.write_bytes(written.replace(b"a comment", b"\xff\xfe\xc3\x28 zzzz"))
    assert read_shades(video_io.read_clip(path)) == [0, 1, 2]
