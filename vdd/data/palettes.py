"""Palettes: the colours of pixel art, and pixels brought to the nearest of them."""

import numpy as np
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from PIL import Image

_AT_ONCE = 1 << 22  # pairs of colours that are compared: 32 MiB

Palette = UInt8[np.ndarray, "k c"]


def colours_of(video: UInt8[np.ndarray, "t h w c"]) -> Palette:
    """Every colour of a clip once; what is wholly transparent is one colour, (0, 0, 0, 0)."""
    return np.unique(_seen(rearrange(video, "... c -> (...) c")), axis=0)


def quantized(video: UInt8[np.ndarray, "t h w c"], count: int) -> Palette:
    """At most so many colours (2 to 256) that stand for those of a clip, as Pillow chooses them."""
    strip = np.ascontiguousarray(rearrange(video, "t h w c -> (t h) w c"))
    mode = "RGBA" if video.shape[-1] == 4 else "RGB"
    image = Image.fromarray(strip).quantize(count)
    palette = np.array(image.getpalette(mode), np.uint8).reshape(-1, len(mode))
    return np.unique(_seen(palette[np.unique(np.asarray(image))]), axis=0)


def snap(video: UInt8[np.ndarray, "t h w c"], palette: Palette) -> UInt8[np.ndarray, "t h w c"]:
    """Each pixel as the nearest colour of the palette.

    Colours count as much as they are opaque: so alpha, too, takes the values of the palette.
    """
    pixels = _seen(rearrange(video, "... c -> (...) c"))
    colours, which = np.unique(pixels, axis=0, return_inverse=True)
    at_once = max(1, _AT_ONCE // len(palette))
    starts = range(0, len(colours), at_once)
    nearest = [_nearest(colours[start : start + at_once], palette) for start in starts]
    return palette[np.concatenate(nearest)][which.reshape(-1)].reshape(video.shape)


def _nearest(colours: Palette, palette: UInt8[np.ndarray, "p c"]) -> Int[np.ndarray, "k"]:
    a, b = _weighed(colours), _weighed(palette)
    # Whole numbers below 2^53 throughout: what is in the palette is nearest to itself.
    return np.argmin(np.square(b).sum(1)[None] - 2 * a @ b.T, axis=1)


def _weighed(colours: Palette) -> Float[np.ndarray, "k c"]:
    """Colours times their alpha, which follows, on one scale."""
    numbers = colours.astype(np.float64)
    if colours.shape[1] == 3:
        return numbers
    return np.concatenate([numbers[:, :3] * numbers[:, 3:], 255 * numbers[:, 3:]], axis=1)


def _seen(pixels: UInt8[np.ndarray, "n c"]) -> UInt8[np.ndarray, "n c"]:
    """Pixels, without the colour of what is wholly transparent."""
    if pixels.shape[1] == 3:
        return pixels
    return np.where(pixels[:, 3:] == 0, 0, pixels).astype(np.uint8)
