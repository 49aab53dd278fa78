"""Motion transfer and made-up motion for clips of any length: in pieces, in constant memory.

For transfer these are windows that overlap. The encoder reads a window at a time, as long as the
clips that it was trained on. Near a window's ends it knows only one side of a frame, so
neighbouring windows share some frames, and the cut from the one to the other lies in the middle of
these. (Where `model.motion_window` is set, motion is read in shorter windows within each, and
these share none.)
"""

import collections
from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple, TypeVar

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree, UInt8

from vdd import apply, compiled
from vdd.diffusion.samplers import Sampler
from vdd.method.disentangler import Disentangler
from vdd.models.prior import MotionPrior

T = TypeVar("T")


class Window(NamedTuple):
    """Frames that are read together, and which of them are kept."""

    frames: UInt8[np.ndarray, "s h w c"]
    kept: slice


def windows(
    frames: Iterable[UInt8[np.ndarray, "h w c"]], size: int, overlap: int
) -> Iterator[Window]:
    """Cut a stream into windows of `size` frames that share `overlap` with the one before.

    What is kept of all windows is the stream, each frame once. The last window is filled up with
    copies of the last frame; a stream that fits into one window is left as it is.

    Raises:
        ValueError: the overlap is not smaller than the window.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"an overlap of {overlap} frames does not fit windows of {size}")
    head, tail = overlap // 2, overlap - overlap // 2
    held: list[np.ndarray] = []
    several = False
    for frame in frames:
        if len(held) == size:
            yield Window(np.stack(held), slice(head if several else 0, size - tail))
            held, several = held[size - overlap :], True
        held.append(frame)
    if held:
        filling = [held[-1]] * (size - len(held)) if several else []
        yield Window(np.stack(held + filling), slice(head if several else 0, len(held)))


def read(
    model: Disentangler,
    params: PyTree,
    clips: UInt8[np.ndarray, "b t h w c"],
    size: int,
    overlap: int,
) -> Iterator[tuple[compiled.Encoded, slice]]:
    """What is read in each window of clips, and which of its frames are kept.

    The content of a clip is that of its first window.
    """
    reader = compiled.Reader(model, params)
    for window in windows(np.arange(clips.shape[1]), size, overlap):
        yield reader(clips[:, window.frames]), window.kept


def transfer(
    model: Disentangler,
    params: PyTree,
    seed: int,
    content_video: UInt8[np.ndarray, "s h w c"],
    motion_frames: Iterable[UInt8[np.ndarray, "h w c"]],
    sampler: Sampler,
    size: int,
    overlap: int,
    relative: bool = False,
) -> Iterator[UInt8[np.ndarray, "t h w c"]]:
    """What `content_video` shows, moving as the frames do; in pieces, as soon as they are drawn.

    Relative motion is measured from where the first window of the frames rests.

    Args:
        model: a trained model.
        params: its parameters.
        seed: of the noise; each window has noise of its own.
        content_video: a clip, or a picture as a clip of one frame.
        motion_frames: the driving clip, frame by frame.
        sampler: how it is drawn.
        size: frames of a window.
        overlap: frames that a window shares with the one before.
        relative: take from the driving clip how it differs from its own first frame, and begin at
            the pose of the content's first frame. Motion vectors are displaced by the difference of
            the two first frames and quantised again; the paper transfers absolute motion.
    """

    def pieces() -> Iterator[tuple[UInt8[Array, "1 s h w c"], slice]]:
        source, offset = compiled.encode(model, params, content_video[None]), None
        read = compiled.Reader(model, params)
        for i, window in enumerate(windows(motion_frames, size, overlap)):
            motion = read(window.frames[None]).motion
            if relative:
                motion = np.asarray(motion)
                offset = np.asarray(source.motion)[0, 0] - motion[0, 0] if i == 0 else offset
                motion = motion + offset
            given = (params, compiled.noise(seed, i), source.content, motion)
            yield compiled.draw(model, sampler, *given), window.kept

    for video, kept in ahead(pieces()):
        yield np.asarray(video)[0, kept]


def ahead(pieces: Iterable[T]) -> Iterator[T]:
    """The same, each when the next one has been asked for.

    JAX computes in the background. So what is asked for is computed while the one before it is
    taken to its end, and while its frames are written.
    """
    waiting: list[T] = []
    for piece in pieces:
        waiting.append(piece)
        if len(waiting) > 1:
            yield waiting.pop(0)
    yield from waiting


def follow(
    model: Disentangler,
    params: PyTree,
    seed: int,
    content: Float[Array | np.ndarray, "1 k d"],
    motion_frames: Iterable[UInt8[np.ndarray, "h w c"]],
    sampler: Sampler,
    before: int,
) -> Iterator[UInt8[np.ndarray, "h w c"]]:
    """`content` moving as the frames do, each frame drawn as soon as it comes; for live streams.

    Args:
        model: a trained model.
        params: its parameters.
        seed: of the noise; each frame has noise of its own.
        content: who or what is seen, as `vdd.apply.encode` reads it.
        motion_frames: the driving frames.
        sampler: how it is drawn.
        before: a frame is read with so many before it, or with copies of the first. Relative
            motion is measured from the pose of the first frame.
    """
    rest = None
    for i, frames in enumerate(recent(motion_frames, before)):
        clip, noise = frames[None], compiled.noise(seed, i)
        rest = compiled.rest_pose(model, params, clip) if i == 0 else rest
        drawn = compiled.follow(model, sampler, params, noise, content, clip, rest)
        yield np.asarray(drawn)[0]


def recent(
    frames: Iterable[UInt8[np.ndarray, "h w c"]], before: int
) -> Iterator[UInt8[np.ndarray, "s h w c"]]:
    """Each frame of a stream as the last of `before` + 1; copies stand before the first."""
    held: collections.deque[np.ndarray] = collections.deque(maxlen=before + 1)
    for frame in frames:
        held.extend([frame] * (1 if held else before + 1))
        yield np.stack(list(held))


def draw(
    model: Disentangler,
    params: PyTree,
    seed: int,
    content: Float[Array | np.ndarray, "b k d"],
    motion: Int[np.ndarray, "b t n"] | Float[np.ndarray, "b t m"],
    sampler: Sampler,
    size: int,
) -> Iterator[UInt8[np.ndarray, "b s h w c"]]:
    """`content` in a motion of any length, in pieces of `size` frames, each with its own noise.

    The last of several is filled up with copies of the last frame, so that all are one program.
    """
    for i, start in enumerate(range(0, motion.shape[1], size)):
        piece = motion[:, start : start + size]
        filling = size - piece.shape[1] if i else 0
        filled = np.pad(piece, [(0, 0), (0, filling), (0, 0)], mode="edge")
        noise = compiled.noise(seed, i)
        video = compiled.draw(model, sampler, params, noise, content, filled)
        yield np.asarray(video)[:, : piece.shape[1]]


def generate(
    model: Disentangler,
    params: PyTree,
    prior: MotionPrior,
    prior_params: PyTree,
    seed: int,
    content: Float[Array | np.ndarray, "b k d"],
    num_frames: int,
    sampler: Sampler,
    start: Int[Array | np.ndarray, "b f n"] | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> Iterator[UInt8[np.ndarray, "b s h w c"]]:
    """The video of `apply.generate` in pieces, as soon as they are drawn; its codes come first.

    Args:
        model: a trained model.
        params: its parameters.
        prior: a prior over its codes.
        prior_params: its parameters.
        seed: of all that is random.
        content: who or what is seen, as `vdd.apply.encode` reads it.
        num_frames: length of the video.
        sampler: how it is drawn.
        start: codes of the first frames; where motion is relative, as far as they depart from where
            their clip rests.
        temperature: as for `apply.generate`.
        top_p: as for `apply.generate`.
    """
    key = jax.random.key(seed)
    given = (num_frames, len(content), prior_params, key, start, temperature, top_p)
    codes = np.asarray(made_up_codes(prior, *given))
    size = min(num_frames, apply.FRAMES_AT_ONCE)
    for number, first in enumerate(range(0, num_frames, size)):
        piece = codes[:, first : first + size]
        filling = [(0, 0), (0, size - piece.shape[1]), (0, 0)]
        whole = np.pad(piece, filling, mode="edge")
        video = _draw_piece(model, sampler, params, key, content, whole, number)
        yield np.asarray(video)[:, : piece.shape[1]]


@partial(jax.jit, static_argnums=(0, 1, 2))
def made_up_codes(
    prior: MotionPrior,
    num_frames: int,
    num_clips: int,
    params: PyTree,
    key: Key[Array, ""],
    start: Int[Array, "b f n"] | None,
    temperature: float | Float[Array, ""],
    top_p: float | Float[Array, ""],
) -> Int[Array, "b t n"]:
    """`apply.generate_codes` as a program."""
    given = (num_clips, num_frames, start, temperature, top_p)
    return apply.generate_codes(prior, params, key, *given)


@partial(jax.jit, static_argnums=(0, 1))
def _draw_piece(
    model: Disentangler,
    sampler: Sampler,
    params: PyTree,
    key: Key[Array, ""],
    content: Float[Array, "b k d"],
    codes: Int[Array, "b t n"],
    number: Int[Array, ""],
) -> UInt8[Array, "b t h w c"]:
    video = apply.draw_piece(model, params, key, content, codes, number, sampler)
    return apply.to_uint8(video)
