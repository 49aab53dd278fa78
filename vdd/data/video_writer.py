"""Clips into files frame by frame: an mp4 of any length in constant memory, with a sound track."""

import contextlib
import importlib
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from etils import epath
from jaxtyping import UInt8

from vdd import files
from vdd.data import encoders, video_io
from vdd.errors import UserError

_NO_PACKET = (None, Fraction(0))
_COPIED = ("aac", "mp3", "ac3", "alac")  # sound that mp4 players take as it is; the rest is encoded


class ClipWriter:
    """Takes frames uint8 [h w 3] one by one; `open_clip` makes one and finishes the file."""

    count = 0

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        """Add a frame; all are of one size."""
        raise NotImplementedError


@contextlib.contextmanager
def open_clip(
    path: epath.PathLike,
    fps: float,
    sound: epath.PathLike | None = None,
    overwrite: bool = False,
) -> Iterator[ClipWriter]:
    """Writes a clip frame by frame in the format that the ending names.

    The file is there, whole, when the block ends without an error; after an error it is not. An mp4
    is written as it comes; of the other formats all frames are kept until the end.

    Args:
        path: where to, as for `video_io.write_clip`.
        fps: frames a second.
        sound: a video whose sound goes into an mp4, as long as the frames last; None, or one
            without sound, leaves it silent.
        overwrite: replace a file that this tool did not write.

    Raises:
        UserError: as `video_io.write_clip`; no frames.
    """
    path = video_io.check_output(path, overwrite=overwrite)
    if path.suffix.lower() != ".mp4":
        frames = _Frames()
        yield frames
        _check_count(path, frames.count)
        video_io.write_clip(path, np.stack(frames.kept), fps, overwrite)
        return
    av = importlib.import_module("av")
    with files.writing(path, overwrite) as file, contextlib.ExitStack() as stack:
        packets = _sound_of(stack, av, sound)
        container = stack.enter_context(av.open(file, "w", format="mp4"))
        writer = _Mp4(container, fps, packets)
        yield writer
        _check_count(path, writer.count)
        writer.finish()


def has_sound(path: epath.PathLike) -> bool:
    """Whether a clip file holds sound; folders, pictures, gifs and arrays do not."""
    path = epath.Path(path)
    if path.is_dir() or path.suffix.lower() not in video_io.VIDEO_ENDINGS:
        return False
    av = importlib.import_module("av")
    with path.open("rb") as file, av.open(file) as container:
        return bool(container.streams.audio)


def _check_count(path: epath.Path, count: int) -> None:
    if not count:
        raise UserError(f"{path}: there are no frames to write")


class _Frames(ClipWriter):
    """Keeps all frames."""

    def __init__(self):
        self.kept = []

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        self.kept.append(frame)
        self.count += 1


class _Mp4(ClipWriter):
    """Encodes each frame as it comes, and the sound up to it."""

    def __init__(self, container: Any, fps: float, sound: Iterator[tuple[Any, Fraction]] | None):
        self._pictures = encoders.Pictures(container, fps)
        self._sound = None if sound is None else _Sound(container, sound)

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        self._pictures.write(frame)
        self.count += 1
        if self._sound:
            # Side by side with the pictures: a player should not have to seek for it.
            self._sound.advance(self.count / self._pictures.rate)

    def finish(self) -> None:
        """Encode what is held back."""
        self._pictures.finish()
        if self._sound:
            self._sound.finish()


class _Sound:
    """Sound of one container on its way into another, as packets and their seconds."""

    def __init__(self, container: Any, packets: Iterator[tuple[Any, Fraction]]):
        self._container, self._packets = container, packets
        self._next, self._time = next(packets, _NO_PACKET)
        source = None if self._next is None else self._next.stream
        self._copied = source is not None and source.codec_context.name in _COPIED
        if source is None:
            return
        if self._copied:
            self._stream = container.add_stream_from_template(source)
        else:
            self._stream = container.add_stream("aac", rate=source.codec_context.sample_rate)

    def advance(self, seconds: Fraction) -> None:
        """Write all that begins before a time."""
        while self._next is not None and self._time < seconds:
            packet, time = self._next, self._time
            self._next, self._time = next(self._packets, _NO_PACKET)
            if self._copied:
                packet.pts = packet.dts = round(time / packet.time_base)
                packet.stream = self._stream
                self._container.mux(packet)
                continue
            for frame in packet.decode():
                frame.pts, frame.time_base = (
                    round(time * frame.sample_rate),
                    Fraction(1, frame.sample_rate),
                )
                time += Fraction(frame.samples, frame.sample_rate)
                self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Encode what is held back."""
        if self._next is not None and not self._copied:
            self._container.mux(self._stream.encode(None))


def _sound_of(
    stack: contextlib.ExitStack, av: Any, path: epath.PathLike | None
) -> Iterator[tuple[Any, Fraction]] | None:
    """Packets of the first sound track of a clip, and when each begins after the first picture.

    What is heard before that picture is left out. None where there is no sound.
    """
    if path is None or not has_sound(path):
        return None
    container = stack.enter_context(av.open(stack.enter_context(epath.Path(path).open("rb"))))
    pictures, sound = container.streams.video[0], container.streams.audio[0]
    start = (pictures.start_time or 0) * pictures.time_base
    timed = (
        (packet, packet.pts * packet.time_base - start)
        for packet in container.demux(sound)
        if packet.size and packet.pts is not None
    )
    return ((packet, time) for packet, time in timed if time >= 0)
