"""The ways in which rate_quality.py sends a clip: what comes back, and what it took."""

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import UInt8

from vdd import apply, streaming
from vdd.codec import container, files
from vdd.codec.coded_run import CodedRun
from vdd.data import decoding
from vdd.diffusion.samplers import Sampler
from vdd.method.disentangler import Disentangler
from vdd.run import Run

Clip = UInt8[np.ndarray, "t h w 3"]
# By name, what its quality is called, and how the encoder is set beside.
CODECS: dict[str, tuple[str, dict[str, str]]] = {
    "libx264": ("crf", {"preset": "veryslow"}),
    "libx265": ("crf", {"preset": "veryslow", "x265-params": "log-level=none"}),
    "libsvtav1": ("av1_crf", {"preset": "4"}),
}


class Sent(NamedTuple):
    """What came of a clip, and the bits that it took."""

    video: Clip
    once: int | None = None  # None: it is not sent
    rest: int | None = None  # bits of all frames, but for what is sent once


def available() -> list[str]:
    """The encoders that this FFmpeg has."""
    av: Any = decoding.import_av()
    return [codec for codec in CODECS if codec in av.codec.codecs_available]


def by_run(coded_run: CodedRun, sampler: Sampler, clip: Clip, fps: float) -> Sent:
    """Through the bytes of a file."""
    windows = streaming.windows(clip, *coded_run.run.windows)
    data = coded_run.to_bytes(coded_run.take_windows_apart(windows), fps)
    pieces = files.draw(coded_run, coded_run.from_bytes(data), None, sampler, seed=0)
    parts = container.read(data)
    stored = container.header_bytes(parts.header)
    once = 8 * len(stored + container.content_bytes(stored, parts.content or b""))
    return Sent(np.concatenate(list(pieces)), once, 8 * len(data) - once)


def through_latents(run: Run, clip: Clip) -> Clip:
    """Into the run's latents and back, a window at a time."""

    @jax.jit
    def there_and_back(params: Any, video: Any) -> Any:
        latents = run.model.apply({"params": params}, video, method=Disentangler.to_latents)
        decoded: Any = run.model.apply({"params": params}, latents, method=Disentangler.to_video)
        return apply.to_uint8(decoded)

    windows = streaming.windows(clip, run.windows[0], 0)
    pieces = [
        np.asarray(there_and_back(run.params, window.frames[None]))[0][window.kept]
        for window in windows
    ]
    return np.concatenate(pieces)


def by_codec(codec: str, crf: int, fps: float, clip: Clip) -> Sent:
    """Through an encoder and a decoder of FFmpeg."""
    av: Any = decoding.import_av()
    buffer = io.BytesIO()
    settings = {"crf": str(crf), **CODECS[codec][1]}
    with av.open(buffer, "w", format="matroska") as file:
        stream = file.add_stream(
            codec, rate=Fraction(fps).limit_denominator(1001), options=settings
        )
        stream.height, stream.width, stream.pix_fmt = *clip.shape[1:3], "yuv420p"
        bits = []
        for packet in packets(av, stream, clip):
            bits.append(8 * packet.size)
            file.mux(packet)
    buffer.seek(0)
    with av.open(buffer) as file:
        video = np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])
    return Sent(video, bits[0], sum(bits[1:]))


def packets(av: Any, stream: Any, clip: Clip) -> Iterator[Any]:
    """What the encoder gives for a clip."""
    for frame in clip:
        yield from stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24"))
    yield from stream.encode()
