"""Frames of odd clips are seen as a player shows them: upright, on black, in 8 bits."""

import io

import numpy as np
import pytest
from etils import epath
from odd import read_shades, shades, write
from PIL import Image

from vdd.data import decoding, video_io
from vdd.errors import UserError

av = pytest.importorskip("av", reason="needs PyAV (the extra `video`)")

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def corners(height=32, width=48):
    """A frame whose corners are red, green, blue and black, from the upper left clockwise."""
    frame = np.zeros((height, width, 3), np.uint8)
    top, left = slice(0, height // 2), slice(0, width // 2)
    frame[top, left], frame[top, width // 2 :] = RED, GREEN
    frame[height // 2 :, width // 2 :] = BLUE
    return frame


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
