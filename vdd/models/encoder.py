"""The encoder: one transformer that reads a clip and splits it into content and motion."""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float

from vdd import errors
from vdd.models.content_map import ContentMap, ReferenceMap
from vdd.models.convolution import Conv3x3
from vdd.models.t5 import T5Encoder


class Features(NamedTuple):
    """What the encoder reads out of a clip, before any bottleneck."""

    content: Float[Array, "b k d"]
    motion: Float[Array, "b t d"]


class FrameStem(nn.Module):
    """Turn each frame of latents into one token: strided convolutions, then a dense layer.

    The last map is laid flat, so that the token knows where in the frame things are.
    """

    channels: tuple[int, ...]
    width: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, latents: Float[Array, "b t h w c"]) -> Float[Array, "b t d"]:
        """Embed the frames of latents [b t h w c] as tokens [b t d]."""
        x = rearrange(latents, "b t h w c -> (b t) h w c").astype(self.dtype)
        for i, channels in enumerate(self.channels):
            x = Conv3x3(channels, stride=2, dtype=self.dtype, name=f"conv_{i}")(x)
            x = nn.silu(x)
        x = rearrange(x, "(b t) h w c -> b t (h w c)", b=len(latents))
        return nn.Dense(self.width, dtype=self.dtype, name="token")(x)


class Encoder(nn.Module):
    """K learnable content queries stand before the T frame tokens of a T5 encoder.

    The K outputs at the queries are the content feature, the T outputs at the frames the motion
    feature (paper, section on the transformer encoder). Any number of frames works, since positions
    enter only through relative buckets. With a `content_map` (ours) that is the content feature,
    and the queries are places where the transformer may keep what concerns the whole clip.

    Raises SettingError for a size that cannot be.
    """

    stem: tuple[int, ...]
    width: int
    num_layers: int
    num_heads: int
    mlp_dim: int
    num_content_tokens: int
    content_map: ContentMap | ReferenceMap | None = None
    remat: bool = False  # compute layers anew in the backward pass
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        errors.some(self, "stem")
        errors.at_least(1, self, "*stem", "num_layers", "mlp_dim", "num_content_tokens")
        errors.divides("num_heads", "width", self)
        errors.switches(self, "remat")
        super().__post_init__()

    @nn.compact
    def __call__(self, latents: Float[Array, "b t h w c"]) -> Features:
        """Read latents [b t h w c] into content [b k width] and motion [b t width]."""
        frames = FrameStem(self.stem, self.width, self.dtype, name="stem")(latents)
        queries = self.param(
            "content_queries", nn.initializers.normal(1.0), (self.num_content_tokens, self.width)
        )
        queries = jnp.broadcast_to(
            queries[None].astype(frames.dtype), (frames.shape[0], *queries.shape)
        )
        tokens = T5Encoder(
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            head_dim=self.width // self.num_heads,
            mlp_dim=self.mlp_dim,
            remat=self.remat,
            dtype=self.dtype,
            name="t5",
        )(jnp.concatenate([queries, frames], axis=1))
        content, motion = jnp.split(tokens.astype(jnp.float32), [self.num_content_tokens], axis=1)
        if self.content_map is not None:
            content = self.content_map(latents)
        return Features(content, motion)

    @property
    def num_contents(self) -> int:
        """How many content tokens, or places of the map, a clip has."""
        return self.content_map.side**2 if self.content_map else self.num_content_tokens
