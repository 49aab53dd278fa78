"""Draws a run's pictures: which clips are shown, and the files they go to."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from einops import rearrange
from etils import epath
from jaxtyping import Int, UInt8
from PIL import Image

from vdd import files
from vdd.data import encoders
from vdd.data.sprites import MOTIONS, SpritesArrays
from vdd.evaluation import pictures
from vdd.evaluation.inference import Functions, batches, clip_keys, encode_clips, padded

FRAMES_PER_SECOND = 8

_NUM_ROWS = 6  # of the swap matrix
_NUM_TRANSFERS = 4
_NUM_RECONSTRUCTIONS = 4
_PICTURE_STREAM = 2  # of random keys


class Picture(NamedTuple):
    """A file in the folder of pictures, and what it shows."""

    file: str
    caption: str


class _Cast(NamedTuple):
    """Rows of the clips in the swap matrix."""

    content: Int[np.ndarray, "r"]
    motion: Int[np.ndarray, "c"]


def draw(
    functions: Functions,
    clips: SpritesArrays,
    folder: epath.Path,
    seed: int = 0,
    batch_size: int = 64,
) -> list[Picture]:
    """Samples a few dozen clips and writes the pictures into `folder`.

    The same clips of the same split are shown for every step and every model.
    """
    cast = _choose(clips, seed)
    rows, columns = len(cast.content), len(cast.motion)
    rebuilt = cast.motion[np.linspace(0, columns - 1, _NUM_RECONSTRUCTIONS).astype(int)]
    content = np.concatenate([np.repeat(cast.content, columns), rebuilt])
    motion = np.concatenate([np.tile(cast.motion, rows), rebuilt])
    video = _sample(functions, clips, content, motion, seed, batch_size)
    split = rows * columns
    swaps = rearrange(video[:split], "(r c) ... -> r c ...", r=rows)
    return [
        *_draw_matrix(clips, cast, swaps, folder),
        *_draw_transfers(clips, cast, swaps, folder),
        _draw_reconstructions(clips, rebuilt, video[split:], folder),
    ]


def matrix(
    functions: Functions, clips: SpritesArrays, seed: int = 0, batch_size: int = 64
) -> UInt8[np.ndarray, "h w 3"]:
    """One frame of the swap matrix, to look at during training; the same clips each time."""
    cast = _choose(clips, seed)
    rows, columns = len(cast.content), len(cast.motion)
    content, motion = np.repeat(cast.content, columns), np.tile(cast.motion, rows)
    video = _sample(functions, clips, content, motion, seed, batch_size)
    images = _matrix_images(clips, cast, rearrange(video, "(r c) ... -> r c ...", r=rows))
    return np.asarray(images[len(images) // 2].convert("RGB"))


def _choose(clips: SpritesArrays, seed: int) -> _Cast:
    """A driving clip for each motion, and rows of other characters, each in a motion of its own."""
    order = np.random.default_rng(seed)
    place = {tuple(row): i for i, row in enumerate(np.unique(clips.attributes, axis=0).tolist())}
    character = np.array([place[tuple(row)] for row in clips.attributes.tolist()])
    names = order.permutation(len(place)).tolist()
    motions = order.permutation(np.unique(clips.motion)).tolist()

    def find(name: int, label: int) -> int:
        """A clip of that character in that motion, or at least in that motion."""
        of_motion = clips.motion == label
        both = np.flatnonzero(of_motion & (character == name))
        return int(both[0] if both.size else np.flatnonzero(of_motion)[0])

    content = [find(names[i % len(names)], motions[i % len(motions)]) for i in range(_NUM_ROWS)]
    motion = [
        find(names[(_NUM_ROWS + i) % len(names)], label) for i, label in enumerate(sorted(motions))
    ]
    return _Cast(np.array(content), np.array(motion))


def _sample(
    functions: Functions,
    clips: SpritesArrays,
    content: Int[np.ndarray, "m"],
    motion: Int[np.ndarray, "m"],
    seed: int,
    batch_size: int,
) -> UInt8[np.ndarray, "m t h w c"]:
    needed = np.union1d(content, motion)
    encoded = encode_clips(functions, clips.video[needed], batch_size, show_progress=False)
    keys = clip_keys(seed, _PICTURE_STREAM, np.arange(len(content)))
    parts = []
    for piece in batches(len(content), batch_size):
        rows = padded(np.arange(piece.start, piece.stop), batch_size)
        video = functions.sample(
            keys[rows],
            encoded.content[np.searchsorted(needed, content[rows])],
            encoded.motion[np.searchsorted(needed, motion[rows])],
        )
        parts.append(np.asarray(video)[: piece.stop - piece.start])
    return np.concatenate(parts)


def _name(clips: SpritesArrays, row: int | np.integer) -> str:
    return MOTIONS[clips.motion[row]].replace("_", " ")


def _matrix_images(clips: SpritesArrays, cast: _Cast, swaps: np.ndarray) -> list[Image.Image]:
    return pictures.swap_matrix(
        "Swaps: content of the clip on the left, motion of the clip above (framed: real clips)",
        clips.video[cast.content],
        clips.video[cast.motion],
        [_name(clips, row) for row in cast.motion],
        swaps,
    )


def _draw_matrix(
    clips: SpritesArrays, cast: _Cast, swaps: np.ndarray, folder: epath.Path
) -> list[Picture]:
    images = _matrix_images(clips, cast, swaps)
    write_png(folder / "swaps.png", images[len(images) // 2])
    write_gif(folder / "swaps.gif", images)
    caption = "Every character in every motion; framed clips are real, all others are made."
    return [Picture("swaps.gif", caption), Picture("swaps.png", "One frame of the same.")]


def _draw_transfers(
    clips: SpritesArrays, cast: _Cast, swaps: np.ndarray, folder: epath.Path
) -> list[Picture]:
    drawn = []
    for i in range(min(_NUM_TRANSFERS, len(cast.content))):
        # The column whose motion is farthest, by number, from the content clip's.
        distance = np.abs(clips.motion[cast.motion] - clips.motion[cast.content[i]])
        j = int(np.argmax(distance))
        content, motion = cast.content[i], cast.motion[j]
        columns = [
            ("content", _name(clips, content), clips.video[content], True),
            ("motion", _name(clips, motion), clips.video[motion], True),
            ("result", "that content in that motion", swaps[i, j], False),
        ]
        file = f"transfer_{i}.gif"
        write_gif(folder / file, pictures.side_by_side(columns))
        drawn.append(Picture(file, f"{_name(clips, content)} -> {_name(clips, motion)}"))
    return drawn


def _draw_reconstructions(
    clips: SpritesArrays, rows: Int[np.ndarray, "m"], video: np.ndarray, folder: epath.Path
) -> Picture:
    pairs = [(_name(clips, row), clips.video[row], made) for row, made in zip(rows, video)]
    title = "Reconstructions: each clip from its own content and motion (framed: real clips)"
    write_png(
        folder / "reconstructions.png", pictures.contact_sheet(title, pairs, ("real", "rebuilt"))
    )
    return Picture("reconstructions.png", "Real clips above, the model's reconstructions below.")


def write_png(path: epath.Path, image: Image.Image, comment: str | None = None) -> None:
    """Writes a picture, with a comment in its metadata; the path may be gs://."""
    buffer = io.BytesIO()
    image.save(buffer, "png", pnginfo=encoders.png_texts(comment))
    files.write(path, buffer.getvalue())


def write_gif(path: epath.Path, images: Sequence[Image.Image]) -> None:
    """Writes an endless GIF of FRAMES_PER_SECOND; the path may be gs://."""
    video = np.stack([np.asarray(image.convert("RGB")) for image in images])
    files.write(path, encoders.gif(video, FRAMES_PER_SECOND))
