"""Pictures that move."""

from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av", reason="needs PyAV (the extra `video`)")


def moving_square(count, size=32):
    video = np.zeros((count, size, size, 3), np.uint8)
    for i in range(count):
        video[i, 4:12, i % (size - 8) : i % (size - 8) + 8] = 255
    return video


def sound_seconds(path):
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    return sum(frame.samples / frame.sample_rate for frame in frames)


def write_tone(path, rate, codec, samples, channels=1, pictures=10, peak=10000):
    """Pictures for a second, and a tone of so many samples in any codec."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
        sound = container.add_stream(codec, rate=rate, layout=layout)
        for pixels in moving_square(pictures):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        wave = peak * np.sin(2 * np.pi * 440 * np.arange(samples) / rate)
        packed = np.repeat(wave.astype(np.int16), channels)[None]
        frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path
