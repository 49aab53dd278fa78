"""Frames at a size, cut so that they cover it, and on a ground."""

from collections.abc import Iterator

import numpy as np

from vdd.data import decoding
from vdd.data.picture_files import Ground, with_ground

Size = tuple[int, int]  # height, width


def scaled(
    frames: Iterator[decoding.Frame], size: Size | None, ground: Ground | None
) -> Iterator[np.ndarray]:
    """The pixels of frames, as `vdd.data.video_io.open_clip` takes `size` and `ground`.

    Those of a frame that is seen more than once are made once.
    """
    last, pixels = None, None
    for frame in frames:
        if pixels is None or frame is not last:
            covering = _cover(frame.height, frame.width, size)
            last = frame
            pixels = with_ground(np.ascontiguousarray(_crop(frame.scaled(*covering), size)), ground)
        yield pixels


def _cover(height: int, width: int, size: Size | None) -> Size:
    """The size to scale a frame to, in its own proportions, so that it covers `size`."""
    if size is None:
        return height, width
    scale = max(size[0] / height, size[1] / width)
    return max(size[0], round(height * scale)), max(size[1], round(width * scale))


def _crop(frame: np.ndarray, size: Size | None) -> np.ndarray:
    if size is None:
        return frame
    top, left = (frame.shape[0] - size[0]) // 2, (frame.shape[1] - size[1]) // 2
    return frame[top : top + size[0], left : left + size[1]]
