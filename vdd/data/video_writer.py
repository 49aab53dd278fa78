"""Clips into files frame by frame: an mp4 of any length in constant memory, with a sound track."""

import contextlib
import importlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from etils import epath
from jaxtyping import UInt8

from vdd.data import encoders, video_io
from vdd.data.sound import Sound, Track
from vdd.errors import UserError


class ClipWriter:
    """Takes frames uint8 [h w 3] one by one; `open_clip` makes one and finishes the file."""

    count = 0

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        """Add a frame; all are of one size."""
        raise NotImplementedError


@contextlib.contextmanager
def open_clip(path: epath.PathLike, fps: float, sound: Sound | None = None) -> Iterator[ClipWriter]:
    """Writes a clip frame by frame in the format that the ending names.

    The file is there, whole, when the block ends without an error; after an error it is not. An mp4
    is written as it comes; of the other formats all frames are kept until the end.

    Args:
        path: where to, as for `video_io.write_clip`.
        fps: frames a second.
        sound: what is heard in an mp4 (`video_io.Clip.sound`), as long as the frames last, encoded
            anew; None leaves it silent.

    Raises:
        UserError: as `video_io.write_clip`; no frames.
    """
    path = video_io.check_output(path)
    if path.suffix.lower() != ".mp4":
        frames = _Frames()
        yield frames
        _check_count(path, frames.count)
        video_io.write_clip(path, np.stack(frames.kept), fps)
        return
    with _replacing(path) as (file, place), contextlib.ExitStack() as stack:
        with _telling(place):
            container = importlib.import_module("av").open(file, "w", format="mp4")
        try:
            writer = _Mp4(stack, container, place, fps, sound)
            yield writer
            _check_count(path, writer.count)
            writer.finish()
        finally:
            with _telling(place):
                container.close()


def has_sound(path: epath.PathLike) -> bool:
    """Whether a clip file holds sound; folders, pictures, gifs and arrays do not."""
    with video_io.open_clip(path) as clip:
        return clip.sound is not None


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

    def __init__(
        self,
        stack: contextlib.ExitStack,
        container: Any,
        place: str,
        fps: float,
        sound: Sound | None,
    ):
        self._place = place
        self._pictures = encoders.Pictures(container, fps)
        self._sound = None if sound is None else Track(stack, container, sound)

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        with _telling(self._place):
            self._pictures.write(frame)
            self.count += 1
            if self._sound:
                # Side by side with the pictures: a player should not have to seek for it.
                self._sound.advance(self.count / self._pictures.rate)

    def finish(self) -> None:
        """Encode what is held back."""
        with _telling(self._place):
            self._pictures.finish()
            if self._sound:
                self._sound.finish()


@contextlib.contextmanager
def _replacing(path: epath.Path) -> Iterator[tuple[IO[bytes], str]]:
    """A file to write that becomes `path` at the end, and where it lies, for errors to tell.

    It lies beside `path`, on the same disk; of a path in a bucket, where temporary files do.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        if _is_local(path):
            with _telling(str(path)):
                path.parent.mkdir(parents=True, exist_ok=True)
                file = _open(partial)
            with file:
                yield file, str(path)
        else:
            with _telling("temporary files (TMPDIR)"):
                place = f"{tempfile.gettempdir()}, for temporary files (TMPDIR)"
                file = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
            with file:
                yield file, place
                file.seek(0)
                with _telling(str(path)), partial.open("wb") as target:
                    shutil.copyfileobj(file, target)
        with _telling(str(path)):
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _is_local(path: epath.Path) -> bool:
    return "://" not in str(path)


def _open(path: epath.Path) -> IO[bytes]:
    return open(path, "w+b")  # an mp4 is sought in: `epath` opens no file so


@contextlib.contextmanager
def _telling(place: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{place}: cannot be written ({error.strerror or error})") from error
