"""Files as they are, and damaged."""

import io
import itertools
from typing import Any

import numpy as np

FRAMES, SIDE = 12, 32
CONTAINERS = ("mp4", "mov", "mkv", "webm", "avi", "m4v")
CODECS = ("libx264", "libx265", "mpeg4", "libvpx", "libvpx-vp9", "libsvtav1", "mjpeg", "ffv1")
PICTURES = ("png", "jpg", "webp", "gif", "avif")
ANIMATED = ("png", "webp", "gif", "avif")


def originals() -> dict[str, tuple[str, bytes]]:
    """A file of each kind: by its name, the ending and what is in it."""
    rng = np.random.default_rng(0)
    video = rng.integers(0, 256, (FRAMES, 8, 8, 3), np.uint8).repeat(4, 1).repeat(4, 2)
    found = {"npy": ("npy", _npy(video))}
    for container, codec in itertools.product(CONTAINERS, CODECS):
        if data := _encoded(video, container, codec):
            found[f"{container} {codec}"] = (container, data)
    for ending, more in [*((e, 1) for e in PICTURES), *((e, FRAMES) for e in ANIMATED)]:
        if data := _picture(video[:more], ending):
            found[f"{'animated ' if more > 1 else ''}{ending}"] = (ending, data)
    return found


def _npy(video: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, video)
    return buffer.getvalue()


def _encoded(video: np.ndarray, container: str, codec: str) -> bytes | None:
    import av

    buffer = io.BytesIO()
    muxer = {"mkv": "matroska", "m4v": "mp4"}.get(container, container)
    try:
        with av.open(buffer, "w", format=muxer) as file:
            stream: Any = file.add_stream(codec, rate=25)
            stream.height = stream.width = SIDE
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for frame in video:
                file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            file.mux(stream.encode())
    except (av.FFmpegError, ValueError):  # there is no such encoder, or it does not go in there
        return None
    return buffer.getvalue()


def _picture(video: np.ndarray, ending: str) -> bytes | None:
    from PIL import Image

    first, *rest = [Image.fromarray(frame) for frame in video]
    buffer, more = io.BytesIO(), {"save_all": True, "append_images": rest, "duration": 40}
    try:
        first.save(buffer, "JPEG" if ending == "jpg" else ending, **(more if rest else {}))
    except (KeyError, OSError):
        return None
    return buffer.getvalue()


def mutated(rng: np.random.Generator, data: bytes) -> bytes:
    """Flips bits, cuts, repeats, replaces, or blows up sizes; at times twice."""
    if not data:
        return rng.bytes(8)
    start, end = sorted(int(x) for x in rng.integers(0, len(data) + 1, 2))
    kind = rng.integers(7)
    if kind == 0:
        changed = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 12)):
            changed[place] ^= 1 << rng.integers(8)
        return bytes(changed)
    if kind == 1:
        return data[:start]
    if kind == 2:
        return data[:end] + data[start:]
    if kind == 3:
        return data[:start] + rng.bytes(int(rng.integers(64))) + data[end:]
    if kind == 4:  # in the header, where sizes are
        place = int(rng.integers(0, min(64, len(data))))
        return data[:place] + b"\xff" * int(rng.integers(1, 5)) + data[place + 4 :]
    if kind == 5:
        place = int(rng.integers(0, len(data)))
        return data[:place] + rng.bytes(4) + data[place + 4 :]
    return mutated(rng, mutated(rng, data))
