"""The work of `vdd encode` and `vdd decode`."""

import contextlib
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from etils import epath
from jaxtyping import UInt8

from vdd import files, priors, streaming
from vdd.codec import container
from vdd.codec.coded_run import CHUNK_FRAMES, CodedRun, Decoded
from vdd.codec.description import ENDING, Size, read, size_of
from vdd.codec.entropy_model import PRIOR
from vdd.data import video_io
from vdd.diffusion.samplers import Sampler
from vdd.errors import UserError
from vdd.run import load as load_run

NO_PRIOR = "none"
_TOLD = 3  # ranges of lost frames that are named


def open_run(
    path_or_name: epath.PathLike,
    prior: epath.PathLike | None = None,
    step: int | None = None,
    clip: epath.PathLike | None = None,
    data: bytes | None = None,
) -> CodedRun:
    """A run with the prior that is named, else the one that lies with it, else none.

    Args:
        path_or_name: of the run.
        prior: of the prior; "none" takes none.
        step: which checkpoint of the run; None takes the latest.
        clip: a coded clip that is to be decoded: if it needs no prior, none is looked for.
        data: its bytes, if they have been read: a pipe gives them but once.

    Raises:
        UserError: as `vdd.run.load`, `vdd.priors.load_prior_of`, and `decode`.
    """
    run = load_run(path_or_name, step)
    needed = clip is None or _header(clip, data).motion_kind == PRIOR
    if (prior is None and not (needed and _has_prior(path_or_name))) or str(prior) == NO_PRIOR:
        return CodedRun.create(run, None)
    try:
        return CodedRun.create(run, priors.load_prior_of(run, path_or_name, prior))
    except UserError as error:
        if prior is not None or clip is not None:
            raise
        raise UserError(f"{error}; or encode with --prior {NO_PRIOR}") from error


def check_output(
    path: epath.PathLike, inputs: Iterable[epath.PathLike | None] = (), overwrite: bool = False
) -> epath.Path:
    """Tells before any long work whether a coded clip can be written there.

    Raises:
        UserError: another ending, or as `vdd.files.check`.
    """
    path = files.expand(path)
    if path.suffix.lower() != ENDING or path.is_dir():
        raise UserError(f"{path}: a coded clip is a file that ends in {ENDING}")
    return files.check(path, inputs, overwrite)


def encode(
    coded_run: CodedRun,
    clip: epath.PathLike,
    out: epath.PathLike,
    *,
    chunk_frames: int = CHUNK_FRAMES,
    max_frames: int | None = None,
    fps: float | None = None,
    overwrite: bool = False,
) -> Size:
    """Code a clip into a file. Of a long one a window is read at a time (`vdd.streaming`).

    Args:
        coded_run: by what.
        clip: a clip of any size, as for `vdd.data.video_io.read_clip`.
        out: the file.
        chunk_frames: frames that are lost when a byte of them is.
        max_frames: only the first so many.
        fps: frames a second; None takes the clip's, else 8.
        overwrite: replace a file that this tool did not write.

    Raises:
        UserError: the clip cannot be read or is too long, or the file cannot be written.
    """
    out = check_output(out, [clip], overwrite)
    if not 1 <= chunk_frames <= container.MAX_CHUNK_FRAMES:
        raise UserError(f"chunks hold 1 to {container.MAX_CHUNK_FRAMES} frames")
    run = coded_run.run
    with video_io.open_clip(clip, run.model.latents.size[:2], run.ground) as opened:
        frames = _limited(islice(opened.frames, max_frames), clip)
        windows = streaming.windows(frames, *run.windows)
        # The codes of all frames are few bytes: coded together, their number is told in the header,
        # and chunks are coded side by side.
        coded = coded_run.take_windows_apart(windows)
        fps = min(max(fps or opened.fps or 8.0, 0.1), 240.0)
    data = coded_run.to_bytes(coded, fps, chunk_frames)
    files.write(out, data, overwrite)
    return size_of(container.read(data), len(data))


def _limited(frames: Iterable[np.ndarray], clip: epath.PathLike) -> Iterator[np.ndarray]:
    """The frames of a clip, if these are not more than a file holds."""
    limit = container.MAX_FRAMES
    for count, frame in enumerate(frames, start=1):
        if count > limit:
            hint = f"take the first with --frames {limit}"
            raise UserError(f"{clip}: more than {limit} frames; {hint}")
        yield frame


def decode(coded_run: CodedRun, path: epath.PathLike, data: bytes | None = None) -> Decoded:
    """The codes of a file, of which `data` are the bytes if they have been read; warns of losses.

    Raises:
        UserError: no such file, another model or prior, or nothing of it can be read.
    """
    with _named(path):
        decoded = coded_run.from_bytes(read(path) if data is None else data)
    for words in _losses(decoded):
        warnings.warn(f"{path}: {words}", stacklevel=2)
    return decoded


def _losses(decoded: Decoded) -> Iterator[str]:
    """What is lost of a clip, in few lines however many ranges there are."""
    held = decoded.lost[: len(decoded.lost) - bool(decoded.missing)]
    for first, last in held[:_TOLD]:
        yield f"frames {first} to {last} are lost: a pose is held"
    if len(held) > _TOLD:
        frames = sum(last - first + 1 for first, last in held)
        yield f"{frames} frames in {len(held)} places are lost like that"
    if decoded.missing:
        yield f"the last {decoded.missing} of {len(decoded.codes)} frames are missing"


def draw(
    coded_run: CodedRun,
    decoded: Decoded,
    other: UInt8[np.ndarray, "s h w c"] | None,
    sampler: Sampler,
    seed: int,
) -> Iterator[UInt8[np.ndarray, "t h w c"]]:
    """The video of decoded motion, piece by piece as it is drawn, but for `Decoded.missing` frames.

    Args:
        coded_run: what decoded it.
        decoded: motion and content.
        other: a clip whose content, of its first window, is shown instead.
        sampler: how it is drawn.
        seed: of the noise; each piece has noise of its own.

    Raises:
        UserError: the content is damaged, and there is no other.
    """
    run = coded_run.run
    size, _ = run.windows
    if other is not None:
        numbers = coded_run.take_apart(other[:size]).numbers
    elif decoded.content is None:
        raise UserError("the content of the clip is damaged: give another with --content")
    else:
        numbers = coded_run.content.decode(decoded.content)
    codes = decoded.codes[: len(decoded.codes) - decoded.missing]
    tokens = coded_run.tokens(numbers)
    pieces = streaming.draw(run.model, run.params, seed, tokens, codes[None], sampler, size)
    return (piece[0] for piece in pieces)


def read_bytes(path: epath.PathLike) -> bytes:
    """The bytes of a coded clip, at most as many as one has.

    Raises:
        UserError: as `vdd.codec.description.read`, with the path.
    """
    with _named(path):
        return read(path)


def _header(path: epath.PathLike, data: bytes | None) -> container.Header:
    with _named(path):
        return container.read_header(read(path) if data is None else data)


@contextlib.contextmanager
def _named(path: epath.PathLike) -> Iterator[None]:
    """Errors say of which file they are."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _has_prior(path_or_name: epath.PathLike) -> bool:
    try:
        priors.find_prior(path_or_name)
    except priors.NoPriorError:
        return False
    return True
