"""Frames out of video files, one at a time, upright and with their times.

A frame becomes RGB only when it is asked for, at the size asked for: whatever a file's length and
size, memory holds a few decoded frames. Videos are read by PyAV (FFmpeg), gifs by Pillow.
"""

import contextlib
import importlib
import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

import numpy as np
from etils import epath
from jaxtyping import UInt8
from PIL import Image, ImageSequence

from vdd.errors import UserError

# A frame of 8192x8192, twice that of 8K video. What claims to be larger is refused undecoded.
MAX_PIXELS = 1 << 26
# What Pillow, NumPy and zlib raise on broken files (FFmpeg's error is an OSError or a ValueError).
BROKEN_FILE = (OSError, ValueError, EOFError, SyntaxError, Image.DecompressionBombError)

# Playlists name other files, addresses even: none of FFmpeg's formats that do is listed.
CONTAINERS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg"
}
_DEFAULT_RATE = Fraction(25)
_RATES = (Fraction(1, 10), Fraction(1000))  # frames a second that a header is believed
_ASPECTS = (Fraction(1, 4), Fraction(4))  # of one pixel; any nearer to 1 than a hundredth is 1
_GIF_STEP = 100  # milliseconds that browsers show a frame whose own time is (next to) none

RGB = UInt8[np.ndarray, "h w 3"]


class Frame(Protocol):
    """One frame, upright, not yet in RGB; pixels are square."""

    time: Fraction  # seconds; never less than that of the frame before
    height: int
    width: int

    def scaled(self, height: int, width: int) -> RGB:
        """The whole frame at a size."""
        ...


class Video(NamedTuple):
    """An open file: `seconds` is what its header says, None where that says nothing."""

    frames: Iterator[Frame]
    seconds: float | None
    fps: float


@contextlib.contextmanager
def open_video(path: epath.Path) -> Iterator[Video]:
    """Opens a video file, or a gif, by its ending.

    Raises:
      UserError: PyAV is missing, no picture track, or frames of more than `MAX_PIXELS` (the last
        perhaps only while frames are read).
      One of `BROKEN_FILE`: the file cannot be read, now or further on.
    """
    opened = _open_gif if path.suffix.lower() == ".gif" else _open_with_av
    with opened(path) as video:
        yield video


def import_av() -> Any:
    """PyAV.

    Raises:
      UserError: it is not installed.
    """
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise UserError("video files need PyAV: pip install 'vdd[video]'") from error


@contextlib.contextmanager
def _open_with_av(path: epath.Path) -> Iterator[Video]:
    with path.open("rb") as file, import_av().open(file, options=CONTAINERS) as container:
        if not container.streams.video:
            raise UserError(f"{path}: has no picture track")
        stream = container.streams.video[0]
        _check_pixels(path, stream.height, stream.width)
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        stream.thread_type = "AUTO"
        rate = _within(stream.average_rate, _RATES) or _DEFAULT_RATE
        frames = _av_frames(path, container, stream, 1 / rate)
        yield Video(frames, _declared_seconds(container, stream, rate), float(rate))


def _av_frames(path: epath.Path, container: Any, stream: Any, step: Fraction) -> Iterator[Frame]:
    # One reformatter with one thread: PyAV 18 makes a thread pool per frame otherwise, 30x slower.
    reformatter = importlib.import_module("av.video.reformatter").VideoReformatter()
    aspect = _within(stream.sample_aspect_ratio, _ASPECTS) or Fraction(1)
    decoded, again = itertools.tee(container.decode(stream))
    for time, frame in zip(running_clock(map(_stamp, again), step), decoded):
        _check_pixels(path, frame.height, frame.width)
        yield _AvFrame(frame, reformatter, time, aspect)


class _AvFrame:
    def __init__(self, frame: Any, reformatter: Any, time: Fraction, aspect: Fraction):
        self._frame = frame
        self._reformatter = reformatter
        self._quarters = frame.rotation // 90  # phones store portraits lying on their side
        self.time = time
        stretched = abs(aspect - 1) > Fraction(1, 100)
        lying = frame.height, round(frame.width * aspect) if stretched else frame.width
        self.height, self.width = self._turned(*lying)

    def scaled(self, height: int, width: int) -> RGB:
        lying_height, lying_width = self._turned(height, width)
        rgb = self._reformatter.reformat(
            self._frame,
            width=lying_width,
            height=lying_height,
            format="rgb24",
            interpolation="AREA" if lying_height <= self._frame.height else "BICUBIC",
            threads=1,
        ).to_ndarray()
        return np.rot90(rgb, self._quarters)

    def _turned(self, height: int, width: int) -> tuple[int, int]:
        return (width, height) if self._quarters % 2 else (height, width)


@contextlib.contextmanager
def _open_gif(path: epath.Path) -> Iterator[Video]:
    with path.open("rb") as file, Image.open(file, formats=["GIF"]) as image:
        _check_pixels(path, image.height, image.width)
        yield Video(_gif_frames(image), None, 1000 / gif_milliseconds(image))


def _gif_frames(image: Image.Image) -> Iterator[Frame]:
    time = Fraction(0)
    for frame in ImageSequence.Iterator(image):
        yield _GifFrame(on_black(frame), time)
        time += Fraction(gif_milliseconds(frame), 1000)


class _GifFrame:
    def __init__(self, image: Image.Image, time: Fraction):
        self._image = image
        self.time = time
        self.height, self.width = image.height, image.width

    def scaled(self, height: int, width: int) -> RGB:
        return np.asarray(resized(self._image, height, width))


def gif_milliseconds(frame: Image.Image) -> int:
    """How long a gif shows a frame."""
    millis = int(frame.info.get("duration", 0))
    return millis if millis > 10 else _GIF_STEP


def on_black(image: Image.Image) -> Image.Image:
    """A picture in RGB; transparent pixels are laid on black."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    black = Image.new("RGBA", layer.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, layer).convert("RGB")


def resized(image: Image.Image, height: int, width: int) -> Image.Image:
    """A picture at another size.

    BOX averages whole pixels, so pixel art that was enlarged by a whole factor comes back as it was
    drawn.
    """
    method = Image.Resampling.BOX if height < image.height else Image.Resampling.BICUBIC
    return image.resize((width, height), method)


def running_clock(stamps: Iterable[Fraction | None], step: Fraction) -> Iterator[Fraction]:
    """Times that never go back, from time stamps that may be missing, doubled or start anew.

    Where a stamp is missing, `step` has passed. One that is a little behind the last is taken for
    it; one that is a second or more behind is the start of a new clock, `step` after the last.
    """
    last, shift = None, Fraction(0)
    for stamp in stamps:
        if last is None:
            time = stamp or Fraction(0)
        elif stamp is None:
            time = last + step
        else:
            if stamp + shift <= last - 1:
                shift = last + step - stamp
            time = max(last, stamp + shift)
        last = time
        yield time


def _stamp(frame: Any) -> Fraction | None:
    return None if frame.pts is None else frame.pts * Fraction(frame.time_base)


def _declared_seconds(container: Any, stream: Any, rate: Fraction) -> float | None:
    if container.format.name == "avi" and stream.frames:  # its duration is that of what is there
        return float(stream.frames / rate)
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    # The file's length is that of its longest track, which may be the sound.
    if container.duration is not None and not container.streams.audio:
        return container.duration / 1e6
    return None


def _within(value: Any, limits: tuple[Fraction, Fraction]) -> Fraction | None:
    return Fraction(value) if value and limits[0] <= value <= limits[1] else None


def _check_pixels(path: epath.Path, height: int, width: int) -> None:
    if height * width > MAX_PIXELS:
        raise UserError(f"{path}: {width}x{height} pixels, more than {MAX_PIXELS} in a frame")
