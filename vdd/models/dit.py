"""The denoising transformer (Peebles & Xie 2023), the paper's choice; called as the UNet is.

Motion enters as in the paper: it is added to the noise-level embedding of its frame, which sets the
shifts, scales and gates of all blocks (adaLN-zero). Content is concatenated with the noisy input
(paper), which for a transformer can be done along either axis of its input. As tokens beside those
of the frame (`content_tokens`) it is read by self-attention: every place of every block asks for
what it needs, and the K content tokens cost K / (K + places) of the work. As a map beside the
channels (`content_map`, as the UNet has it) content has to draw a picture of itself before it has
seen the frame, and that one dense layer is most of the parameters where frames are large. So tokens
are what large frames want; the map is at hand for small ones, and both may be on.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange, repeat
from jaxtyping import Array, Float

from vdd import errors
from vdd.models.attention import TemporalAttention
from vdd.models.layers import flat_tokens, fourier_features
from vdd.models.unet import depth_to_space, space_to_depth

_xavier = nn.initializers.xavier_uniform()
_zeros = nn.initializers.zeros


class DiTBlock(nn.Module):
    """Attention within each frame, then an MLP, both modulated and gated by the embedding.

    The gates start at zero (adaLN-zero), so that the block starts as the identity. With `temporal`,
    attention along time follows, apart for every token of the frame; it starts at zero as well.
    """

    num_heads: int
    mlp_ratio: int
    temporal: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b t n d"], embedding: Float[Array, "b t d"]
    ) -> Float[Array, "b t n d"]:
        """Map the tokens [n d] of frames under the embedding [d] of each."""
        width = x.shape[-1]
        film = _dense(6 * width, self.dtype, "modulation", _zeros)(embedding)
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = jnp.split(film[:, :, None], 6, axis=-1)
        y = _norm(x, self.dtype) * (1.0 + scale) + shift
        x = x + gate * self._attend(y)
        y = _norm(x, self.dtype) * (1.0 + mlp_scale) + mlp_shift
        y = nn.gelu(_dense(self.mlp_ratio * width, self.dtype, "mlp_in")(y), approximate=True)
        x = x + mlp_gate * _dense(width, self.dtype, "mlp_out")(y)
        if self.temporal:
            x = TemporalAttention(self.num_heads, self.dtype, name="time")(x[:, :, None])[:, :, 0]
        return x

    def _attend(self, x: Float[Array, "b t n d"]) -> Float[Array, "b t n d"]:
        b, _, _, width = x.shape
        qkv = _dense(3 * width, self.dtype, "qkv")(x)
        q, k, v = rearrange(qkv, "b t n (p h e) -> p (b t) n h e", p=3, h=self.num_heads)
        y = jax.nn.dot_product_attention(q, k, v)  # its softmax is in float32 whatever the dtype
        y = rearrange(y, "(b t) n h e -> b t n (h e)", b=b)
        return _dense(width, self.dtype, "attention_out")(y)


class DiT(nn.Module):
    """A transformer over the patches of each frame; called as `UNet` is.

    The blocks are one block scanned over stacked parameters [depth ...]: compiled once however
    deep, and where the parameters are split over devices, those of one block at a time are whole.
    `remat` computes each block anew in the backward pass instead of keeping what is inside it.

    Raises SettingError for a size that cannot be, or a width that heads or positions do not divide.
    """

    patch: int
    width: int
    depth: int
    num_heads: int
    mlp_ratio: int
    content_tokens: bool
    content_map: int  # channels of the content map beside the input; 0: none
    temporal: bool = False
    remat: bool = False
    outputs: int = 1  # numbers for each of the input's (vdd.diffusion.edm.Prediction)
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        errors.at_least(1, self, "patch", "depth", "mlp_ratio", "outputs")
        errors.at_least(0, self, "content_map")
        errors.divides("num_heads", "width", self)
        errors.switches(self, "content_tokens", "temporal", "remat")
        if self.width % 4:
            raise errors.SettingError(
                f"width={self.width}: it must be a multiple of 4, for sines and cosines of two axes"
            )
        super().__post_init__()

    def check(self, h: int, w: int) -> None:
        """Raises a SettingError for latents that cannot be cut in patches."""
        if h % self.patch or w % self.patch:
            raise errors.SettingError(
                f"patch={self.patch}: latents of {h}x{w} cannot be cut in patches of that"
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
        _, t, h, w, c = noisy.shape
        embedding = self._embed(noise, motion)
        planes = [noisy] if hint is None else [noisy, hint]
        if self.content_map:
            channels = self.content_map
            plane = _dense(h * w * channels, self.dtype, "content_map")(flat_tokens(content))
            planes.append(repeat(plane, "b (h w e) -> b t h w e", t=t, h=h, w=w))
        x = space_to_depth(jnp.concatenate(planes, axis=-1), self.patch)
        high, wide = x.shape[2:4]
        x = rearrange(_dense(self.width, self.dtype, "patches")(x), "b t h w d -> b t (h w) d")
        x = x + sine_cosine_positions(high, wide, self.width)[None, None].astype(self.dtype)
        if self.content_tokens:
            x = jnp.concatenate([self._tokens(content, t), x], axis=2)

        block = DiTBlock(self.num_heads, self.mlp_ratio, self.temporal, self.dtype, name="blocks")
        x = self._scanned(block, x, embedding)

        x = x[:, :, -high * wide :]
        film = _dense(2 * self.width, self.dtype, "modulation_out", _zeros)(embedding)
        shift, scale = jnp.split(film[:, :, None], 2, axis=-1)
        x = _norm(x, self.dtype) * (1.0 + scale) + shift
        x = _dense(self.patch**2 * self.outputs * c, self.dtype, "out", _zeros)(x)
        x = rearrange(x, "b t (h w) d -> b t h w d", h=high)
        return depth_to_space(x, self.patch).astype(jnp.float32)

    def _scanned(self, block: DiTBlock, x: jax.Array, embedding: jax.Array) -> jax.Array:
        """All blocks, one behind the other."""

        def turn(block: DiTBlock, x: jax.Array, embedding: jax.Array) -> tuple[jax.Array, None]:
            return block(x, embedding), None

        # A loop's turns are never merged, so the guard against that is not needed in it.
        turn = nn.remat(turn, prevent_cse=False) if self.remat else turn
        the_same: Any = nn.broadcast
        scan = nn.scan(
            turn,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=the_same,
            length=self.depth,
        )
        return scan(block, x, embedding)[0]

    def _tokens(self, content: Float[Array, "b k d"], frames: int) -> Float[Array, "b t k w"]:
        """Content tokens for every frame of their clip; which of the K each is, is learned."""
        b, k, _ = content.shape
        which = self.param("content_positions", nn.initializers.normal(0.02), (k, self.width))
        x = _dense(self.width, self.dtype, "content_tokens")(content) + which[None].astype(
            self.dtype
        )
        return jnp.broadcast_to(x[:, None], (b, frames, k, self.width))

    def _embed(
        self, noise: Float[Array, "b t"], motion: Float[Array, "b t m"]
    ) -> Float[Array, "b t e"]:
        """What modulates a frame; the SiLU that the published blocks begin with is taken here."""
        x = _dense(self.width, self.dtype, "noise")(fourier_features(noise, 256))
        x = x + _dense(self.width, self.dtype, "motion")(motion)
        return nn.silu(_dense(self.width, self.dtype, "embed")(nn.silu(x)))


def sine_cosine_positions(high: int, wide: int, width: int) -> Float[Array, "n d"]:
    """Fixed embeddings of the places of a grid, row by row (MAE, He et al. 2022, as in DiT).

    Half of the numbers tell the column, the other half the row; of each half, sines at width / 4
    geometric frequencies from 1 to nearly 1/10000, then the cosines.
    """
    frequencies = 10000.0 ** -jnp.linspace(0.0, 1.0, width // 4, endpoint=False)
    row, column = jnp.meshgrid(jnp.arange(high), jnp.arange(wide), indexing="ij")

    def encode(place: Array) -> Array:
        angles = place.reshape(-1, 1) * frequencies[None]
        return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)

    return jnp.concatenate([encode(column), encode(row)], axis=-1)


def _norm(x: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """Layer norm without parameters, in float32: the modulation does what they would."""
    x = x.astype(jnp.float32)
    x = x - jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
    return (x * jax.lax.rsqrt(variance + 1e-6)).astype(dtype)


def _dense(
    features: int, dtype: jnp.dtype, name: str, kernel_init: nn.initializers.Initializer = _xavier
) -> nn.Dense:
    return nn.Dense(features, kernel_init=kernel_init, dtype=dtype, name=name)
