"""Decoded clips between reading them and writing the data set: what is here is not decoded again.

Each clip has two files, named by its path, size, time of change and the settings: the frames, and,
written last, what is known of them (`Outcome`). There may be more, of what was made of its windows.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from etils import epath
from jaxtyping import UInt8

from vdd import files
from vdd.data.av_files import DEFAULT_RATE
from vdd.data.clock import Times, nearest
from vdd.data.decoding import Frame, Video, open_video, read_times
from vdd.data.video_folder.clips import Clip
from vdd.data.video_folder.resampling import Square, Window, centre, cut, square
from vdd.errors import UserError

T = TypeVar("T")

# A header's length may be this much more than what is found in the file: seconds, and fraction.
_SLACK = (0.5, 0.1)
# Names of files in a store.
NAMES = r"[0-9a-f]{32}\.(rgb|json|[0-9]+\.[0-9]+\.\w+\.npy)"
_FACE_FPS, _FACE_PIXELS = Fraction(2), 512  # faces are looked for in so many frames, so small


class Settings(NamedTuple):
    """How clips are decoded and cut."""

    size: int = 256
    fps: Fraction = Fraction(25)
    frames: int = 50
    stride: int = 50
    face_crop: bool = False
    every: tuple[int, ...] = (1,)  # spacings of a window's frames, in ticks of `fps`


class Outcome(NamedTuple):
    """What came of a clip: windows, or the reason why there are none."""

    reason: str | None = None
    windows: tuple[Window, ...] = ()
    fps: float = 0.0  # the source's own
    height: int = 0
    width: int = 0
    decoded: int = 0  # frames read
    kept: int = 0  # frames at the new rate
    took: float = 0.0  # seconds


@dataclasses.dataclass(frozen=True)
class Store:
    """A folder of decoded clips of one source under one choice of settings."""

    folder: str
    source: str
    settings: Settings

    def decode(self, clip: Clip) -> None:
        """Decodes a clip, unless that has been done, and keeps what came of it.

        Raises:
          UserError: the frames cannot be stored, or faces cannot be looked for.
        """
        if self._file(clip, "json").exists():
            return
        start = time.perf_counter()
        try:
            outcome = self._decode(clip)
        except (_CannotStoreError, _CannotLookForFacesError):
            raise
        except UserError as error:
            outcome = Outcome(reason=str(error).removeprefix(f"{self._path(clip)}: "))
        except MemoryError:
            outcome = Outcome(reason="needs more memory than there is")
        except Exception as error:  # whatever a hostile file provokes, the next one is read
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            outcome = Outcome(reason=f"cannot be read ({' '.join(str(reason).split())[:160]})")
        self.keep(clip, outcome._replace(took=time.perf_counter() - start))

    def keep(self, clip: Clip, outcome: Outcome) -> None:
        """Notes what came of a clip; from now on it counts as decoded."""
        if not outcome.windows:
            files.remove(self._file(clip, "rgb"))
        files.write(self._file(clip, "json"), json.dumps(outcome))

    def outcome(self, clip: Clip) -> Outcome | None:
        """What came of a clip; None where it has not been decoded."""
        path = self._file(clip, "json")
        if not path.exists():
            return None
        outcome = Outcome(*json.loads(path.read_text()))
        return outcome._replace(windows=tuple(Window(*window) for window in outcome.windows))

    def window(self, clip: Clip, window: Window) -> UInt8[np.ndarray, "t h w 3"]:
        """The frames of one window."""
        size, frames = self.settings.size, self.settings.frames
        frame, span = size * size * 3, (frames - 1) * window.every + 1
        with self._file(clip, "rgb").open("rb") as file:
            file.seek(window.first * frame)
            pixels = np.frombuffer(file.read(span * frame), np.uint8)
        return pixels.reshape(span, size, size, 3)[:: window.every]

    def derived(
        self, clip: Clip, window: Window, name: str, make: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """What `make` makes of a window's frames; once made it is kept here under `name`.

        Raises:
          UserError: it cannot be stored.
        """
        path = self._file(clip, f"{window.first}.{window.every}.{name}.npy")
        if path.exists():
            return np.load(path)
        made = make(self.window(clip, window))
        with files.writing(path) as file:
            np.save(file, made)
        return made

    def _path(self, clip: Clip) -> epath.Path:
        return epath.Path(self.source) / clip.path

    def _file(self, clip: Clip, ending: str) -> epath.Path:
        known = [clip.path, *[str(value) for value in self.settings]]
        with contextlib.suppress(OSError):  # a file that has gone since it was found
            status = os.stat(Path(self.source, clip.path))
            known += [status.st_size, status.st_mtime_ns]
        name = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:32]
        return epath.Path(self.folder) / f"{name}.{ending}"

    def _decode(self, clip: Clip) -> Outcome:
        path = self._path(clip)
        face = _find_face(path) if self.settings.face_crop else None
        with open_video(path) as video:
            first, last, decoded, ticks = self._keep_frames(clip, video, face)
            if first is None or last is None:
                return Outcome(reason="holds no frames")
            fps = float(video.fps or DEFAULT_RATE)
            if loss := _loss(read_times(path)):
                return Outcome(reason=loss, decoded=decoded)
            windows = cut(ticks, self.settings.frames, self.settings.stride, self.settings.every)
            return Outcome(
                None if windows else self._too_short(ticks),
                tuple(windows),
                fps,
                first.height,
                first.width,
                decoded,
                len(ticks),
            )

    def _keep_frames(
        self, clip: Clip, video: Video, face: Square | None
    ) -> tuple[Frame | None, Frame | None, int, list[int]]:
        """Stores the frames at the new rate and size: first and last, how many, and the ticks."""
        first = last = None
        decoded, ticks = 0, []

        def timed():
            nonlocal first, last, decoded
            for last in video.frames:
                first = first or last
                decoded += 1
                yield last.time, last

        drawn, pixels = None, b""
        with _Writer(self._file(clip, "rgb")) as file:
            for tick, frame in nearest(timed(), self.settings.fps):
                if frame is not drawn:
                    kept = face or centre(frame)
                    drawn, pixels = frame, square(frame, kept, self.settings.size).tobytes()
                file.write(pixels)
                ticks.append(tick)
        return first, last, decoded, ticks

    def _too_short(self, ticks: list[int]) -> str:
        fps, span = self.settings.fps, (self.settings.frames - 1) * min(self.settings.every) + 1
        wanted = float(span / fps)
        whole = f"{float(len(ticks) / fps):.2f} s in all" if len(ticks) >= span else ""
        if whole:
            return f"shorter than a window of {wanted:.2f} s between gaps: {whole}"
        return f"shorter than a window: {float(len(ticks) / fps):.2f} s of {wanted:.2f}"


def _loss(times: Times) -> str | None:
    """What is missing of a clip that is shorter than its header says."""
    if times.ends is None:
        return None
    seconds, told = (float(end - times.stamps[0]) for end in times.ends)
    if told - seconds > max(_SLACK[0], _SLACK[1] * told):
        return f"truncated: {seconds:.1f} s of {told:.1f}"
    return None


class _CannotStoreError(UserError):
    """No room or no right to write: no fault of the clip, so that going on makes no sense."""


class _CannotLookForFacesError(UserError):
    """What finds faces is not installed: no fault of the clip either."""


class _Writer:
    """A file to write; an error of the disk is told apart from those of the clip."""

    def __init__(self, path: epath.Path):
        self._path = path

    def __enter__(self) -> "_Writer":
        self._file = self._told(self._path.open, "wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._told(self._file.close)

    def write(self, data: bytes) -> None:
        self._told(self._file.write, data)

    def _told(self, action: Callable[..., T], *arguments: object) -> T:
        try:
            return action(*arguments)
        except OSError as error:
            raise _CannotStoreError(f"{self._path.parent}: {error.strerror or error}") from error


def check_faces() -> None:
    """Tells before any work whether faces can be looked for.

    Raises:
      UserError: what finds them is not installed.
    """
    from vdd.data import faces

    faces.import_dlib()


def _find_face(path: epath.Path) -> Square:
    """The square around the face for the whole clip.

    Raises:
      UserError: no face is seen, or what finds faces is missing.
    """
    from vdd.data import faces

    with open_video(path) as video:
        seen = nearest(((frame.time, frame) for frame in video.frames), _FACE_FPS)
        first = next(seen, None)
        if first is None:
            raise UserError(f"{path}: holds no frames")
        frame = first[1]
        scale = min(_FACE_PIXELS / min(frame.height, frame.width), 1.0)
        height, width = round(frame.height * scale), round(frame.width * scale)

        def pictures():
            yield np.ascontiguousarray(frame.scaled(height, width))
            for _, following in seen:
                yield np.ascontiguousarray(following.scaled(height, width))

        box = faces.stable_box(pictures())
    if box is None:
        raise UserError(f"{path}: no face is seen")
    return Square(box.top / height, box.left / width, box.size / height, box.size / width)
