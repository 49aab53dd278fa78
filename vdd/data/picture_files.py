"""Pictures, and animations that Pillow reads: upright, in RGB or RGBA, eight bits a channel."""

import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import IO, Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, ImageSequence

from vdd.errors import UserError

RGB = UInt8[np.ndarray, "h w 3"]
RGBA = UInt8[np.ndarray, "h w 4"]  # straight alpha

ENDINGS = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".bmp", ".tif", ".tiff"
)  # fmt: skip
ANIMATED_ENDINGS = (".gif", ".apng")
Ground = tuple[int, int, int]  # RGB of a flat colour, on which what is transparent is laid
BLACK: Ground = (0, 0, 0)
# What Pillow and its decoders raise on broken files.
BROKEN = (
    OSError, ValueError, EOFError, SyntaxError, LookupError, ArithmeticError, RuntimeError,
    struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip

# A frame of 8192x8192, twice that of 8K video. What claims to be larger is refused undecoded.
MAX_PIXELS = 1 << 26
# No format that starts another program, as PostScript does.
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "BMP", "TIFF")
_SEQUENCES = ("GIF", "PNG", "WEBP", "AVIF")  # the further pictures of a JPEG or TIFF are no frames
_STEP = Fraction(1, 10)  # seconds that browsers show a frame whose own time is (next to) none
_DEEP = ("I;16", "I;16L", "I;16B", "I;16N")


class PictureFrame:
    """A picture as a frame (`decoding.Frame`)."""

    def __init__(self, image: Image.Image, time: Fraction, seconds: Fraction):
        self._image = image
        self.time, self.seconds = time, seconds
        self.height, self.width = image.height, image.width

    def scaled(self, height: int, width: int) -> RGB | RGBA:
        """The whole picture at a size."""
        return np.asarray(resized(self._image, height, width))


def open_image(file: IO[bytes]) -> Image.Image:
    """Opens a picture, undecoded.

    Raises:
      UserError: it is none that is read here, or an animation of more than `MAX_PIXELS`; a single
        photo may have as many as Pillow allows.
      One of `BROKEN`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            image = Image.open(file, formats=_FORMATS)
        except Image.UnidentifiedImageError as error:
            raise UserError("cannot be read (not a picture, or a damaged one)") from error
    if is_animated(image):
        check_pixels(image.height, image.width)
    if image.format == "GIF":
        _has_end(file)
    return image


def _has_end(file: IO[bytes]) -> bool:
    """Whether a gif has the mark of its end, which a decoder of frames does not miss.

    Where in the file the reader is stays as it is.

    Raises:
      UserError: it ends within a frame.
    """
    place = file.tell()
    file.seek(10)
    flags = file.read(3)[:1]
    file.seek(_palette_bytes(flags), 1)
    while (kind := file.read(1)) in (b"!", b","):
        if kind == b",":
            file.seek(8, 1)
            file.seek(_palette_bytes(file.read(1)), 1)
        file.seek(1, 1)  # the kind of an extension, or the bits of a code
        while size := int.from_bytes(file.read(1)):
            file.seek(size, 1)
    end = file.tell()
    within = end > file.seek(0, 2)
    file.seek(place)
    if within:
        raise UserError("cannot be read (cut off: it has no end)")
    return bool(kind)


def _palette_bytes(flags: bytes) -> int:
    """Bytes of the palette that follows, as a gif's flags say."""
    told = int.from_bytes(flags)
    return 3 << ((told & 7) + 1) if told & 0x80 else 0


def check_pixels(height: int, width: int) -> None:
    """Refuses what needs more memory than a frame may.

    Raises:
      UserError: there are more pixels than `MAX_PIXELS`.
    """
    if height * width > MAX_PIXELS:
        raise UserError(f"{width}x{height} pixels, more than {MAX_PIXELS} in a frame")


def is_animated(image: Image.Image) -> bool:
    """Whether a file is a clip, not a still picture."""
    return image.format in _SEQUENCES and getattr(image, "is_animated", False)


def frames(image: Image.Image, alpha: bool = False) -> Iterator[PictureFrame]:
    """The frames of an open file one by one; of a still picture, or a photo's several, the first.

    Args:
      image: the open file.
      alpha: what is transparent stays so, and such frames are RGBA; else it is laid on black.

    Raises:
      UserError: pixels without a known range.
      One of `BROKEN`.
    """
    if not is_animated(image):
        yield PictureFrame(upright(image, alpha), Fraction(0), _STEP)
        return
    time = Fraction(0)
    for number, frame in enumerate(ImageSequence.Iterator(image)):
        if number == 0 and image.info.get("default_image"):
            continue  # what programs show that know no animated PNG
        # A frame of WebP has its time only when it is decoded.
        frame.load()
        seconds = _seconds(frame)
        yield PictureFrame(upright(frame, alpha), time, seconds)
        time += seconds
    file: IO[bytes] | None = getattr(image, "fp", None)
    if image.format == "GIF" and file and not _has_end(file):
        name = getattr(file, "name", "a gif")
        warnings.warn(f"{name}: has no mark of its end, so it may be cut off", stacklevel=2)


def times(image: Image.Image) -> tuple[list[Fraction], Fraction | None]:
    """Seconds of the frames of an open file, and when the last has been seen; None for a still."""
    if not is_animated(image):
        return [Fraction(0)], None
    stamps = [Fraction(0)]
    for number, frame in enumerate(ImageSequence.Iterator(image)):
        if number == 0 and image.info.get("default_image"):
            continue
        if frame.format != "GIF":
            frame.load()
        stamps.append(stamps[-1] + _seconds(frame))
    return stamps[:-1], stamps[-1]


def rate(image: Image.Image) -> Fraction | None:
    """Frames a second, as the first frame of an animation tells; None for a still picture."""
    return 1 / _seconds(image) if is_animated(image) else None


def _seconds(frame: Image.Image) -> Fraction:
    """How long an animation shows a frame."""
    seconds = Fraction(frame.info.get("duration") or 0) / 1000
    return seconds if seconds > Fraction(1, 100) else _STEP


def upright(image: Image.Image, alpha: bool = False) -> Image.Image:
    """A picture upright and in RGB, or RGBA, as `frames` says; 16 bits become 8.

    Raises:
      UserError: pixels without a known range (floats, signed and 32-bit integers).
    """
    is_png, tags = image.format == "PNG", getattr(image, "tag_v2", {})
    clear = _clear_colour(image)
    image = ImageOps.exif_transpose(image)
    if image.mode in _DEEP or (image.mode == "I" and is_png):
        return _from_deep(image, tags, clear, alpha)
    if image.mode in ("I", "F"):
        kind = "signed or 32-bit" if image.mode == "I" else "floating-point"
        raise UserError(f"{kind} pixels, whose range is not known: save it with 8 or 16 bits")
    if clear is not None:
        image.info["transparency"] = clear
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    return layer if alpha else laid_on(layer, BLACK)


def _clear_colour(image: Image.Image) -> int | tuple[int, ...] | None:
    """The colour of a PNG that is transparent, in what Pillow makes of its pixels.

    Pillow gives it as it is in the file, but grey of 2 or 4 bits and colours of 16 as 8.
    """
    told, tiles = image.info.get("transparency"), getattr(image, "tile", ())
    if image.format != "PNG" or isinstance(told, bytes | None) or not tiles:
        return None
    kind = str(tiles[0].args)
    if image.mode == "RGB":
        return tuple(value >> 8 for value in told) if ";16" in kind else told
    bits = {"L;2": 2, "L;4": 4}.get(kind)
    return told * 255 // (2**bits - 1) if bits else told


def _from_deep(
    image: Image.Image, tags: Mapping[int, Any], clear: int | tuple[int, ...] | None, alpha: bool
) -> Image.Image:
    """Grey of 16 bits, or 12 in a TIFF, whose zero may be white; one shade may be transparent."""
    shades = np.asarray(image).astype(np.uint32)
    most = 4095 if tags.get(258, (16,))[0] == 12 else 65535
    grey = ((shades * 255 + most // 2) // most).astype(np.uint8)
    picture = Image.fromarray(255 - grey if tags.get(262) == 0 else grey).convert("RGB")
    if clear is None:
        return picture
    picture.putalpha(Image.fromarray(np.where(shades == clear, 0, 255).astype(np.uint8)))
    return picture if alpha else laid_on(picture, BLACK)


def laid_on(layer: Image.Image, ground: Ground) -> Image.Image:
    """A picture of mode RGBA on a flat colour, in RGB."""
    flat = Image.new("RGBA", layer.size, (*ground, 255))
    return Image.alpha_composite(flat, layer).convert("RGB")


def with_ground(pixels: RGB | RGBA, ground: Ground | None) -> RGB | RGBA:
    """A frame in RGB, on a flat colour where it is transparent; without a colour in RGBA."""
    if ground is None and pixels.shape[-1] == 3:
        return np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], axis=-1)
    if ground is not None and pixels.shape[-1] == 4:
        return np.asarray(laid_on(Image.fromarray(pixels), ground))
    return pixels


def resized(image: Image.Image, height: int, width: int) -> Image.Image:
    """A picture at another size.

    BOX averages whole pixels, so pixel art that was enlarged by a whole factor comes back as it was
    drawn.
    """
    method = Image.Resampling.BOX if height < image.height else Image.Resampling.BICUBIC
    return image.resize((width, height), method)
