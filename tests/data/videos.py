"""Videos to test with: the time is told by the picture, a bar code of the frame's number."""

import io
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

BITS = 12


def bar_code(number: int, height: int = 64, width: int = 96) -> np.ndarray:
    """A frame uint8 [h w 3] whose centre square tells a number, by stripes from top to bottom."""
    side = min(height, width)
    lit = [(number >> bit) & 1 for bit in range(BITS)]
    stripes = np.array([int(i * BITS / side) for i in range(side)])
    square = np.repeat((40 + 170 * np.array(lit)[stripes])[:, None], side, axis=1)
    frame = np.full((height, width), 90)
    top, left = (height - side) // 2, (width - side) // 2
    frame[top : top + side, left : left + side] = square
    return np.repeat(frame[..., None], 3, axis=2).astype(np.uint8)


def read_code(frame: np.ndarray) -> int:
    """The number that a square frame tells."""
    middles = (np.arange(BITS) + 0.5) * len(frame) / BITS
    column = frame[middles.astype(int), len(frame) // 2].mean(-1)
    return sum(1 << bit for bit in range(BITS) if column[bit] > 125)


def encode(
    path: Path,
    frames: Iterable[np.ndarray],
    stamps: Sequence[Fraction] | None = None,
    *,
    fps: int = 25,
    codec: str = "libx264",
    form: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Writes a video; `stamps` are the seconds of its frames, where the rate is not constant."""
    frames = list(frames)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=form, options=options or {}) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1200) if stamps else Fraction(1, fps)
        for i, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            if stamps:
                frame.pts, frame.time_base = int(stamps[i] * 1200), Fraction(1, 1200)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def counted(count: int, height: int = 64, width: int = 96, first: int = 0) -> list[np.ndarray]:
    """Frames that tell their numbers."""
    return [bar_code(first + i, height, width) for i in range(count)]


def sound(path: Path, seconds: float = 2.0, video: Sequence[np.ndarray] = ()) -> Path:
    """A file with a sound track, and a video track where frames are given."""
    with av.open(str(path), "w") as container:
        track = container.add_stream("aac", rate=16000)
        picture = container.add_stream("libx264", rate=25) if len(video) else None
        if picture is not None:
            picture.height, picture.width = video[0].shape[:2]
            picture.pix_fmt = "yuv420p"
            for pixels in video:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
                container.mux(picture.encode(frame))
            container.mux(picture.encode())
        for _ in range(int(seconds * 16000 / 1024)):
            silence = np.zeros((1, 1024), np.float32)
            frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            frame.sample_rate = 16000
            container.mux(track.encode(frame))
        container.mux(track.encode())
    return path


def gif(path: Path, frames: Sequence[np.ndarray], milliseconds: int) -> Path:
    """An animated gif."""
    pictures = [Image.fromarray(frame) for frame in frames]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, "GIF", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0
    )
    path.write_bytes(buffer.getvalue())
    return path
