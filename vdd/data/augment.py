"""Stateless augmentations. Each takes the seed of its clip, so that a resumed run sees the same
clips as an uninterrupted one.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8

Clip = UInt8[np.ndarray, "t h w c"]
Augment = Callable[[Any, Sequence[int]], Any]


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
