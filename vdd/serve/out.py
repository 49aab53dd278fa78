"""What the page gives to keep: files, the call that makes the same, and what all of it costs."""

import importlib.util
import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from vdd.codec import container
from vdd.codec.coded_run import CodedRun
from vdd.data import encoders, synthetic
from vdd.errors import UserError
from vdd.serve.studio import Studio, Word
from vdd.serve.work import Progress, Steps
from vdd.values import Json

COLUMNS = 16  # of a sheet of frames that goes to the page
KINDS = {
    "gif": "image/gif",
    "mp4": "video/mp4",
    "png": "image/png",
    "npy": "application/octet-stream",
    "vdd": "application/octet-stream",
    "py": "text/x-python",
}


class Piece(NamedTuple):
    """What is on the page: whose content, in which motion, drawn how."""

    clip: UInt8[np.ndarray, "t h w c"]  # whose content is shown
    call: str  # that reads this clip
    codes: Int[np.ndarray, "t n"]
    steps: int | None
    seed: int
    fps: float


class Motion(NamedTuple):
    """What a .vdd file says of motion."""

    codes: Int[np.ndarray, "t n"]
    fps: float


class Coder:
    """Codes motion into the bytes of .vdd files; made at the first use, as it takes a moment."""

    def __init__(self, studio: Studio):
        self._studio, self._coded = studio, None
        self._lock = threading.Lock()

    def to_bytes(self, piece: Piece) -> bytes:
        """The file of a clip; as `vdd encode` writes it."""
        coder = self._open()
        window = piece.clip[: self._studio.run.windows[0]]
        coded = coder.take_apart(window)._replace(codes=piece.codes.astype(np.int64))
        return coder.to_bytes(coded, piece.fps)

    def from_bytes(self, data: bytes, most: int) -> Motion:
        """The motion in a file that `vdd encode` wrote, of at most so many frames.

        Raises:
            UserError: it is of another model, has more frames, or is damaged.
        """
        if container.read(data).header.frames > most:
            raise UserError(f"that file has more than the {most} frames that are taken")
        decoded = self._open().from_bytes(data)
        if decoded.lost:
            raise UserError("that file is damaged: frames of it are lost")
        return Motion(decoded.codes, decoded.header.fps)

    def _open(self) -> CodedRun:
        with self._lock:
            if self._coded is None:
                self._coded = CodedRun.create(self._studio.run, self._studio.prior)
            return self._coded


def sheet(video: UInt8[np.ndarray, "t h w c"]) -> UInt8[np.ndarray, "h w c"]:
    """All frames in rows, for the page to cut up again."""
    return encoders.contact_sheet(video, COLUMNS, gap=0)


def encode(
    kind: str, video: UInt8[np.ndarray, "t h w c"], fps: float, comment: str | None = None
) -> bytes:
    """A clip as gif, mp4, png or npy; the comment is in the metadata of the first three.

    Raises:
        UserError: mp4 without PyAV.
    """
    if kind == "gif":
        return encoders.gif(video, fps, comment)
    if kind == "mp4":
        if not has_mp4():
            raise UserError("mp4 needs PyAV on the server: pip install 'vdd-video[video]'")
        return encoders.mp4(video, fps, comment)
    return encoders.png(video, comment) if kind == "png" else encoders.npy(video)


def has_mp4() -> bool:
    """Whether mp4 can be written."""
    return importlib.util.find_spec("av") is not None


def call(studio: Studio, piece: Piece) -> str:
    """Python that makes the same clip."""
    names = ", ".join(sorted({"video_io", piece.call.partition(".")[0]}))
    how = "" if piece.steps is None else f", steps={piece.steps}"
    how += f", seed={piece.seed}" if piece.seed else ""
    lines = [
        "import numpy as np",
        "",
        "import vdd",
        f"from vdd.data import {names}",
        "",
        f"run = vdd.load({studio.name!r})",
        f"who = {piece.call}",
        f"codes = np.array({piece.codes.tolist()})",
        f"video = run.decode(run.encode(who).content, codes[None]{how})",
        f'video_io.write_clip("result.gif", video[0], fps={piece.fps:g}{_comment(studio)})',
    ]
    return "\n".join(lines) + "\n"


def _comment(studio: Studio) -> str:
    mark = synthetic.mark(studio.run.config.data)
    return f", comment={mark!r}" if mark else ""


def use_bits(codes: Int[np.ndarray, "t n"], words: Sequence[Word]) -> float | None:
    """Bits a frame by how often the data set uses each code.

    None where a code was not seen there.
    """
    shares = {word.codes: word.share for word in words}
    found = [shares.get(tuple(code), 0.0) for code in codes.tolist()]
    return None if 0.0 in found else float(-np.log2(found).mean())


def meter(
    studio: Studio, coder: Coder, piece: Piece, video: np.ndarray, words: Sequence[Word]
) -> Steps[Json]:
    """What the motion costs, beside what other formats take for the same clip."""
    size, doing = {}, "measuring"
    yield Progress(0, 4, doing)
    size["vdd"] = len(coder.to_bytes(piece))
    yield Progress(1, 4, doing)
    mark = synthetic.mark(studio.run.config.data)
    size["gif"] = len(encoders.gif(video, piece.fps, mark))
    yield Progress(2, 4, doing)
    size["mp4"] = len(encoders.mp4(video, piece.fps, mark)) if has_mp4() else None
    yield Progress(3, 4, doing)
    return {
        "frames": len(piece.codes),
        "flat": studio.groups * float(np.log2(studio.codes)),
        "use": use_bits(piece.codes, words),
        "prior": studio.prior_bits(piece.codes),
        **size,
    }
