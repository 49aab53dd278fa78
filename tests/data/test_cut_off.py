"""Clips that end before they should say so, whatever else they hold; whole ones do not."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from vdd.data import video_io
from vdd.data.video_folder.clips import Clip
from vdd.data.video_folder.store import Settings, Store
from vdd.errors import UserError

av = pytest.importorskip("av", reason="needs PyAV (the extra `video`)")

RATE = 48000


def noise(count):
    """Frames that take as many bytes each."""
    small = np.random.default_rng(0).integers(0, 255, (count, 16, 16, 3), np.uint8)
    return small.repeat(3, axis=1).repeat(3, axis=2)


def write(path, frames, codec, sound=None, form=None, seconds=None):
    """A clip of 25 frames a second, with sound of as many seconds, or others, in a codec."""
    with av.open(str(path), "w", format=form, options={"movflags": "faststart"}) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        track = container.add_stream(sound, rate=RATE, layout="mono") if sound else None
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
        if track is not None:
            count = int(RATE * (seconds or len(frames) / 25))
            wave = np.sin(np.arange(count) / 20).astype(np.float32)[None] / 4
            for start in range(0, count, 960):
                piece = np.ascontiguousarray(wave[:, start : start + 960])
                frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
                container.mux(track.encode(frame))
            container.mux(track.encode())
    return path


KINDS = [
    ("mp4", "libx264", None), ("mp4", "libx264", "aac"),
    ("mov", "libx264", "aac"),
    ("mkv", "libx264", None), ("mkv", "libx264", "aac"),
    ("webm", "libvpx", None), ("webm", "libvpx-vp9", "libopus"),
    ("avi", "mpeg4", None), ("avi", "mpeg4", "mp2"),
    ("flv", "libx264", None), ("flv", "libx264", "aac"),
]  # fmt: skip


@pytest.mark.parametrize(("ending", "codec", "sound"), KINDS)
def test_a_clip_that_is_cut_off_says_so_and_a_whole_one_does_not(tmp_path, ending, codec, sound):
    path = write(tmp_path / f"a.{ending}", noise(50), codec, sound)
    whole = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frames = len(video_io.read_clip(path))
    for share in (0.5, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.warns(UserWarning, match=rf"a.{ending}: is cut off: it holds .* of (2\.|50)"):
            assert len(video_io.read_clip(path)) < frames


@pytest.mark.parametrize("sound", [None, "aac"])
@pytest.mark.filterwarnings("error")
def test_sound_that_lasts_longer_or_shorter_is_no_loss(tmp_path, sound):
    for ending in ("mkv", "mp4", "flv"):
        for seconds in (0.4, 3.0):
            path = write(tmp_path / f"a.{ending}", noise(25), "libx264", sound, seconds=seconds)
            assert len(video_io.read_clip(path)) == 25


def test_a_clip_with_sound_that_is_cut_off_is_not_prepared(tmp_path):
    path = write(tmp_path / "a.mkv", noise(100), "libx264", "aac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (tmp_path / "store").mkdir()
    store = Store(str(tmp_path / "store"), str(tmp_path), Settings(16, Fraction(25), 4, 4))
    clip = Clip("a.mkv", "a")
    store.decode(clip)
    assert store.outcome(clip).reason.startswith("truncated: 2.0 s of 4.0")


def test_an_avi_that_repeats_its_last_frame_is_whole(tmp_path):
    path = tmp_path / "a.avi"
    write(path, noise(20), "mpeg4")
    data, more = bytearray(path.read_bytes()), 10

    def add(at, number):
        data[at : at + 4] = (int.from_bytes(data[at : at + 4], "little") + number).to_bytes(
            4, "little"
        )

    add(data.index(b"avih") + 8 + 16, more)  # frames in all
    add(data.index(b"strh") + 8 + 32, more)  # of the track
    add(data.index(b"movi") - 4, 8 * more)
    add(4, 24 * more)
    index = data.index(b"idx1")
    add(index + 4, 16 * more)
    first = index - data.index(b"movi")
    places = (first + 8 * i for i in range(more))
    data += b"".join(
        b"00dc" + bytes(4) + place.to_bytes(4, "little") + bytes(4) for place in places
    )
    data[index:index] = b"00dc\0\0\0\0" * more
    path.write_bytes(data)
    assert video_io.probe_clip(path).frames == 20
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(video_io.read_clip(path)) >= 20


def gif(path, count=10):
    stills = [Image.fromarray(frame) for frame in noise(count)]
    stills[0].save(path, "GIF", save_all=True, append_images=stills[1:], duration=40)
    return path.read_bytes()


def test_a_gif_that_ends_between_two_frames_is_cut_off(tmp_path):
    path = tmp_path / "a.gif"
    whole = gif(path)
    assert len(video_io.read_clip(path)) == 10
    begins = [at for at in range(len(whole)) if whole.startswith(b"\x21\xf9\x04", at)]
    assert len(begins) == 10
    path.write_bytes(whole[: begins[6] + 300])
    with pytest.raises(UserError, match=r"a.gif: cannot be read \(cut off"):
        video_io.read_clip(path)
    for end, count in ((begins[6], 6), (len(whole) - 1, 10)):  # some programs leave out the mark
        path.write_bytes(whole[:end])
        with pytest.warns(UserWarning, match=r"a.gif: has no mark of its end, so it may be cut"):
            assert len(video_io.read_clip(path)) == count
    path.write_bytes(whole + b"and a word")  # as some programs leave there
    assert len(video_io.read_clip(path)) == 10


def test_a_clip_with_the_ending_of_another_kind_is_read_as_what_it_is(tmp_path):
    gif(tmp_path / "a.mp4")
    write(tmp_path / "b.gif", noise(7), "libx264", form="mp4")
    write(tmp_path / "c.avi", noise(5), "libx264", form="matroska")
    Image.fromarray(noise(1)[0]).save(tmp_path / "d.webm", "PNG")
    counts = [video_io.probe_clip(path).frames for path in sorted(tmp_path.iterdir())]
    assert counts == [10, 7, 5, 1]
    assert video_io.frame_rate(tmp_path / "a.mp4") == 25
