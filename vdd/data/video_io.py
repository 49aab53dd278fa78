"""Clips in and out of files, chosen by the ending.

In: gif, mp4, webm, mov, a still picture (a clip of one frame), a folder of pictures, npy.
Out: gif, mp4, png (contact sheet), npy. A clip is uint8 RGB [t h w 3]; paths may be gs://.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt
from etils import epath
from jaxtyping import UInt8
from PIL import Image, ImageSequence

from vdd import files
from vdd.data import decoding, encoders
from vdd.errors import UserError

VIDEO_ENDINGS = (".mp4", ".webm", ".mov")
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
INPUT_ENDINGS = (".gif", *VIDEO_ENDINGS, *PICTURE_ENDINGS, ".npy")
OUTPUT_ENDINGS = (".gif", ".mp4", ".png", ".npy")

Size = tuple[int, int]  # height, width


class ClipInfo(NamedTuple):
    """What a clip file holds: frames, pixels, and frames a second (None where it has no clock)."""

    frames: int
    height: int
    width: int
    fps: float | None


def read_clip(
    path: epath.PathLike,
    size: int | Size | None = None,
    *,
    max_frames: int | None = None,
) -> UInt8[np.ndarray, "t h w 3"]:
    """Reads a clip as uint8 [t h w 3].

    Args:
        path: a gif, mp4, webm, mov, npy, a picture, or a folder of pictures in natural order
            (frame2 before frame10). Transparent pixels are laid on black.
        size: if given, (height, width) or one number for a square: each frame is scaled until it
            covers that size, and the middle is kept. Otherwise frames keep their pixels and must
            all be of one size.
        max_frames: stop reading after so many frames.

    Raises:
        UserError: missing, unreadable or empty file, wrong array, unlike sizes.
    """
    path = epath.Path(path)
    frames = list(itertools.islice(iterate_clip(path, size), max_frames))
    if not frames:
        raise UserError(f"{path}: 0 frames, needs at least 1")
    shapes = {frame.shape for frame in frames}
    if len(shapes) > 1:
        sizes = ", ".join(sorted(f"{w}x{h}" for h, w, _ in shapes))
        raise UserError(f"{path}: frames of unlike sizes ({sizes}); make them one size")
    return np.stack(frames)


def iterate_clip(
    path: epath.PathLike, size: int | Size | None = None
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames of a clip one by one, for clips longer than the memory; else as `read_clip`."""
    return _iterate(epath.Path(path), (size, size) if isinstance(size, int) else size)


def probe_clip(path: epath.PathLike) -> ClipInfo:
    """Counts the frames of a clip without keeping them; size is that of the first frame.

    Raises:
        UserError: as `read_clip`.
    """
    path = epath.Path(path)
    count, shape = 0, (0, 0, 3)
    for count, frame in enumerate(_iterate(path, None), start=1):
        shape = frame.shape if count == 1 else shape
    if count == 0:
        raise UserError(f"{path}: 0 frames, needs at least 1")
    return ClipInfo(count, shape[0], shape[1], frame_rate(path))


def list_pictures(folder: epath.Path) -> list[epath.Path]:
    """The pictures of a folder in natural order (frame2 before frame10); hidden files are not."""
    visible = [path for path in folder.iterdir() if not path.name.startswith(".")]
    pictures = [path for path in visible if path.suffix.lower() in PICTURE_ENDINGS]
    return sorted(pictures, key=_natural_order)


def frame_rate(path: epath.PathLike) -> float | None:
    """Frames a second of a gif or video; None for pictures, folders, arrays and unknown clocks."""
    path = epath.Path(path)
    if path.is_dir() or path.suffix.lower() not in (".gif", *VIDEO_ENDINGS):
        return None
    if path.suffix.lower() == ".gif":
        with _readable(path) as file, Image.open(file) as image:
            millis = [frame.info.get("duration", 0) for frame in ImageSequence.Iterator(image)]
        return 1000 * len(millis) / sum(millis) if sum(millis) else None
    av = decoding.import_av()
    with _readable(path) as file, av.open(file, options=decoding.CONTAINERS) as container:
        rate = container.streams.video[0].average_rate if container.streams.video else None
    return float(rate) if rate else None


def write_clip(
    path: epath.PathLike, video: npt.ArrayLike, fps: float = 8, overwrite: bool = False
) -> epath.Path:
    """Writes a clip in the format that the ending names; a file is either whole or not there.

    gif: one palette for all frames (exact up to 256 colours), no dithering, endless loop; every
    frame is stored, equal neighbours too. mp4: H.264 yuv420p, odd sides padded by one pixel.
    png: contact sheet. npy: the array.

    Args:
        path: where to; the folder is made if it is missing.
        video: [t h w 3], uint8 or float in [-1, 1], at least one frame.
        fps: frames a second (gif and mp4).
        overwrite: replace a file that this tool did not write.

    Raises:
        UserError: as `check_output`, or a full disk.
        ValueError: `video` is of another shape.
    """
    path = check_output(path, overwrite=overwrite)
    pixels = encoders.to_uint8(np.asarray(video))
    if pixels.ndim != 4 or pixels.shape[-1] != 3 or not pixels.size:
        raise ValueError(f"needs a video [t h w 3], got {list(pixels.shape)}")
    return files.write(path, _encode(pixels, path.suffix.lower(), fps), overwrite)


def _encode(video: np.ndarray, ending: str, fps: float) -> bytes:
    if ending == ".gif":
        return encoders.gif(video, fps)
    if ending == ".mp4":
        return encoders.mp4(video, fps)
    return encoders.png(video) if ending == ".png" else encoders.npy(video)


def check_output(
    path: epath.PathLike, inputs: Iterable[epath.PathLike | None] = (), overwrite: bool = False
) -> epath.Path:
    """Tells before any long work whether `write_clip` can write this path.

    Args:
        path: where to.
        inputs: what is read meanwhile.
        overwrite: replace a file that this tool did not write.

    Raises:
        UserError: unknown ending, mp4 without PyAV, or as `vdd.files.check`.
    """
    path = files.expand(path)
    if path.suffix.lower() not in OUTPUT_ENDINGS:
        raise UserError(f"{path}: cannot write this ending; use {', '.join(OUTPUT_ENDINGS)}")
    if path.suffix.lower() == ".mp4":
        decoding.import_av()
    return files.check(path, inputs, overwrite)


def _iterate(path: epath.Path, size: Size | None) -> Iterator[np.ndarray]:
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    ending = path.suffix.lower()
    if path.is_dir():
        frames = _iterate_folder(path, size)
    elif ending in VIDEO_ENDINGS:
        frames = _iterate_video(path, size)
    elif ending in (".gif", *PICTURE_ENDINGS):
        frames = _iterate_pictures(path, size)
    elif ending == ".npy":
        frames = _iterate_npy(path, size)
    else:
        known = ", ".join(INPUT_ENDINGS)
        raise UserError(f"{path}: not a clip; use {known}, or a folder of pictures")
    try:
        yield from frames
    except decoding.BROKEN_FILE as error:
        raise _unreadable(path, error) from error


def _iterate_folder(path: epath.Path, size: Size | None) -> Iterator[np.ndarray]:
    pictures = list_pictures(path)
    if not pictures:
        raise UserError(f"{path}: a folder without pictures ({', '.join(PICTURE_ENDINGS)})")
    for picture in pictures:
        yield from _iterate(picture, size)


def _natural_order(path: epath.Path) -> list[str | int]:
    parts = re.split(r"([0-9]+)", path.name.lower())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def _iterate_pictures(path: epath.Path, size: Size | None) -> Iterator[np.ndarray]:
    with path.open("rb") as file, Image.open(file) as image:
        for frame in ImageSequence.Iterator(image):
            yield np.asarray(_fit(decoding.on_black(frame), size))


def _iterate_npy(path: epath.Path, size: Size | None) -> Iterator[np.ndarray]:
    with path.open("rb") as file:
        array = np.load(file, allow_pickle=False)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] != 3:
        found = f"{array.dtype} {list(array.shape)}"
        raise UserError(f"{path}: needs uint8 [frames, height, width, 3], holds {found}")
    if not array[:1].size and len(array):
        raise UserError(f"{path}: frames without pixels, {list(array.shape)}")
    for frame in array:
        yield frame if size is None else np.asarray(_fit(Image.fromarray(frame), size))


def _iterate_video(path: epath.Path, size: Size | None) -> Iterator[np.ndarray]:
    with decoding.open_video(path) as video:
        for frame in video.frames:
            covering = _cover(frame.height, frame.width, size)
            yield np.ascontiguousarray(_crop(frame.scaled(*covering), size))


def _cover(height: int, width: int, size: Size | None) -> Size:
    """The size to scale a frame to, in its own proportions, so that it covers `size`."""
    if size is None:
        return height, width
    scale = max(size[0] / height, size[1] / width)
    return max(size[0], round(height * scale)), max(size[1], round(width * scale))


def _fit(image: Image.Image, size: Size | None) -> Image.Image:
    height, width = _cover(image.height, image.width, size)
    resized = decoding.resized(image, height, width)
    return Image.fromarray(_crop(np.asarray(resized), size))


def _crop(frame: np.ndarray, size: Size | None) -> np.ndarray:
    if size is None:
        return frame
    top, left = (frame.shape[0] - size[0]) // 2, (frame.shape[1] - size[1]) // 2
    return frame[top : top + size[0], left : left + size[1]]


def _readable(path: epath.Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: epath.Path, error: BaseException) -> UserError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return UserError(f"{path}: cannot be read ({' '.join(str(reason).split())[:160]})")
