"""Clips of every odd kind are read as a player shows them: in time, upright, on black."""

import io
import os
import warnings
import zipfile
from fractions import Fraction

import numpy as np
import pytest
from etils import epath
from PIL import Image

from vdd.data import clock, decoding, video_io
from vdd.errors import UserError

av = pytest.importorskip("av", reason="needs PyAV (the extra `video`)")
videos = pytest.importorskip("videos")

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def shades(count, height=32, width=48):
    """Frames that tell their numbers by how bright they are."""
    return [np.full((height, width, 3), 20 + 8 * i, np.uint8) for i in range(count)]


def read_shades(clip):
    return [round((float(frame.mean()) - 20) / 8) for frame in clip]


def corners(height=32, width=48):
    """A frame whose corners are red, green, blue and black, from the upper left clockwise."""
    frame = np.zeros((height, width, 3), np.uint8)
    top, left = slice(0, height // 2), slice(0, width // 2)
    frame[top, left], frame[top, width // 2 :] = RED, GREEN
    frame[height // 2 :, width // 2 :] = BLUE
    return frame


def write(path, frames, pix_fmt="yuv420p", codec="libx264", matrix=None, options=None, layout=None):
    with av.open(str(path), "w", options=layout or {}) as container:
        stream = container.add_stream(codec, rate=10, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if matrix:
            stream.set_display_matrix(matrix)
        for pixels in frames:
            form = "rgba" if pixels.shape[-1] == 4 else "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=form)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


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


# ---- upright


_ONE = 1 << 16
MATRICES = {
    "90": (0, _ONE, -_ONE, 0),
    "180": (-_ONE, 0, 0, -_ONE),
    "270": (0, -_ONE, _ONE, 0),
    "mirrored": (-_ONE, 0, 0, _ONE),
    "flipped": (_ONE, 0, 0, -_ONE),
    "transposed": (0, _ONE, _ONE, 0),
    "transversed": (0, -_ONE, -_ONE, 0),
}
UPRIGHT = {
    "90": lambda x: np.rot90(x, -1),
    "180": lambda x: np.rot90(x, 2),
    "270": lambda x: np.rot90(x, 1),
    "mirrored": np.fliplr,
    "flipped": np.flipud,
    "transposed": lambda x: x.swapaxes(0, 1),
    "transversed": lambda x: np.rot90(x, 2).swapaxes(0, 1),
}


@pytest.mark.parametrize("kind", MATRICES)
def test_display_matrices_are_followed(tmp_path, kind):
    a, b, c, d = MATRICES[kind]
    matrix = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path = write(tmp_path / "a.mp4", [corners()] * 2, matrix=matrix)
    expected = UPRIGHT[kind](corners())
    frame = video_io.read_clip(path)[0]
    assert frame.shape == expected.shape
    assert np.abs(frame.astype(int) - expected).mean() < 12
    assert video_io.read_clip(path, (16, 16)).shape == (2, 16, 16, 3)


EXIF = {
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).swapaxes(0, 1),
    8: lambda x: np.rot90(x, 1),
}


@pytest.mark.parametrize("orientation", EXIF)
def test_photos_lie_as_their_exif_says(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = EXIF[orientation](corners())
    for name in ("a.JPG", "a.jfif", "a.png", "a.webp", "a.tif"):
        form = "JPEG" if name == "a.jfif" else None
        Image.fromarray(corners()).save(tmp_path / name, form, exif=exif)
        frame = video_io.read_clip(tmp_path / name)[0]
        assert frame.shape == expected.shape, name
        assert np.abs(frame.astype(int) - expected).mean() < 12, name


def test_a_cover_picture_is_not_the_video(tmp_path):
    png = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(png, "PNG")
    path = tmp_path / "cover.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("png", rate=1)
        cover.height = cover.width = 32
        cover.pix_fmt = "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        packet = av.Packet(png.getvalue())
        packet.stream, packet.pts, packet.dts = cover, 0, 0
        container.mux(packet)
        for pixels in shades(6):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    # The cover lies in the user data: where these come first, it is the first track.
    data = path.read_bytes()
    start = data.rindex(b"moov") + 4
    boxes, at = [], start
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        boxes.append(data[at : at + size])
        at += size
    path.write_bytes(data[:start] + b"".join(sorted(boxes, key=lambda box: box[4:8] == b"trak")))
    with av.open(str(path)) as container:
        assert container.streams.video[0].disposition & av.stream.Disposition.attached_pic
    with video_io.open_clip(path) as clip:
        assert read_shades(clip.frames) == list(range(6))
    with decoding.open_video(epath.Path(path)) as video:  # as `vdd prepare` does
        assert len(list(video.frames)) == 6
    assert decoding.read_times(epath.Path(path)).declared == 6


def write_tracks(path, *tracks):
    """A file of several videos, each (codec, frames, whether it is the default)."""
    with av.open(str(path), "w") as container:
        streams = []
        for codec, frames, default in tracks:
            stream = container.add_stream(codec, rate=10)
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            if default:
                stream.disposition = av.stream.Disposition.default
            streams.append(stream)
        for stream, (_, frames, _) in zip(streams, tracks):
            for pixels in frames:
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
def test_of_several_videos_the_one_is_read_that_a_player_shows(tmp_path, ending):
    path = tmp_path / f"several.{ending}"
    first, second = shades(6), shades(6)[::-1]
    write_tracks(path, ("libx264", first, False), ("libx264", second, False))
    assert read_shades(video_io.read_clip(path)) == [0, 1, 2, 3, 4, 5]
    write_tracks(path, ("libx264", first, False), ("libx264", second, True))
    assert read_shades(video_io.read_clip(path)) == [5, 4, 3, 2, 1, 0]
    # A cover that is not marked as one.
    write_tracks(path, ("mjpeg", [corners()], True), ("libx264", first, False))
    assert read_shades(video_io.read_clip(path)) == [0, 1, 2, 3, 4, 5]


def test_further_pictures_of_a_photo_are_no_frames(tmp_path):
    photo, small = Image.fromarray(corners()), Image.new("RGB", (8, 8))
    photo.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[small])
    assert video_io.read_clip(tmp_path / "a.jpg").shape == (1, 32, 48, 3)


def test_pictures_of_a_folder_may_be_of_unlike_sizes_where_a_size_is_asked_for(tmp_path):
    for number, shape in enumerate([(20, 30), (30, 20), (8, 8)]):
        pixels = np.full((*shape, 3), 50 * number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.{('PNG', 'Jpeg', 'webp')[number]}")
    moving = [Image.fromarray(frame) for frame in shades(3, 8, 8)]
    moving[0].save(tmp_path / "3.webp", save_all=True, append_images=moving[1:])
    assert video_io.read_clip(tmp_path, 16).shape == (4, 16, 16, 3)


# ---- colours


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("b.webm", "libvpx", "yuva420p"),
        ("a.mov", "qtrle", "argb"),
        ("b.mov", "png", "rgba"),
    ],
)
def test_what_a_video_hides_is_black(tmp_path, name, codec, pix_fmt):
    pixels = np.full((32, 64, 4), 200, np.uint8)
    pixels[:, :32, 3], pixels[:, 32:, 3] = 0, 255
    options = {"auto-alt-ref": "0"} if "vpx" in codec else {}
    path = write(tmp_path / name, [pixels] * 3, pix_fmt, codec, options=options)
    for size in (None, 16):
        clip = video_io.read_clip(path, size)
        assert len(clip) == 3
        middle = clip.shape[2] // 2
        assert clip[:, :, : middle - 2].max() < 12
        assert clip[:, :, middle + 2 :].min() > 185


def test_what_gifs_and_other_animations_hide_is_black(tmp_path):
    frames = []
    for left in (0, 16, 32):
        pixels = np.full((32, 48, 4), 200, np.uint8)
        pixels[..., 3] = 0
        pixels[:, left : left + 16, 3] = 255
        frames.append(Image.fromarray(pixels))
    for name in ("a.gif", "a.png", "a.webp"):
        more = {"lossless": True} if name == "a.webp" else {}
        frames[0].save(
            tmp_path / name, save_all=True, append_images=frames[1:], duration=100,
            disposal=1 if name == "a.png" else 2, **more,
        )  # fmt: skip
        clip = video_io.read_clip(tmp_path / name)
        assert len(clip) == 3, name
        for i, frame in enumerate(clip):
            shown = np.zeros((32, 48, 3), int)
            shown[:, 16 * i : 16 * i + 16] = 200
            assert np.abs(frame.astype(int) - shown).max() < 8, (name, i)


def test_deep_pictures_are_scaled_or_refused(tmp_path):
    deep = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    for name in ("grey.png", "grey.tiff"):
        Image.fromarray(deep).save(tmp_path / name)
        frame = video_io.read_clip(tmp_path / name)[0]
        assert np.abs(frame[..., 1].astype(float) - deep / 257).max() <= 0.5
    for name, dtype in (("float.tiff", np.float32), ("whole.tiff", np.int32)):
        Image.fromarray((deep / 65535).astype(dtype)).save(tmp_path / name)
        with pytest.raises(UserError, match=f"{name}: .* pixels, whose range is not known"):
            video_io.read_clip(tmp_path / name)


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [("libx264", "yuv420p10le"), ("ffv1", "gray16le"), ("ffv1", "yuv444p"), ("ffv1", "bgr0")],
)
def test_deep_and_grey_videos_keep_their_shades(tmp_path, codec, pix_fmt):
    path = write(tmp_path / "a.mkv", shades(5, 30, 46), pix_fmt, codec)
    clip = video_io.read_clip(path)
    assert read_shades(clip) == list(range(5))
    assert clip.shape == (5, 30, 46, 3)


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
