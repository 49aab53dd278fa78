"""Attention of the denoisers: from pixels to content tokens, and along time."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float

from vdd.models.layers import RMSNorm
from vdd.models.t5 import relative_position_bucket


class ContentAttention(nn.Module):
    """Cross-attention: every place of a frame looks at the content tokens of its clip.

    The output layer starts at zero, so that the block starts as the identity.
    """

    num_heads: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b t h w c"], content: Float[Array, "b k d"]
    ) -> Float[Array, "b t h w c"]:
        """Add to the frames [b t h w c] what their places read from the tokens [b k d]."""
        _, _, h, w, c = x.shape
        q = nn.Dense(c, dtype=self.dtype, name="q")(RMSNorm(name="norm")(x))
        k = nn.Dense(c, dtype=self.dtype, name="k")(content)
        v = nn.Dense(c, dtype=self.dtype, name="v")(content)

        def heads(y: jax.Array) -> jax.Array:
            return rearrange(y, "b n (h e) -> b n h e", h=self.num_heads)

        q = rearrange(q, "b t h w c -> b (t h w) c")
        y = jax.nn.dot_product_attention(heads(q), heads(k), heads(v))
        y = rearrange(y, "b (t h w) n e -> b t h w (n e)", h=h, w=w)
        out = nn.Dense(c, kernel_init=nn.initializers.zeros, dtype=self.dtype, name="out")
        return x + out(y)


class TemporalAttention(nn.Module):
    """Self-attention along time, apart for every place of the frame; any number of frames.

    Positions enter through relative buckets as in T5. The output layer starts at zero, so that
    the block can be added to a network that was trained frame by frame (the paper's second stage).
    """

    num_heads: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w c"]) -> Float[Array, "b t h w c"]:
        """Mix the frames [b t h w c] along t."""
        _, t, h, w, c = x.shape
        y = rearrange(RMSNorm(name="norm")(x), "b t h w c -> (b h w) t c")
        qkv = nn.Dense(3 * c, dtype=self.dtype, name="qkv")(y)
        q, k, v = rearrange(qkv, "b t (p n e) -> p b t n e", p=3, n=self.num_heads)
        table = self.param("relative_bias", nn.initializers.zeros, (32, self.num_heads))
        position = jnp.arange(t)
        bias = table[relative_position_bucket(position[None, :] - position[:, None])]
        bias = rearrange(bias, "q k n -> 1 n q k").astype(q.dtype)
        y = jax.nn.dot_product_attention(q, k, v, bias=bias)
        y = rearrange(y, "(b h w) t n e -> b h w t (n e)", h=h, w=w)
        out = nn.Dense(c, kernel_init=nn.initializers.zeros, dtype=self.dtype, name="out")
        return x + rearrange(out(y), "b h w t c -> b t h w c")
