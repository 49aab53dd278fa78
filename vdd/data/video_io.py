"""Clips in and out of files, chosen by the ending.

In: videos, animations (gif, png, webp, avif), a picture (one frame), a folder of pictures, npy.
Out: gif, mp4, png (contact sheet), npy. A clip is uint8 RGB [t h w 3], or RGBA with straight alpha;
paths may be gs://. Frames come at one constant rate, each at its time, upright.
"""

import contextlib
import functools
import itertools
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from etils import epath
from jaxtyping import UInt8

from vdd import files
from vdd.data import array_files, clock, decoding, encoders, scaling
from vdd.data.av_files import DEFAULT_RATE
from vdd.data.picture_files import BLACK, Ground
from vdd.data.scaling import Size
from vdd.data.sound import Sound
from vdd.errors import UserError, check_address
from vdd.pixels import to_uint8

VIDEO_ENDINGS = decoding.VIDEO_ENDINGS
PICTURE_ENDINGS = decoding.PICTURE_ENDINGS
INPUT_ENDINGS = (*decoding.ANIMATED_ENDINGS, *VIDEO_ENDINGS, *PICTURE_ENDINGS, ".npy")
OUTPUT_ENDINGS = (".gif", ".mp4", ".png", ".npy")
_TOLD_ENDINGS = ".gif, .mp4, .mov, .webm, .mkv, .avi, .png, .jpg, .webp, .avif, .npy and the like"

# By how much a file may end before its header says before that is told: the longest times between
# two of its frames, but at most so many seconds, or such a fraction.
_SLACK = (2, 0.5, 0.1)

Fit = Callable[[Iterator[decoding.Frame]], Iterator[np.ndarray]]  # frames at the size asked for


class ClipInfo(NamedTuple):
    """What a clip file holds: frames, pixels, and frames a second (None where it has no clock)."""

    frames: int
    height: int
    width: int
    fps: float | None


class Clip(NamedTuple):
    """An open clip.

    Attributes:
        frames: uint8 [h w 3], or [h w 4] without a ground, one by one.
        size: height and width of the first frame before it is scaled.
        fps: frames a second; None for pictures, folders and arrays, which have no clock.
        sound: what is heard, for `video_writer.writing_clip`; None where there is nothing.
    """

    frames: Iterator[UInt8[np.ndarray, "h w c"]]
    size: Size
    fps: float | None
    sound: Sound | None


@contextlib.contextmanager
def open_clip(
    path: epath.PathLike, size: int | Size | None = None, ground: Ground | None = BLACK
) -> Iterator[Clip]:
    """Opens a clip once, for all that is to be known of it; memory holds a few frames.

    A file that is shorter than its header says, damaged in places, or without time stamps is read
    as far as it goes, with a warning.

    Args:
        path: a file with one of `INPUT_ENDINGS`, or a folder of pictures in natural order (frame2
            before frame10).
        size: if given, (height, width) or one number for a square: each frame is scaled until it
            covers that size, and the middle is kept. Otherwise frames keep their pixels.
        ground: the colour that what is transparent is laid on; None keeps it so, in RGBA.

    Raises:
        UserError: missing, unreadable or empty file, wrong array; perhaps only while frames are
            read.
    """
    check_address(path)
    path = epath.Path(path)
    size = (size, size) if isinstance(size, int) else size
    fit = functools.partial(scaling.scaled, size=size, ground=ground)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    with contextlib.ExitStack() as stack:
        if path.is_dir():
            yield _still_clip(path, _folder(path), fit)
            return
        ending = path.suffix.lower()
        if ending not in INPUT_ENDINGS:
            raise UserError(f"{path}: not a clip; use {_TOLD_ENDINGS}, or a folder of pictures")
        if not files.is_remote(path) and not os.path.isfile(path):
            raise UserError(f"{path}: not a regular file")
        if not files.size_of(path):
            raise UserError(f"{path}: cannot be read (an empty file)")
        if ending == ".npy":
            frames = stack.enter_context(array_files.open_array(path))
            yield _still_clip(path, frames, fit)
            return
        video = stack.enter_context(decoding.open_video(path, lenient=True, alpha=True))
        yield _timed_clip(path, video, fit)


def read_clip(
    path: epath.PathLike,
    size: int | Size | None = None,
    *,
    max_frames: int | None = None,
    ground: Ground | None = BLACK,
) -> UInt8[np.ndarray, "t h w c"]:
    """Reads a clip as uint8 [t h w 3], or [t h w 4] without a ground.

    Args:
        path: as for `open_clip`.
        size: as for `open_clip`; without it frames must all be of one size.
        max_frames: stop reading after so many frames.
        ground: as for `open_clip`.

    Raises:
        UserError: as `open_clip`; unlike sizes.
    """
    with open_clip(path, size, ground) as clip:
        frames = list(itertools.islice(clip.frames, max_frames))
    shapes = {frame.shape for frame in frames}
    if len(shapes) > 1:
        sizes = ", ".join(sorted(f"{w}x{h}" for h, w, _ in shapes))
        raise UserError(f"{path}: frames of unlike sizes ({sizes}); make them one size")
    return np.stack(frames)


def probe_clip(path: epath.PathLike) -> ClipInfo:
    """Counts the frames of a clip; raises what `open_clip` raises."""
    with open_clip(path) as clip:
        return ClipInfo(sum(1 for _ in clip.frames), *clip.size, clip.fps)


def frame_rate(path: epath.PathLike) -> float | None:
    """Frames a second of a clip; None for pictures, folders and arrays."""
    with open_clip(path) as clip:
        return clip.fps


def list_pictures(folder: epath.Path) -> list[epath.Path]:
    """The pictures of a folder in natural order (frame2 before frame10); hidden files are not."""
    visible = [path for path in folder.iterdir() if not path.name.startswith(".")]
    pictures = [path for path in visible if path.suffix.lower() in PICTURE_ENDINGS]
    return sorted(pictures, key=_natural_order)


def write_clip(
    path: epath.PathLike,
    video: npt.ArrayLike,
    fps: float = 8,
    overwrite: bool = False,
    comment: str | None = None,
) -> epath.Path:
    """Writes a clip in the format that the ending names; a file is either whole or not there.

    gif: one palette for all frames (exact up to 256 colours), no dithering, endless loop; every
    frame is stored, equal neighbours too. mp4: H.264 yuv420p, odd sides padded by one pixel.
    png: contact sheet. npy: the array.

    Args:
        path: where to; the folder is made if it is missing.
        video: [t h w 3], uint8 or float in [-1, 1], or [t h w 4], uint8; at least one frame.
        fps: frames a second (gif and mp4).
        overwrite: replace a file that this tool did not write.
        comment: goes into the metadata; an npy has no place for it.

    Raises:
        UserError: as `check_output`, or a full disk.
        ValueError: `video` is of another shape or type.
    """
    path = check_output(path, overwrite=overwrite)
    array = np.asarray(video)
    if array.dtype.kind in "biu" and array.dtype != np.uint8:
        raise ValueError(f"needs uint8, or floats in [-1, 1], not {array.dtype}")
    if array.ndim == 4 and array.shape[-1] == 4 and array.dtype != np.uint8:
        raise ValueError("a video with alpha is uint8: see vdd.apply.to_uint8")
    pixels = to_uint8(array)
    if pixels.ndim != 4 or pixels.shape[-1] not in (3, 4) or not pixels.size:
        raise ValueError(f"needs a video [t h w 3 or 4], got {list(pixels.shape)}")
    return files.write(path, _encode(pixels, path.suffix.lower(), fps, comment), overwrite)


def _encode(video: np.ndarray, ending: str, fps: float, comment: str | None) -> bytes:
    if ending == ".gif":
        return encoders.gif(video, fps, comment)
    if ending == ".mp4":
        return encoders.mp4(video, fps, comment)
    return encoders.png(video, comment) if ending == ".png" else encoders.npy(video)


def check_output(
    path: epath.PathLike, inputs: Iterable[epath.PathLike | None] = (), overwrite: bool = False
) -> epath.Path:
    """Tells before any long work whether `write_clip` can write this path.

    Args:
        path: where to.
        inputs: what is read meanwhile.
        overwrite: replace a file that this tool did not write.

    Raises:
        UserError: unknown ending, mp4 without PyAV, a picture in a folder that is read, or as
            `vdd.files.check`.
    """
    path, inputs = files.expand(path), list(inputs)
    if path.suffix.lower() not in OUTPUT_ENDINGS:
        raise UserError(f"{path}: cannot write this ending; use {', '.join(OUTPUT_ENDINGS)}")
    if path.suffix.lower() == ".mp4":
        decoding.import_av()
    is_picture = path.suffix.lower() in PICTURE_ENDINGS
    for folder in filter(None, inputs if is_picture else ()):
        if os.path.isdir(folder) and files.is_same(path.parent, folder):
            raise UserError(f"{path}: would be one of the pictures of {folder}, which are read")
    return files.check(path, inputs, overwrite)


def _timed_clip(path: epath.Path, video: decoding.Video, fit: Fit) -> Clip:
    """A clip with a clock, or a still picture."""
    first, frames = _begun(path, video.frames)
    times = decoding.read_times(path)
    rate = clock.constant_rate(times.stamps, times.end, video.fps)
    if not decoding.is_video(path) and times.end is None:
        return _still_clip(path, frames, fit)
    _tell_losses(path, times)
    if times.longest_gap > clock.MAX_HOLD:
        shown = f"{float(times.longest_gap):.0f} seconds; {float(clock.MAX_HOLD):.0f} are shown"
        warnings.warn(f"{path}: holds a frame for {shown}", stacklevel=2)
    if rate is None:
        rate = DEFAULT_RATE
        warnings.warn(f"{path}: tells no frame rate; {rate} a second are assumed", stacklevel=2)
    step = 1 / rate
    timed = ((frame.time, frame.seconds or step, frame) for frame in frames)
    if len(times.stamps) > 1 and times.stamps[0] == times.stamps[-1]:
        warnings.warn(
            f"{path}: tells one time of all frames; {rate} a second are assumed", stacklevel=2
        )
        timed = ((i * step, step, frame) for i, (*_, frame) in enumerate(timed))
    pixels = fit(clock.hold(timed, rate))
    sound = Sound(path, first.time) if video.has_sound else None
    return Clip(pixels, (first.height, first.width), float(rate), sound)


def _still_clip(path: epath.Path, frames: Iterator[decoding.Frame], fit: Fit) -> Clip:
    """A clip without a clock."""
    first, frames = _begun(path, frames)
    return Clip(fit(frames), (first.height, first.width), None, None)


def _begun(
    path: epath.Path, frames: Iterator[decoding.Frame]
) -> tuple[decoding.Frame, Iterator[decoding.Frame]]:
    """The first frame, and all."""
    first = next(frames, None)
    if first is None:
        raise UserError(f"{path}: 0 frames, needs at least 1")
    return first, itertools.chain([first], frames)


def _tell_losses(path: epath.Path, times: clock.Times) -> None:
    """Say so where there is less in a file than its header tells."""
    if times.frames < times.declared:
        held = f"{times.frames} of {times.declared} frames"
    elif times.ends and not times.declared:
        first = times.stamps[0]
        found, told = (float(end - first) for end in times.ends)
        gap = float(times.longest_gap)
        gaps, most, share = _SLACK
        if told - found <= min(gaps * (gap or 1 / DEFAULT_RATE), max(most, share * told)):
            return
        held = f"{found:.1f} of {told:.1f} seconds"
    else:
        return
    warnings.warn(f"{path}: is cut off: it holds {held}", stacklevel=2)


def _folder(path: epath.Path) -> Iterator[decoding.Frame]:
    pictures = list_pictures(path)
    if not pictures:
        raise UserError(f"{path}: a folder without pictures ({', '.join(PICTURE_ENDINGS)})")
    for picture in pictures:
        with decoding.open_video(picture, alpha=True) as video:
            yield _begun(picture, video.frames)[0]


def _natural_order(path: epath.Path) -> list[str | int]:
    parts = re.split(r"([0-9]+)", path.name.lower())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]
