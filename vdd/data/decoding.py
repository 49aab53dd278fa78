"""Frames out of files, one at a time, upright and with their times: the one reader of video.

A frame becomes RGB only when it is asked for, at the size asked for: whatever a file's length and
size, memory holds a few decoded frames. Videos are read by PyAV (`av_files`), animations and
pictures by Pillow (`picture_files`).
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple, Protocol

from etils import epath
from PIL import Image

from vdd.data import av_files, picture_files
from vdd.data.clock import Times, believed
from vdd.errors import UserError

if TYPE_CHECKING:
    from av.container import InputContainer

VIDEO_ENDINGS = av_files.ENDINGS
PICTURE_ENDINGS = picture_files.ENDINGS
ANIMATED_ENDINGS = picture_files.ANIMATED_ENDINGS
import_av = av_files.import_av
# How files begin whose ending may be wrong: a gif that is named .mp4, an mp4 that is named .gif.
_PICTURES = re.compile(rb"GIF8|\x89PNG|\xff\xd8\xff|RIFF....WEBP|....ftypavi[fs]", re.DOTALL)
_VIDEOS = re.compile(rb"....ftyp|\x1a\x45\xdf\xa3|RIFF....AVI |FLV\x01|OggS", re.DOTALL)


class Frame(Protocol):
    """One frame, upright, not yet in pixels of eight bits; these are square."""

    time: Fraction  # seconds; never less than that of the frame before
    seconds: Fraction  # how long it is seen if it is the last; 0 where that is not known
    height: int
    width: int

    def scaled(self, height: int, width: int) -> picture_files.RGB | picture_files.RGBA:
        """The whole frame at a size; RGBA where it has transparency that was asked for."""
        ...


class Video(NamedTuple):
    """An open file: `fps` is what its header says, None where that says nothing."""

    frames: Iterator[Frame]
    fps: Fraction | None
    has_sound: bool


@contextlib.contextmanager
def open_video(path: epath.Path, *, lenient: bool = False, alpha: bool = False) -> Iterator[Video]:
    """Opens a video, an animation or a picture, by its ending.

    Args:
      path: the file.
      lenient: what is damaged of a video is left out with a warning, as long as there is anything
        else; not an error.
      alpha: what is transparent in an animation or picture stays so; else it is laid on black.

    Raises:
      UserError: PyAV is missing, no picture track, a codec that FFmpeg does not know, frames of
        more than `picture_files.MAX_PIXELS`, or the file cannot be read; the last two perhaps only
        while frames are read.
    """
    if not is_video(path):
        with _open_image(path) as image:
            frames = picture_files.frames(image, alpha)
            yield Video(_named(path, frames), picture_files.rate(image), has_sound=False)
        return
    with _open_container(path) as container:
        with _telling(path):
            stream = av_files.picture_track(container)
        frames = _named(path, av_files.frames(path, container, stream, lenient))
        has_sound = bool(container.streams.audio)
        yield Video(frames, believed(stream.average_rate), has_sound)


def is_video(path: epath.Path) -> bool:
    """Whether FFmpeg reads a file, not Pillow: by how it begins, else by its ending."""
    start = b""
    if path.is_file():
        with contextlib.suppress(OSError), path.open("rb") as file:
            start = file.read(12)
    if _PICTURES.match(start):
        return False
    ending = path.suffix.lower()
    if start[4:8] == b"ftyp" and ending in PICTURE_ENDINGS:  # its first brand may be any
        return False
    return bool(_VIDEOS.match(start)) or ending in VIDEO_ENDINGS


def moves(path: os.PathLike[str]) -> bool:
    """Whether a file is an animation that Pillow reads; a damaged one is none."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file, picture_files.open_image(file) as image:
            return picture_files.is_animated(image)
    except (UserError, *picture_files.BROKEN):
        return False


def read_times(path: epath.Path) -> Times:
    """When the frames of a file are seen.

    Raises:
      UserError: as `open_video`.
    """
    if not is_video(path):
        with _open_image(path) as image, _telling(path):
            stamps, end = picture_files.times(image)
            return Times(stamps, end, len(stamps))
    with _open_container(path) as container, _telling(path):
        return av_files.times(container, av_files.picture_track(container))


@contextlib.contextmanager
def _open_container(path: epath.Path) -> Iterator["InputContainer"]:
    av_files.import_av()
    with contextlib.ExitStack() as stack:
        with _telling(path):
            container = av_files.open_container(stack, path)
        yield container


@contextlib.contextmanager
def _open_image(path: epath.Path) -> Iterator[Image.Image]:
    with contextlib.ExitStack() as stack:
        with _telling(path):
            file = stack.enter_context(path.open("rb"))
            image = stack.enter_context(picture_files.open_image(file))
        yield image


def _named(path: epath.Path, frames: Iterator[Frame]) -> Iterator[Frame]:
    with _telling(path):
        yield from frames


@contextlib.contextmanager
def _telling(path: epath.Path) -> Iterator[None]:
    """What a broken file provokes becomes one line that names it."""
    av = sys.modules.get("av")
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error.__cause__
    except picture_files.BROKEN as error:
        raise unreadable(path, error) from error
    except Exception as error:
        if av is None or not isinstance(error, av.FFmpegError):
            raise
        raise unreadable(path, error) from error


def unreadable(path: epath.Path, error: Exception) -> UserError:
    """That a file cannot be read, and why."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return UserError(f"{path}: cannot be read ({' '.join(str(reason).split())[:160]})")
