"""What clips stand on when they are measured: flat grey, whatever the model draws them over."""

import numpy as np
from einops import rearrange
from jaxtyping import Float32, UInt8

GREY = 96  # of 255
_OPAQUE = 128  # a pixel is of the figure from this alpha on


def on_grey(video: UInt8[np.ndarray, "*n h w c"]) -> UInt8[np.ndarray, "*n h w 3"]:
    """Lays frames of straight alpha (c = 4) over grey, to the nearest; three channels pass."""
    if video.shape[-1] == 3:
        return video
    colour, alpha = video[..., :3].astype(np.uint16), video[..., 3:].astype(np.uint16)
    return ((colour * alpha + GREY * (255 - alpha) + 127) // 255).astype(np.uint8)


def alpha_iou(truth: UInt8[np.ndarray, "t h w 4"], video: UInt8[np.ndarray, "t h w 4"]) -> float:
    """Intersection over union of the pixels of alpha 128 or more; 1 where neither clip has any."""
    real, made = truth[..., 3] >= _OPAQUE, video[..., 3] >= _OPAQUE
    union = np.count_nonzero(real | made)
    return np.count_nonzero(real & made) / union if union else 1.0


def flat_pixels(frames: UInt8[np.ndarray, "n h w 3"]) -> Float32[np.ndarray, "n x"]:
    """Frames as rows of numbers from 0 to 1."""
    return rearrange(frames, "n ... -> n (...)").astype(np.float32) / 255
