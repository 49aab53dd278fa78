"""Content that lies where the figure lies: a map of a clip, place by place. Ours, not the paper's.

The paper reads content as tokens, by queries before the frames of a transformer. Tokens name what
they have seen before. A map refers to what is in the frames, so that looks which no training clip
showed can be carried (Universal LPC).
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float

from vdd import errors
from vdd.models.convolution import Conv3x3


class ContentMap(nn.Module):
    """The frames of a clip as one map, averaged place by place with weights of their own.

    The frames are made smaller by strided convolutions, each half the one before, until `side`
    places are left along each side. Each place looks through the clip for the frames that show it
    best (a softmax over time).

    Raises SettingError where there is no place, or no convolution.
    """

    side: int
    channels: tuple[int, ...]  # of each convolution; the last one's are the features
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        errors.some(self, "channels")
        errors.at_least(1, self, "side", "*channels")
        super().__post_init__()

    def check(self, h: int, w: int, c: int) -> None:
        """Raises a ValueError for latents that cannot be read."""
        del c
        self.halvings(h, w)

    def halvings(self, h: int, w: int) -> int:
        """How often latents of h x w are halved; ValueError where that does not lead to `side`."""
        count = max(round(math.log2(h / self.side)), 0)
        if not h == w == self.side << count or count > len(self.channels):
            raise ValueError(
                f"latents of {h}x{w} cannot be halved to {self.side}x{self.side} by"
                f" {len(self.channels)} convolutions"
            )
        return count

    @nn.compact
    def __call__(self, latents: Float[Array, "b t h w c"]) -> Float[Array, "b k d"]:
        """Read latents into the places of the map, row by row: k is side^2."""
        halvings = self.halvings(*latents.shape[2:4])
        x = rearrange(latents, "b t h w c -> (b t) h w c").astype(self.dtype)
        for i, channels in enumerate(self.channels):
            stride = 2 if i < halvings else 1
            x = nn.silu(Conv3x3(channels, stride=stride, dtype=self.dtype, name=f"conv_{i}")(x))
        x = rearrange(x, "(b t) h w c -> b t (h w) c", b=len(latents))
        shown = nn.Dense(1, dtype=self.dtype, name="shown")(x).astype(jnp.float32)
        weight = jax.nn.softmax(shown, axis=1)
        return jnp.sum(weight * x.astype(jnp.float32), axis=1)


class ReferenceMap(nn.Module):
    """One frame of a clip as a map, as it is: looks are there before anything is learned.

    The first channels of each place are the latents of the reference frame there.
    """

    dim: int  # channels of a place; no fewer than the latents have
    side: int  # places along each side: those of the latents

    def check(self, h: int, w: int, c: int) -> None:
        """Raises a ValueError for latents that do not fit in."""
        if not h == w == self.side or c > self.dim:
            raise ValueError(
                f"latents of {h}x{w}x{c} do not fit into a reference of {self.side}x{self.side}"
                f" places of {self.dim} channels"
            )

    def __call__(self, latents: Float[Array, "b t h w c"]) -> Float[Array, "b k d"]:
        """The places of the map, row by row."""
        frame = latents[:, reference_frame(latents.shape[1])].astype(jnp.float32)
        copy = jnp.pad(frame, [(0, 0)] * 3 + [(0, self.dim - frame.shape[-1])])
        return rearrange(copy, "b h w d -> b (h w) d")


def reference_frame(num_frames: int) -> int:
    """Which frame of a clip its reference is: the one in the middle, which is nearest to all."""
    return num_frames // 2
