"""Stateless augmentations that leave motion and attributes what they are.

None of those for sprites mirrors a clip: there left and right are different motions. Each takes the
seed of its clip, so that a resumed run sees the same clips as an uninterrupted one.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8

Clip = UInt8[np.ndarray, "t h w c"]
Augment = Callable[[Any, Sequence[int]], Any]


def shift(video: Clip, rng_seed: Sequence[int], max_pixels: int = 4) -> Clip:
    """Moves all frames alike by up to `max_pixels` either way; the border is repeated."""
    rng = np.random.default_rng(rng_seed)
    down, right = rng.integers(0, 2 * max_pixels + 1, 2)
    height, width = video.shape[1:3]
    margin = (max_pixels, max_pixels)
    framed = np.pad(video, ((0, 0), margin, margin, (0, 0)), mode="edge")
    return framed[:, down : down + height, right : right + width]


def brightness(video: Clip, rng_seed: Sequence[int], max_change: float = 0.2) -> Clip:
    """Multiplies a whole clip by one factor within 1 - `max_change` and 1 + `max_change`."""
    factor = np.random.default_rng(rng_seed).uniform(1 - max_change, 1 + max_change)
    scaled = np.rint(np.arange(256) * factor).clip(0, 255).astype(np.uint8)
    return scaled[video]


def phase(video: Clip, rng_seed: Sequence[int]) -> Clip:
    """Starts a clip at a random frame and goes round: for cyclic motions only."""
    start = np.random.default_rng(rng_seed).integers(len(video))
    return np.roll(video, -int(start), axis=0)


def flip(video: Clip, rng_seed: Sequence[int]) -> Clip:
    """Mirrors every second clip, left to right."""
    mirrored = np.random.default_rng((*rng_seed, 1)).random() < 0.5
    return video[:, :, ::-1] if mirrored else video


def excerpt(
    clip: Shaped[np.ndarray, "t h w c"], rng_seed: Sequence[int], frames: int
) -> Shaped[np.ndarray, "frames h w c"]:
    """Takes `frames` consecutive frames from a random place, in order."""
    start = np.random.default_rng(rng_seed).integers(len(clip) - frames + 1)
    return clip[start : start + frames]
