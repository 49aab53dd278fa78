"""Stateless augmentations. Each takes the seed of its clip, so that a resumed run sees the same
clips as an uninterrupted one.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image

Clip = UInt8[np.ndarray, "t h w c"]
Augment = Callable[[Clip, Sequence[int]], Clip]


def flip(video: Clip, rng_seed: Sequence[int]) -> Clip:
    """Mirrors every second clip, left to right."""
    mirrored = np.random.default_rng((*rng_seed, 1)).random() < 0.5
    return video[:, :, ::-1] if mirrored else video


def view(
    video: UInt8[np.ndarray, "t h w 3"], rng_seed: Sequence[int]
) -> UInt8[np.ndarray, "t h w 3"]:
    """What another camera might have filmed: mirrored or not, nearer, in other proportions and
    colours, the same in all frames.

    The window has .8 to 1 of one side, and .85 to 1 times that of the other. An exponent and a gain
    change all colours alike, and half as much each colour by itself.
    """
    rng = np.random.default_rng((*rng_seed, 2))
    whole = np.array(video.shape[1:3])
    size = whole * rng.uniform(0.8, 1.0) * rng.permutation([1.0, rng.uniform(0.85, 1.0)])
    top, left = rng.uniform(0, whole - size)
    box = (left, top, left + size[1], top + size[0])
    exponent = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.075, 3))
    gain = np.exp(rng.normal(0, 0.1) + rng.normal(0, 0.05, 3))
    levels = (np.arange(256)[:, None] / 255) ** exponent[None] * gain[None]
    table = np.round(np.clip(levels, 0, 1) * 255).astype(np.uint8)
    seen = np.stack([_cut(frame, box) for frame in flip(video, rng_seed)])
    return np.stack([table[:, c][seen[..., c]] for c in range(3)], axis=-1)


def _cut(
    frame: UInt8[np.ndarray, "h w 3"], box: tuple[float, float, float, float]
) -> UInt8[np.ndarray, "h w 3"]:
    image, (height, width) = Image.fromarray(frame), frame.shape[:2]
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box=box))


def excerpt(
    clip: Shaped[np.ndarray, "t h w c"], rng_seed: Sequence[int], frames: int
) -> Shaped[np.ndarray, "frames h w c"]:
    """Takes `frames` consecutive frames from a random place, in order."""
    start = np.random.default_rng(rng_seed).integers(len(clip) - frames + 1)
    return clip[start : start + frames]
