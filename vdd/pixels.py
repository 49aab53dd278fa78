"""Between pixels of eight bits and floats in [-1, 1], of JAX and of NumPy alike."""

from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, UInt8

Array = TypeVar("Array")  # of JAX or of NumPy; what comes back is of the same kind


def to_float(
    video: UInt8[Array, "*b h w c"] | Float[Array, "*b h w c"],
) -> Float[Array, "*b h w c"]:
    """Pixels as floats in [-1, 1]; floats are taken to be so already.

    Four channels are RGBA. As uint8 their alpha is straight, as in PNG; as floats colours are
    multiplied by it, so that what cannot be seen is of one value and all errors count as they show.
    """
    x: Any = video
    xp = x.__array_namespace__()
    if not np.issubdtype(x.dtype, np.integer):
        return x.astype(xp.float32)
    x = x.astype(xp.float32)
    if x.shape[-1] == 4:
        colour, alpha = x[..., :3], x[..., 3:]
        x = xp.concatenate([colour * (alpha / 255.0), alpha], axis=-1)
    return x / 127.5 - 1.0


def to_uint8(
    video: UInt8[Array, "*b h w c"] | Float[Array, "*b h w c"],
) -> UInt8[Array, "*b h w c"]:
    """Undoes `to_float`: video in [-1, 1] as pixels, rounded to the nearest value.

    What lies outside is clipped; uint8 is taken to be pixels already. Of four channels alpha is
    straight; what is fully transparent is 0, 0, 0, 0.
    """
    x: Any = video
    xp = x.__array_namespace__()
    if x.dtype == np.uint8:
        return x
    x = (x.astype(xp.float32) + 1.0) * 127.5
    if x.shape[-1] == 4:
        alpha = xp.clip(xp.round(x[..., 3:]), 0, 255)
        colour = xp.where(alpha > 0, x[..., :3] * (255.0 / xp.maximum(alpha, 1)), 0.0)
        x = xp.concatenate([colour, alpha], axis=-1)
    return xp.clip(xp.round(x), 0, 255).astype(xp.uint8)
