"""Clips as arrays in NumPy's format, frame by frame."""

import contextlib
import math
import tokenize
from collections.abc import Iterator
from fractions import Fraction
from typing import IO

import numpy as np
from etils import epath
from jaxtyping import UInt8
from PIL import Image

from vdd import files
from vdd.data import decoding, picture_files
from vdd.errors import UserError

# What NumPy raises on a broken header, which it reads as Python.
_BROKEN = (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError)


class ArrayFrame:
    """A frame of an array (`decoding.Frame`)."""

    time = seconds = Fraction(0)

    def __init__(self, pixels: UInt8[np.ndarray, "h w c"]):
        self._pixels = pixels
        self.height, self.width, _ = pixels.shape

    def scaled(self, height: int, width: int) -> UInt8[np.ndarray, "h w c"]:
        """The whole frame at a size."""
        if (height, width) == (self.height, self.width):
            return self._pixels
        return np.asarray(picture_files.resized(Image.fromarray(self._pixels), height, width))


@contextlib.contextmanager
def open_array(path: epath.Path) -> Iterator[Iterator[ArrayFrame]]:
    """The frames of an npy file uint8 [t h w 3], or [t h w 4] with alpha, one by one.

    Raises:
        UserError: no such array, or fewer bytes than its header tells of.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
            shape, by_column, dtype = _header(path, file)
        except _BROKEN as error:
            raise decoding.unreadable(path, error) from error
        if dtype != np.uint8 or len(shape) != 4 or shape[-1] not in (3, 4):
            found = f"{dtype} {list(shape)}"
            raise UserError(f"{path}: needs uint8 [frames, height, width, 3 or 4], holds {found}")
        if shape[0] and not math.prod(shape[1:]):
            raise UserError(f"{path}: frames without pixels, {list(shape)}")
        claimed, held = math.prod(shape), files.size_of(path) - file.tell()
        if claimed > held:
            raise UserError(
                f"{path}: cannot be read (cut off: {held} bytes of the {claimed} of {list(shape)})"
            )
        yield map(ArrayFrame, _frames(file, shape, by_column))


def _header(path: epath.Path, file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    if file.read(4) == b"PK\x03\x04":
        raise UserError(f"{path}: an archive of arrays (npz): save one of them with numpy.save")
    file.seek(0)
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    start = file.tell()
    length = int.from_bytes(file.read(4), "little")
    if length > files.size_of(path):  # NumPy would make room for as many bytes as are claimed
        raise ValueError(f"a header of {length} bytes")
    file.seek(start)
    return np.lib.format.read_array_header_2_0(file)


def _frames(file: IO[bytes], shape: tuple[int, ...], by_column: bool) -> Iterator[np.ndarray]:
    if by_column:
        yield from np.frombuffer(file.read(math.prod(shape)), np.uint8).reshape(shape[::-1]).T
        return
    for _ in range(shape[0]):
        pixels = np.frombuffer(file.read(math.prod(shape[1:])), np.uint8)
        yield pixels.reshape(shape[1:])
