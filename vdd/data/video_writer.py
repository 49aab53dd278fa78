"""Clips into files frame by frame: an mp4 of any length in constant memory, with a sound track."""

import contextlib
import importlib
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from etils import epath
from jaxtyping import UInt8

from vdd import files
from vdd.data import clock, encoders, video_io
from vdd.data.sound import Sound, Track
from vdd.errors import UserError

if TYPE_CHECKING:
    from av.container import OutputContainer

_REST = Fraction(1, 4)  # seconds that encoders of sound add


class ClipWriter:
    """Takes frames uint8 [h w c], of three or four channels, one by one.

    `writing_clip` makes one, and finishes the file.
    """

    count = 0
    size = 0, 0  # of the frames in the file, height and width, once there is one

    def write(self, frame: UInt8[np.ndarray, "h w c"]) -> None:
        """Add a frame; all are of one size."""
        raise NotImplementedError


@contextlib.contextmanager
def writing_clip(
    path: epath.PathLike,
    fps: float,
    sound: Sound | None = None,
    overwrite: bool = False,
    comment: str | None = None,
) -> Iterator[ClipWriter]:
    """Writes a clip frame by frame in the format that the ending names.

    The file is there, whole, when the block ends without an error; after an error it is not. An mp4
    is written as it comes; of the other formats all frames are kept until the end.

    Args:
        path: where to, as for `video_io.write_clip`.
        fps: frames a second.
        sound: what is heard in an mp4 (`video_io.Clip.sound`), as long as the frames last, encoded
            anew; if it is to be `whole`, the last frame is held until it ends. None leaves it
            silent.
        overwrite: replace a file that this tool did not write.
        comment: as for `video_io.write_clip`.

    Raises:
        UserError: as `video_io.write_clip`; no frames.
    """
    path = video_io.check_output(path, overwrite=overwrite)
    if path.suffix.lower() != ".mp4":
        frames = _Frames()
        yield frames
        _check_count(path, frames.count)
        video_io.write_clip(path, np.stack(frames.kept), fps, overwrite, comment)
        return
    av = importlib.import_module("av")
    with files.writing(path, overwrite) as file, contextlib.ExitStack() as stack:
        container = stack.enter_context(av.open(file, "w", format="mp4"))
        writer = _Mp4(stack, container, encoders.Pictures(container, fps, comment), sound)
        yield writer
        _check_count(path, writer.count)
        writer.finish()


def _check_count(path: epath.Path, count: int) -> None:
    if not count:
        raise UserError(f"{path}: there are no frames to write")


class _Frames(ClipWriter):
    """Keeps all frames."""

    def __init__(self):
        self.kept = []

    def write(self, frame: UInt8[np.ndarray, "h w c"]) -> None:
        self.kept.append(frame)
        self.size = frame.shape[:2]
        self.count += 1


class _Mp4(ClipWriter):
    """Encodes each frame as it comes, and the sound up to it."""

    def __init__(
        self,
        stack: contextlib.ExitStack,
        container: "OutputContainer",
        pictures: encoders.Pictures,
        sound: Sound | None,
    ):
        self._pictures = pictures
        self._sound = None if sound is None else Track(stack, container, sound)
        self._whole = sound is not None and sound.whole

    def write(self, frame: UInt8[np.ndarray, "h w c"]) -> None:
        self._pictures.write(frame)
        self._last = frame
        self.size = self._pictures.size
        self.count += 1
        if self._sound:
            # Side by side with the pictures: a player should not have to seek for it.
            self._sound.advance(self.count / self._pictures.rate)

    def finish(self) -> None:
        """Encode what is held back."""
        if self._sound and self._whole:
            self._hold(self._sound, self._pictures.rate)
        self._pictures.finish()
        if self._sound:
            self._sound.finish()

    def _hold(self, sound: Track, rate: Fraction) -> None:
        """The last frame while there is sound, unless that is a rest as encoders add."""
        if sound.lasts(self.count / rate + _REST):
            most = self.count + clock.MAX_HOLD * rate
            while sound.lasts(self.count / rate) and self.count < most:
                self.write(self._last)
