"""Clips of every odd kind are read as a player shows them: in time, upright, on black."""

from fractions import Fraction

import pytest
from odd import read_shades, shades, write
from PIL import Image

from vdd.data import clock, video_io

av = pytest.importorskip("av", reason="needs PyAV (the extra `video`)")
videos = pytest.importorskip("videos")


# ---- in time


def uneven(*pieces):
    """Stamps of pieces of (frames, seconds from each to the next)."""
    stamps, time = [], Fraction(0)
    for count, step in pieces:
        for _ in range(count):
            stamps.append(time)
            time += step
    return stamps


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm"])
def test_uneven_frames_are_seen_when_their_stamps_say(tmp_path, ending):
    stamps = uneven((10, Fraction(1, 30)), (5, Fraction(1, 5)), (10, Fraction(1, 30)))
    codec = "libvpx" if ending == "webm" else "libx264"
    path = videos.encode(tmp_path / f"phone.{ending}", shades(25), stamps, fps=30, codec=codec)
    with video_io.open_clip(path) as clip:
        frames = read_shades(clip.frames)
    assert clip.fps == 30
    assert len(frames) == pytest.approx(50, abs=1)  # 1.67 seconds
    for number, stamp in enumerate(stamps):
        assert frames[round(stamp * 30)] == number
    assert len(frames) == video_io.probe_clip(path).frames


def test_a_frame_held_longer_than_a_clip_may_hold_it_is_told(tmp_path):
    stamps = uneven((2, Fraction(1)), (2, Fraction(1200)))
    path = videos.encode(tmp_path / "long.mkv", shades(4), stamps, fps=1)
    with pytest.warns(UserWarning, match=r"holds a frame for 1200 seconds; 600 are shown"):
        clip = video_io.read_clip(path)
    shown = read_shades(clip)
    assert shown[:2] == [0, 1]
    assert shown.count(2) == 600


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("ending", "codec", "form"),
    [
        *((ending, "libx264", None) for ending in ("mp4", "m4v", "mov", "mkv", "3gp", "3g2")),
        *((ending, "mpeg2video", "mpegts") for ending in ("ts", "mts", "m2ts")),
        *((ending, "mpeg1video", None) for ending in ("mpg", "mpeg")),
        *((ending, "wmv2", None) for ending in ("wmv", "asf")),
        ("avi", "mpeg4", None), ("flv", "flv", None), ("webm", "libvpx", None),
        ("ogv", "libvpx", "ogg"),
    ],
)  # fmt: skip
def test_every_container_is_read_frame_by_frame(tmp_path, ending, codec, form):
    path = videos.encode(tmp_path / f"a.{ending}", shades(10), codec=codec, form=form)
    with video_io.open_clip(path) as clip:
        assert read_shades(clip.frames) == pytest.approx(list(range(10)), abs=1)
    assert clip.fps == 25
    assert clip.size == (32, 48)


def test_every_frame_of_an_even_clip_is_read_once(tmp_path):
    for fps in (Fraction(30000, 1001), Fraction(24), Fraction(60)):
        stamps = [i / fps for i in range(20)]
        path = videos.encode(tmp_path / "even.mkv", shades(20), stamps, fps=round(fps))
        with video_io.open_clip(path) as clip:
            assert read_shades(clip.frames) == list(range(20))
        assert clip.fps == pytest.approx(float(fps), rel=0.005)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("first", [-3, 7])
def test_a_clip_that_begins_at_another_time_is_read_as_well(tmp_path, first):
    stamps = [Fraction(first) + Fraction(i, 10) for i in range(8)]
    path = videos.encode(tmp_path / "late.mkv", shades(8), stamps, fps=10)
    with video_io.open_clip(path) as clip:
        assert read_shades(clip.frames) == list(range(8))
    assert clip.fps == pytest.approx(10)


def test_what_an_edit_list_cuts_off_is_not_seen(tmp_path):
    with av.open(str(tmp_path / "cut.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"bf": "0", "g": "50"})
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for i, pixels in enumerate(shades(10)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = i - 4, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with video_io.open_clip(tmp_path / "cut.mp4") as clip:
        assert read_shades(clip.frames) == [4, 5, 6, 7, 8, 9]


def test_frames_of_one_time_are_read_one_after_the_other(tmp_path):
    path = tmp_path / "stuck.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for pixels in shades(8):
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                packet.pts = packet.dts = 0
                container.mux(packet)
    with (
        pytest.warns(UserWarning, match=r"stuck.mkv: tells one time of all frames; 10 a second"),
        video_io.open_clip(path) as clip,
    ):
        assert read_shades(clip.frames) == list(range(8))


@pytest.mark.filterwarnings("error")
def test_frames_that_an_avi_leaves_out_are_not_missed(tmp_path):
    stamps = uneven((5, Fraction(1, 10)), (2, Fraction(1)), (3, Fraction(1, 10)))
    path = videos.encode(tmp_path / "drops.avi", shades(10), stamps, codec="mpeg4")
    with video_io.open_clip(path) as clip:
        seen = read_shades(clip.frames)
    assert clip.fps == pytest.approx(10, rel=0.01)
    assert len(seen) == pytest.approx(28, abs=1)
    assert [seen[round(stamp * 10)] for stamp in stamps] == pytest.approx(list(range(10)), abs=1)


def test_a_gif_is_seen_as_long_as_its_delays_say(tmp_path):
    delays = [100, 400, 100, 200, 700]
    frames = [Image.fromarray(frame) for frame in shades(5)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=delays)
    with video_io.open_clip(tmp_path / "a.gif") as clip:
        seen = read_shades(clip.frames)
    assert clip.fps == 10
    assert seen == [0, 1, 1, 1, 1, 2, 3, 3, 4, 4, 4, 4, 4, 4, 4]


@pytest.mark.parametrize("ending", ["png", "apng", "webp", "avif"])
def test_other_animations_have_a_clock_too(tmp_path, ending):
    frames = [Image.fromarray(frame) for frame in shades(4)]
    more = {"lossless": True} if ending == "webp" else {}
    form = "PNG" if ending == "apng" else None
    path = tmp_path / f"a.{ending}"
    frames[0].save(path, form, save_all=True, append_images=frames[1:], duration=200, **more)
    with video_io.open_clip(path) as clip:
        assert read_shades(clip.frames) == [0, 1, 2, 3]
    assert clip.fps == 5


def test_stamps_say_the_rate_where_no_header_does():
    tenths = [Fraction(i, 10) for i in range(9)]
    assert clock.constant_rate(tenths, Fraction(9, 10), None) == 10
    assert clock.constant_rate(tenths, None, Fraction(25)) == 10
    assert clock.constant_rate([Fraction(0)], None, Fraction(25)) == 25
    assert clock.constant_rate([], None, None) is None
    rounded = [Fraction(round(i * 100100 / 3000), 1000) for i in range(300)]
    assert clock.constant_rate(rounded, None, Fraction(30000, 1001)) == Fraction(30000, 1001)
    film = [Fraction(round(i * 1000 / 24), 1000) for i in range(20)]
    # The header's own length of the last frame, and its rate, may be those of another clip.
    assert clock.constant_rate(film, film[-1] + Fraction(33, 1000), Fraction(30)) == 24
    slow = clock.constant_rate([Fraction(0), Fraction(1000)], None, None)
    assert slow == Fraction(1, 10)


def test_a_far_stamp_does_not_ask_for_endless_frames():
    second = Fraction(1)
    frames = [(0 * second, second, "a"), (10**9 * second, second, "b")]
    seen = list(clock.hold(iter(frames), Fraction(10)))
    assert (len(seen), seen[-1]) == (6010, "b")


def test_a_clip_without_a_clock_says_what_is_assumed(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mp4", shades(3))
    monkeypatch.setattr(
        "vdd.data.av_files.times", lambda container, stream: clock.Times([], None, stream.frames)
    )
    monkeypatch.setattr("vdd.data.decoding.believed", lambda rate: None)
    with pytest.warns(UserWarning, match="no frame rate; 25 a second are assumed"):
        assert video_io.frame_rate(path) == 25
