"""Files of strangers are read in a process of its own, by the same reader as all others.

So a file that takes too long is stopped, and one that takes a decoder down takes nothing else with
it. The process lives on to the next file.
"""

import contextlib
import itertools
import multiprocessing
import resource
import threading
import warnings
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import NamedTuple

import numpy as np
from etils import epath
from jaxtyping import UInt8

from vdd.data import decoding, framing, picture_files, sheet_files, video_io
from vdd.data.faces import Box
from vdd.errors import UserError
from vdd.serve.limits import Limits

_START_SECONDS = 60.0  # until the process is there, on a slow machine


class Request(NamedTuple):
    """A file, and how a model wants its frames."""

    path: str
    size: tuple[int, int]
    ground: picture_files.Ground | None
    layout: str = ""  # of a sprite sheet; "" where it is none, or tells so by its size
    face: bool = False  # of a clip or picture: the square around its face, where one is seen


class Answer(NamedTuple):
    """What was read."""

    video: UInt8[np.ndarray, "t h w c"]
    fps: float | None
    told: str  # what was done to it, in words
    square: Box | None = None  # around a face, that was read alone


def read(request: Request, limits: Limits) -> Answer:
    """Reads a file within the limits, but for the time.

    Raises:
        UserError: it cannot be read, or is too large.
    """
    path = epath.Path(request.path)
    _check_pixels(path, limits.pixels)
    layout = sheet_files.parse(request.layout) if request.layout else None
    if layout is None and sheet_files.is_lpc(path):
        layout = sheet_files.LPC
    if layout is not None:
        video, told = sheet_files.read_clip(
            path, request.size, request.ground, layout, limits.frames
        )
        return Answer(video, None, told)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        square = framing.find_square(path, limits.frames) if request.face else None
        with _opened(path, request, square) as clip:
            frames = list(itertools.islice(clip.frames, limits.frames + 1))
            told = list(dict.fromkeys(str(warning.message) for warning in caught))
            told += _fitted(request, square, clip.size)
            if len(frames) > limits.frames:
                told.append(f"its first {limits.frames} frames are read")
            video = np.stack(frames[: limits.frames])
            return Answer(video, clip.fps, "; ".join(told), square)


def _opened(
    path: epath.Path, request: Request, square: Box | None
) -> AbstractContextManager[video_io.Clip]:
    if square is None:
        return video_io.open_clip(path, request.size, request.ground)
    return framing.open_square(path, square, request.size[0], request.ground)


def _fitted(request: Request, square: Box | None, was: tuple[int, int]) -> list[str]:
    """How frames were made to fit the model, in words."""
    height, width = request.size
    if square is not None:
        return [f"the {square.size}x{square.size} pixels around the face"]
    told = ["no face is seen: its middle is taken"] if request.face else []
    if was != request.size:
        told.append(f"{was[1]}x{was[0]}, scaled and cropped to the model's {width}x{height}")
        if was[0] % height == was[1] % width == 0 and not request.face:
            cells = f"{was[1] // width}x{was[0] // height}"
            told.append(f"of a sheet of cells say {cells} in Sheet")
    return told


def _check_pixels(path: epath.Path, most: int) -> None:
    """Refuses a picture by its header, and a video by its first frame."""
    if decoding.is_video(path):
        with decoding.open_video(path, lenient=True) as video:
            first = next(video.frames, None)
            height, width = (first.height, first.width) if first else (0, 0)
    elif path.suffix.lower() != ".npy":
        try:
            with path.open("rb") as file, picture_files.open_image(file) as image:
                height, width = image.height, image.width
        except picture_files.BROKEN as error:
            raise decoding.unreadable(path, error) from error
    else:
        return
    if height * width > most:
        raise UserError(
            f"{path}: {width}x{height} pixels, more than the {most:,} of a frame that are taken"
        )


class Reader:
    """The process that reads; one file at a time."""

    def __init__(self, limits: Limits):
        self._limits = limits
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._pipe: Connection  # of the process, where there is one

    def read(self, request: Request) -> Answer:
        """As `read` above, within the time too.

        Raises:
            UserError: as `read`, or it takes too long.
        """
        with self._lock:
            try:
                self._start()
                self._pipe.send(request)
                if not self._pipe.poll(self._limits.read_seconds):
                    self._stop()
                    seconds = self._limits.read_seconds
                    raise UserError(f"{request.path}: takes more than {seconds:g} seconds to read")
                answer = self._pipe.recv()
            except (EOFError, OSError) as error:
                self._stop()
                raise UserError(f"{request.path}: cannot be read (its decoder failed)") from error
        if isinstance(answer, str):
            raise UserError(answer)
        return answer

    def close(self) -> None:
        """Ends the process, in the middle of a file if need be."""
        process = self._process
        if process is not None:
            process.kill()
        with self._lock:
            self._stop()

    def _start(self) -> None:
        if self._process is not None and self._process.is_alive():
            return
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._limits), daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(_START_SECONDS):
            self._stop()
            raise UserError("the process that reads files does not start")
        self._pipe.recv()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None


def _serve(pipe: Connection, limits: Limits) -> None:
    """Answers requests until the pipe closes: an `Answer`, or what is wrong in words."""
    bounds = {resource.RLIMIT_AS: limits.reader_bytes, resource.RLIMIT_FSIZE: 0}
    for kind, most in bounds.items():  # it reads, and writes to no file
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))
    with contextlib.suppress(EOFError, KeyboardInterrupt, OSError):
        pipe.send("ready")
        while True:
            request = pipe.recv()
            try:
                answer: Answer | str = read(request, limits)
            except UserError as error:
                answer = str(error)
            except Exception:  # whatever a damaged file provokes, here or in a decoder
                answer = f"{request.path}: cannot be read"
            pipe.send(answer)
