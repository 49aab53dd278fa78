"""Which square of a clip a model is shown, and how what it draws goes back into the frame.

A first pass over a file finds the face (`face_square`), a second one reads its square
(`open_square`): no clip is ever held whole. `paste` puts a drawn square back, with soft edges.
"""

import contextlib
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from etils import epath
from jaxtyping import Float32, UInt8
from PIL import Image

from vdd.data import faces, video_io
from vdd.data.faces import Box
from vdd.data.picture_files import BLACK, Ground, resized
from vdd.errors import UserError

# The mask's outline is |x|^4 + |y|^4 = 1, a square with round corners. A head fills most of its
# square, and moves: of an ellipse hair and chin would hang over the edge.
_ROUNDNESS = 4
# Width of the soft edge, in halves of the square's side.
_FEATHER = 0.3


def middle(height: int, width: int) -> Box:
    """The largest square in the middle of a frame of that size, pixels."""
    side = min(height, width)
    return Box((height - side) // 2, (width - side) // 2, side)


def face_square(path: epath.PathLike, frames: int | None = None) -> Box:
    """The square around the face for all of a clip, pixels (`vdd.data.faces.stable_box`).

    Args:
        path: as for `video_io.open_clip`; the file is read through, and no frame is kept.
        frames: look only at so many from the first on; None looks at all.

    Raises:
        UserError: no face is seen; the extra `face` is not installed; frames of unlike sizes; as
            `video_io.open_clip`.
    """
    square = find_square(path, frames)
    if square is None:
        raise UserError(f"{path}: no face is seen")
    return square


def find_square(path: epath.PathLike, frames: int | None = None) -> Box | None:
    """As `face_square`; None where no face is seen."""
    with video_io.open_clip(path) as clip:
        return faces.stable_box(islice(_alike(path, clip.frames), frames))


def read_face(
    path: epath.PathLike, size: int, ground: Ground | None = BLACK, frames: int | None = None
) -> UInt8[np.ndarray, "t size size c"]:
    """The square around the face of a clip, or of its first frames, scaled to `size` pixels a side.

    Raises:
        UserError: as `face_square`.
    """
    with open_square(path, face_square(path, frames), size, ground) as clip:
        return np.stack(list(islice(clip.frames, frames)))


@contextlib.contextmanager
def open_square(
    path: epath.PathLike, square: Box, size: int, ground: Ground | None = BLACK
) -> Iterator[video_io.Clip]:
    """Opens a clip of which only a square is read; memory holds a few frames.

    Args:
        path: as for `video_io.open_clip`.
        square: what is read, pixels of the clip.
        size: side to which the square is scaled, pixels.
        ground: as for `video_io.open_clip`.

    Raises:
        UserError: as `video_io.open_clip`; frames of unlike sizes, perhaps only while they are
            read.
    """
    with video_io.open_clip(path, ground=ground) as clip:
        frames = (crop(frame, square, size) for frame in _alike(path, clip.frames))
        yield clip._replace(frames=frames)


def first_frame(path: epath.PathLike, ground: Ground | None = BLACK) -> UInt8[np.ndarray, "h w c"]:
    """A photo, or the first frame of a clip, in its own pixels.

    Raises:
        UserError: as `video_io.open_clip`.
    """
    with video_io.open_clip(path, ground=ground) as clip:
        return next(clip.frames)


def crop(
    frame: UInt8[np.ndarray, "h w c"], square: Box, size: int
) -> UInt8[np.ndarray, "size size c"]:
    """The square of a frame, scaled to `size` pixels a side."""
    return _scaled(_part(frame, square), size)


def soft_mask(side: int) -> Float32[np.ndarray, "side side 1"]:
    """How much of a drawn square is seen at each pixel: 1 in the middle, 0 at all of its border.

    The drawn picture has other pixels than the photo at the square's border: background that the
    model blurs, shoulders that it moves. Were the mask more than 0 there, the square would show as
    a frame around the face. It falls off smoothly, with no slope at either end, since the eye also
    sees a crease.
    """
    along = np.abs(np.linspace(-1, 1, side, dtype=np.float32)) ** _ROUNDNESS
    out = (along[:, None] + along) ** (1 / _ROUNDNESS)  # from the middle; 1 and more is outside
    inside = np.clip((1 - out) / _FEATHER, 0, 1)
    return (inside * inside * (3 - 2 * inside))[..., None].astype(np.float32)


def paste(
    frame: UInt8[np.ndarray, "h w c"],
    square: Box,
    picture: UInt8[np.ndarray, "p p c"],
    mask: Float32[np.ndarray, "s s 1"],
) -> UInt8[np.ndarray, "h w c"]:
    """A copy of the frame with a picture in a square of it; where the mask is 0 nothing changes.

    Args:
        frame: a photo.
        square: where to, pixels of the photo.
        picture: of any size; it is scaled to the square.
        mask: fraction of the picture at each pixel of the square, as `soft_mask` has it.
    """
    pasted = frame.copy()
    part = _part(pasted, square)
    before = part.astype(np.float32)
    part[:] = np.round(before + mask * (_scaled(picture, square.size) - before))
    return pasted


def paste_all(
    pieces: Iterable[Iterable[UInt8[np.ndarray, "p p c"]]],
    frame: UInt8[np.ndarray, "h w c"],
    square: Box,
) -> Iterator[Iterator[UInt8[np.ndarray, "h w c"]]]:
    """Pieces of a clip, each frame of it pasted into the same photo, one when it is asked for."""
    mask = soft_mask(square.size)
    for piece in pieces:
        yield (paste(frame, square, picture, mask) for picture in piece)


def _part(frame: np.ndarray, square: Box) -> np.ndarray:
    """The pixels of a square, not copied."""
    top, left, side = square
    return frame[top : top + side, left : left + side]


def _scaled(pixels: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(resized(Image.fromarray(np.ascontiguousarray(pixels)), size, size))


def _alike(path: epath.PathLike, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same frames: one square for all of them makes sense only where they are of one size."""
    size = None
    for frame in frames:
        size = size or frame.shape[:2]
        if frame.shape[:2] != size:
            sizes = " and ".join(f"{w}x{h}" for h, w in (size, frame.shape[:2]))
            raise UserError(f"{path}: frames of unlike sizes ({sizes}); make them one size")
        yield frame
