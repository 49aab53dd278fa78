"""Clips as bytes: gif, mp4, png contact sheet, npy.

A clip is uint8 RGB [t h w 3], or RGBA with straight alpha [t h w 4].
"""

import importlib
import io
import math
import struct
import warnings
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from einops import rearrange
from jaxtyping import UInt8
from PIL import GifImagePlugin, Image, PngImagePlugin

from vdd.data.picture_files import BLACK, with_ground

if TYPE_CHECKING:
    from av.container import OutputContainer

_MAX_GIF_RATE = 50
_MAX_PALETTE_SAMPLES = 1 << 20
_CLEAR = 255  # index of what is transparent in a gif


def contact_sheet(
    video: UInt8[np.ndarray, "t h w c"], columns: int = 8, gap: int = 2
) -> UInt8[np.ndarray, "height width c"]:
    """Lays the frames in rows of `columns`, left to right, with `gap` pixels between.

    These are white, and of a clip with alpha transparent.
    """
    t, h, w, c = video.shape
    columns = min(columns, t)
    rows = -(-t // columns)
    size = rows * (h + gap) - gap, columns * (w + gap) - gap, c
    sheet = np.full(size, 0 if c == 4 else 255, np.uint8)
    for i, frame in enumerate(video):
        top, left = i // columns * (h + gap), i % columns * (w + gap)
        sheet[top : top + h, left : left + w] = frame
    return sheet


def gif(video: UInt8[np.ndarray, "t h w c"], fps: float, comment: str | None = None) -> bytes:
    """Animated gif: one palette for all frames, no dithering, endless loop.

    Exact where the clip has at most 256 colours. A palette per frame, or dithering, would make
    still areas flicker. What is less than half opaque is transparent. Browsers show no more than 50
    frames a second of a gif: of a quicker clip frames are left out, with a warning, so that it
    lasts as long as it should. `comment` goes into the metadata.
    """
    if fps > _MAX_GIF_RATE:
        shown = np.arange(math.ceil(len(video) * _MAX_GIF_RATE / fps)) * fps / _MAX_GIF_RATE
        warnings.warn(
            f"a gif shows {_MAX_GIF_RATE} frames a second, not {fps:g}: {len(shown)} of"
            f" {len(video)} frames are kept; an mp4 keeps all",
            stacklevel=2,
        )
        video, fps = video[np.minimum(shown.astype(int), len(video) - 1)], _MAX_GIF_RATE
    # Pillow's own writer merges equal neighbours into one frame, which changes the clip's length:
    # so the container is laid out here, and Pillow packs the pixels.
    t, h, w, c = video.shape
    clear = video[..., 3] < 128 if c == 4 else np.zeros((t, h, w), bool)
    colours = np.where(clear[..., None], 0, video[..., :3]).astype(np.uint8)
    indices, palette = _share_palette(colours, _CLEAR if c == 4 else 256)
    # Each frame is cleared away before the next.
    how: dict[str, Any] = {"transparency": _CLEAR, "disposal": 2} if c == 4 else {}
    ticks = np.round(np.arange(t + 1) * 100 / fps).astype(int)  # 1/100 s; steps add up, no drift
    data = [b"GIF89a", struct.pack("<HHBBB", w, h, 0xF7, 0, 0), palette.ljust(768, b"\0")]
    data.append(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")
    data.append(_gif_comment(comment))
    for frame, start, end in zip(np.where(clear, _CLEAR, indices), ticks[:-1], ticks[1:]):
        duration = 10 * max(int(end - start), 1)
        image = Image.fromarray(frame.astype(np.uint8))
        data += GifImagePlugin.getdata(image, duration=duration, **how)
    return b"".join(data) + b";"


def _gif_comment(text: str | None) -> bytes:
    """The extension block of a comment, in parts of at most 255 bytes."""
    if text is None:
        return b""
    data = text.encode()
    parts = [data[i : i + 255] for i in range(0, len(data), 255)]
    return b"\x21\xfe" + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def _share_palette(video: np.ndarray, most: int) -> tuple[np.ndarray, bytes]:
    """Indices uint8 [t h w] into one palette of at most so many colours, and its RGB bytes."""
    red, green, blue = rearrange(video.astype(np.int32), "t h w c -> c t h w")
    packed = red << 16 | green << 8 | blue
    seen = np.zeros(1 << 24, bool)
    seen[packed] = True
    colours = np.flatnonzero(seen)
    if len(colours) <= most:
        table = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1)
        return np.searchsorted(colours, packed).astype(np.uint8), table.astype(np.uint8).tobytes()
    strip = Image.fromarray(rearrange(video, "t h w c -> (t h) w c"))
    sample = rearrange(video, "t h w c -> (t h w) c")[:: -(-packed.size // _MAX_PALETTE_SAMPLES)]
    palette = Image.fromarray(sample[None]).quantize(most, Image.Quantize.MEDIANCUT)
    nearest = np.asarray(strip.quantize(palette=palette, dither=Image.Dither.NONE))
    return rearrange(nearest, "(t h) w -> t h w", t=len(video)), bytes(palette.getpalette() or ())


def mp4(video: UInt8[np.ndarray, "t h w c"], fps: float, comment: str | None = None) -> bytes:
    """H.264 in yuv420p, high quality; odd sides grow by one repeated pixel. Needs PyAV.

    `comment` goes into the metadata.
    """
    av = importlib.import_module("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        pictures = Pictures(container, fps, comment)
        for frame in video:
            pictures.write(frame)
        pictures.finish()
    return buffer.getvalue()


class Pictures:
    """The H.264 track of an open container, frame by frame, as `mp4` has it."""

    def __init__(self, container: "OutputContainer", fps: float, comment: str | None = None):
        """Add the track, and the comment to the metadata; `container` is PyAV's."""
        if comment is not None:
            container.metadata["comment"] = comment
        self._av, self._container = importlib.import_module("av"), container
        self.rate = Fraction(fps).limit_denominator(1001)
        self._stream = container.add_stream("libx264", rate=self.rate, options={"crf": "16"})
        self._stream.pix_fmt = "yuv420p"
        self.size = 0, 0  # of the frames in the file, height and width, once there is one
        self.count = 0

    def write(self, frame: UInt8[np.ndarray, "h w c"]) -> None:
        """Encode one more frame; all are of one size. What is transparent is laid on black."""
        frame = with_ground(frame, BLACK)
        h, w, _ = frame.shape
        even = np.pad(frame, [(0, h % 2), (0, w % 2), (0, 0)], mode="edge")
        if not self.count:
            self._stream.height, self._stream.width = self.size = even.shape[:2]
        picture = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        self._container.mux(self._stream.encode(picture))
        self.count += 1

    def finish(self) -> None:
        """Encode what is held back."""
        self._container.mux(self._stream.encode())


def png(video: UInt8[np.ndarray, "t h w c"], comment: str | None = None) -> bytes:
    """Contact sheet of all frames; `comment` goes into the metadata."""
    buffer = io.BytesIO()
    Image.fromarray(contact_sheet(video)).save(buffer, "PNG", pnginfo=png_texts(comment))
    return buffer.getvalue()


def png_texts(comment: str | None) -> PngImagePlugin.PngInfo:
    """The metadata of a PNG that has a comment, or none."""
    texts = PngImagePlugin.PngInfo()
    if comment is not None:
        texts.add_text("Comment", comment)
    return texts


def npy(video: UInt8[np.ndarray, "t h w c"]) -> bytes:
    """The array itself in NumPy's format."""
    buffer = io.BytesIO()
    np.save(buffer, video)
    return buffer.getvalue()
