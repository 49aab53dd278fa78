"""Frames that tell their number or how they lie, and clips of them."""

import numpy as np
import pytest

av = pytest.importorskip("av", reason="needs PyAV (the extra `video`)")


def shades(count, height=32, width=48):
    """Frames that tell their numbers by how bright they are."""
    return [np.full((height, width, 3), 20 + 8 * i, np.uint8) for i in range(count)]


def read_shades(clip):
    return [round((float(frame.mean()) - 20) / 8) for frame in clip]


def write(path, frames, pix_fmt="yuv420p", codec="libx264", matrix=None, options=None, layout=None):
    with av.open(str(path), "w", options=layout or {}) as container:
        stream = container.add_stream(codec, rate=10, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if matrix:
            stream.set_display_matrix(matrix)
        for pixels in frames:
            form = "rgba" if pixels.shape[-1] == 4 else "rgb24"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=form)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
