"""What is kept of a clip: windows of its frames, and a square of each."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from vdd.data.decoding import Frame


class Square(NamedTuple):
    """What is kept of a frame: a square, in fractions of the frame's height and width."""

    top: float
    left: float
    height: float
    width: float


class Window(NamedTuple):
    """Frames of a clip, evenly spaced: place of the first among those kept, and its tick."""

    first: int
    tick: int
    every: int = 1  # ticks from one frame to the next


def cut(
    ticks: Sequence[int], frames: int, stride: int, spacings: Sequence[int] = (1,)
) -> list[Window]:
    """Windows of `frames` frames, `stride` ticks from one to the next; none over a gap.

    In each spacing there are windows of their own: every tick, every second one and so on. A
    window of wide spacing shows more movement in as many frames.
    """
    edges = [i for i in range(1, len(ticks)) if ticks[i] != ticks[i - 1] + 1]
    windows = []
    for every in spacings:
        span = (frames - 1) * every + 1
        for start, end in zip([0, *edges], [*edges, len(ticks)]):
            firsts = range(start, end - span + 1, stride)
            windows += [Window(first, ticks[first], every) for first in firsts]
    return windows


def centre(frame: Frame) -> Square:
    """The largest square in the middle of a frame."""
    side = min(frame.height, frame.width)
    height, width = side / frame.height, side / frame.width
    return Square((1 - height) / 2, (1 - width) / 2, height, width)


def square(frame: Frame, kept: Square, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The part of a frame that is kept, at its new size.

    A frame is made smaller as a whole and then cut, by FFmpeg at full speed. A small part of it is
    cut first and then enlarged, so that memory never holds more than the frame itself.
    """
    side = max(kept.height * frame.height, 1.0)
    scale = min(size / side, 1.0)
    height = max(round(frame.height * scale), 1)
    width = max(round(frame.width * scale), 1)
    taken = min(size, height, width) if side >= size else min(max(round(side), 1), height, width)
    top = min(max(round(kept.top * height), 0), height - taken)
    left = min(max(round(kept.left * width), 0), width - taken)
    part = frame.scaled(height, width)[top : top + taken, left : left + taken]
    if taken != size:
        enlarged = Image.fromarray(np.ascontiguousarray(part))
        part = np.asarray(enlarged.resize((size, size), Image.Resampling.BICUBIC))
    return np.ascontiguousarray(part)
