"""The denoising UNet: frames of noisy latents in, the network output of EDM out.

Motion enters through the noise-level embedding of its frame (paper), and as a picture at the
coarsest level: modulation alone is the same at all places, and cannot become a pose. Content enters
as a map beside the noisy input (paper: concatenation), by cross-attention to its tokens, or both.
Every level knows its places: where there is hardly anything to see, nothing else tells them. RMS
norms stand where most UNets have group norms: they cost a quarter less of the step and nothing in
quality here.
"""

from typing import TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange, repeat
from jaxtyping import Array, Float

from vdd import errors
from vdd.models.attention import ContentAttention, TemporalAttention
from vdd.models.convolution import Conv3x3
from vdd.models.layers import RMSNorm, flat_tokens, fourier_features

Module = TypeVar("Module", bound=nn.Module)


class ResidualBlock(nn.Module):
    """Norm, convolution, norm modulated by the embedding (FiLM), convolution; zero at the start."""

    channels: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], embedding: Float[Array, "n e"]
    ) -> Float[Array, "n h w d"]:
        """Map frames [n h w c] to [n h w channels] under an embedding [n e] of each frame."""
        y = nn.silu(RMSNorm(name="norm_in")(x))
        y = Conv3x3(self.channels, dtype=self.dtype, name="conv_in")(y)
        film = nn.Dense(2 * self.channels, dtype=self.dtype, name="film")(embedding)
        scale, shift = jnp.split(film[:, None, None, :], 2, axis=-1)
        y = nn.silu(RMSNorm(name="norm_out")(y) * (1.0 + scale) + shift)
        y = Conv3x3(
            self.channels, dtype=self.dtype, kernel_init=nn.initializers.zeros, name="conv_out"
        )(y)
        if x.shape[-1] != self.channels:
            x = nn.Dense(self.channels, dtype=self.dtype, name="skip")(x)
        return x + y


class UNet(nn.Module):
    """A UNet over frames, one resolution per entry of `channels`, each half of the one before.

    `attention_levels` are the levels at which the content tokens are attended to; `content_map`
    is the number of channels of the content map beside the input (0: none); `temporal` adds
    attention along time at every level below the first. `remat` computes the blocks anew in the
    backward pass instead of keeping what is inside them. `outputs` is how many numbers it gives for
    each of the input's (`vdd.diffusion.edm.Prediction`).

    Raises SettingError for a size that cannot be.
    """

    channels: tuple[int, ...]
    num_blocks: int
    embedding: int
    attention_levels: tuple[int, ...]
    num_heads: int
    content_map: int
    temporal: bool = False
    remat: bool = False
    outputs: int = 1
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        errors.some(self, "channels")
        errors.at_least(1, self, "*channels", "num_blocks", "embedding", "num_heads", "outputs")
        errors.at_least(0, self, "content_map")
        errors.between(0, len(self.channels) - 1, self, "*attention_levels")
        errors.switches(self, "temporal", "remat")
        attended = {
            *self.attention_levels,
            *(range(1, len(self.channels)) if self.temporal else ()),
        }
        widths = tuple(self.channels[level] for level in sorted(attended))
        errors.divides("num_heads", "*channels", {"num_heads": self.num_heads, "channels": widths})
        super().__post_init__()

    def check(self, h: int, w: int) -> None:
        """Raises a SettingError for latents that cannot be halved from level to level."""
        halvings = len(self.channels) - 1
        if h % 2**halvings or w % 2**halvings:
            raise errors.SettingError(
                f"channels={self.channels}: latents of {h}x{w} cannot be halved {halvings} times"
            )

    @nn.compact
    def __call__(
        self,
        noisy: Float[Array, "b t h w c"],
        noise: Float[Array, "b t"],
        content: Float[Array, "b k d"],
        motion: Float[Array, "b t m"],
        hint: Float[Array, "b t h w c"] | None = None,
    ) -> Float[Array, "b t h w d"]:
        """Network output for scaled noisy latents, under noise labels, content and motion.

        `hint` is a picture to see beside the noisy one (the mean of a read-out).
        """
        b, _, _, _, c = noisy.shape
        embedding = rearrange(self._embed(noise, motion), "b t e -> (b t) e")
        planes = [noisy] if hint is None else [noisy, hint]
        if self.content_map:
            planes.append(content_map(content, noisy, self.content_map, self.dtype))
        x = rearrange(jnp.concatenate(planes, axis=-1), "b t h w c -> (b t) h w c")

        def blocks(x: jax.Array, level: int, name: str) -> jax.Array:
            return self._blocks(x, embedding, content, level, name)

        x = Conv3x3(self.channels[0], dtype=self.dtype, name="conv_in")(x.astype(self.dtype))
        skips = []
        last = len(self.channels) - 1
        for level in range(last + 1):
            places = self.param(f"positions_{level}", nn.initializers.zeros, x.shape[1:])
            x = x + places[None].astype(self.dtype)
            if level == last:
                x = x + self._motion_picture(motion, x.shape[1:])
            for i in range(self.num_blocks):
                x = blocks(x, level, f"down_{level}_{i}")
                skips.append(x)
            if level < last:
                x = _downsample(self.channels[level + 1], self.dtype, f"downsample_{level}")(x)
        for level in reversed(range(last + 1)):
            for i in range(self.num_blocks):
                x = blocks(jnp.concatenate([x, skips.pop()], axis=-1), level, f"up_{level}_{i}")
            if level:
                x = nn.Dense(4 * self.channels[level - 1], dtype=self.dtype, name=f"up_{level}")(x)
                x = depth_to_space(x, 2)
        x = nn.silu(RMSNorm(name="norm_out")(x))
        zeros = nn.initializers.zeros
        out = Conv3x3(self.outputs * c, dtype=self.dtype, kernel_init=zeros, name="conv_out")
        return rearrange(out(x), "(b t) h w d -> b t h w d", b=b).astype(jnp.float32)

    def _blocks(
        self, x: jax.Array, embedding: jax.Array, content: jax.Array, level: int, name: str
    ) -> jax.Array:
        """A residual block of a level, and what attention that level has."""

        def part(module: type[Module]) -> type[Module]:
            return nn.remat(module) if self.remat else module

        x = part(ResidualBlock)(self.channels[level], self.dtype, name=name)(x, embedding)
        x = rearrange(x, "(b t) h w c -> b t h w c", b=len(content))
        if level in self.attention_levels:
            attention = part(ContentAttention)
            x = attention(self.num_heads, self.dtype, name=f"{name}_content")(x, content)
        if self.temporal and level:
            x = part(TemporalAttention)(self.num_heads, self.dtype, name=f"{name}_time")(x)
        return rearrange(x, "b t h w c -> (b t) h w c")

    def _motion_picture(
        self, motion: Float[Array, "b t m"], shape: tuple[int, ...]
    ) -> Float[Array, "bt h w c"]:
        """Motion as a picture of its own, for the coarsest level."""
        h, w, c = shape
        picture = nn.Dense(h * w * c, dtype=self.dtype, name="motion_map")(motion)
        return rearrange(picture, "b t (h w c) -> (b t) h w c", h=h, w=w)

    def _embed(
        self, noise: Float[Array, "b t"], motion: Float[Array, "b t m"]
    ) -> Float[Array, "b t e"]:
        e = self.embedding
        x = nn.Dense(e, dtype=self.dtype, name="noise")(fourier_features(noise, 64))
        x = x + nn.Dense(e, dtype=self.dtype, name="motion")(motion)
        return nn.silu(nn.Dense(e, dtype=self.dtype, name="embed")(nn.silu(x)))


def content_map(
    content: Float[Array, "b k d"], like: Float[Array, "b t h w c"], channels: int, dtype
) -> Float[Array, "b t h w e"]:
    """Content tokens as a picture beside every frame; called in a compact method."""
    _, t, h, w, _ = like.shape
    plane = nn.Dense(h * w * channels, dtype=dtype, name="content_map")(flat_tokens(content))
    return repeat(plane, "b (h w e) -> b t h w e", t=t, h=h, w=w)


def space_to_depth(x: Float[Array, "*b h w c"], size: int) -> Float[Array, "*b H W C"]:
    """Fold blocks of `size` x `size` places into channels: h w c -> h/size w/size c*size^2."""
    return rearrange(x, "... (h i) (w j) c -> ... h w (i j c)", i=size, j=size)


def depth_to_space(x: Float[Array, "*b h w c"], size: int) -> Float[Array, "*b H W C"]:
    """Undo `space_to_depth`."""
    return rearrange(x, "... h w (i j c) -> ... (h i) (w j) c", i=size, j=size)


def _downsample(channels: int, dtype, name: str):
    dense = nn.Dense(channels, dtype=dtype, name=name)
    return lambda x: dense(space_to_depth(x, 2))
