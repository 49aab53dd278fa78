"""What a user gives a model, checked: clips and motion as arrays of its sizes."""

import numpy as np
from jax.typing import ArrayLike

from vdd.errors import UserError
from vdd.method.disentangler import Disentangler


def clips(model: Disentangler, video: ArrayLike) -> np.ndarray:
    """Clips as an array; UserError where they are none of the model's size."""
    video, size = np.asarray(video), model.latents.size
    if video.shape[-1:] == (3,) and size[2] == 4:
        opaque = 255 if np.issubdtype(video.dtype, np.integer) else 1.0
        video = np.pad(video, [(0, 0)] * (video.ndim - 1) + [(0, 1)], constant_values=opaque)
    if video.ndim != 5 or video.shape[2:] != size or 0 in video.shape:
        h, w, c = size
        raise UserError(
            f"clips are [clips, frames, {h}, {w}, {c}], at least one of each, and not"
            f" {list(video.shape)}"
        )
    is_float = np.issubdtype(video.dtype, np.floating)
    if video.dtype != np.uint8 and not (is_float and np.abs(video).max() <= 1.0):
        raise UserError(f"clips are uint8, or floats in [-1, 1]; these are {video.dtype}")
    return video


def motion(model: Disentangler, said: ArrayLike) -> np.ndarray:
    """Codes or motion as an array; UserError where they are none of the model."""
    said, book = np.asarray(said), model.quantizer.codebook
    if np.issubdtype(said.dtype, np.integer):
        width, said = book.num_groups, said.astype(np.int32)
        wrong = said.size and not 0 <= said.min() <= said.max() < book.num_codes
    else:
        width = book.num_groups * book.code_dim
        wrong = not np.issubdtype(said.dtype, np.floating)
    if wrong or said.ndim != 3 or said.shape[2] != width or 0 in said.shape:
        raise UserError(
            f"motion is codes, whole numbers [clips, frames, {book.num_groups}] from 0 to"
            f" {book.num_codes - 1}, or what encode gives as motion"
        )
    return said
