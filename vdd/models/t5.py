"""The T5 encoder stack (Raffel et al. 2020): pre-RMSNorm, relative position buckets, no biases."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float, Int

from vdd.models.layers import RMSNorm


def relative_position_bucket(
    relative_position: Int[Array, "q k"], num_buckets: int = 32, max_distance: int = 128
) -> Int[Array, "q k"]:
    """Bucket of every offset (key position minus query position), for attention in both directions.

    Half of the buckets serve each sign. Of those, half hold one offset each, and the rest widen
    logarithmically up to `max_distance`; everything farther shares the last one.
    """
    half = num_buckets // 2
    exact = half // 2
    distance = jnp.abs(relative_position)
    ratio = jnp.log(jnp.maximum(distance, 1).astype(jnp.float32) / exact)
    ratio = ratio / math.log(max_distance / exact)
    far = exact + (ratio * (half - exact)).astype(jnp.int32)
    bucket = jnp.where(distance < exact, distance, jnp.minimum(far, half - 1))
    return bucket + jnp.where(relative_position > 0, half, 0)


class SelfAttention(nn.Module):
    """Multi-head self-attention of T5: logits are not divided by sqrt(head_dim), the init is."""

    num_heads: int
    head_dim: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "b s d"], bias: Float[Array, "h s s"]
    ) -> Float[Array, "b s d"]:
        """Attend over the `s` tokens of each example, with `bias` added to the logits [b h s s]."""
        inner = self.num_heads * self.head_dim
        width = x.shape[-1]

        def heads(name: str, std: float) -> jax.Array:
            y = _dense(inner, std, self.dtype, name)(x)
            return rearrange(y, "b s (h e) -> b s h e", h=self.num_heads)

        q = heads("q", (width * self.head_dim) ** -0.5)
        k = heads("k", width**-0.5)
        v = heads("v", width**-0.5)
        logits = jnp.einsum("bqhd,bkhd->bhqk", q, k).astype(jnp.float32) + bias[None]
        weights = jax.nn.softmax(logits, axis=-1).astype(self.dtype)
        y = rearrange(jnp.einsum("bhqk,bkhd->bqhd", weights, v), "b q h d -> b q (h d)")
        return _dense(width, inner**-0.5, self.dtype, "o")(y)


class T5Encoder(nn.Module):
    """A stack of T5 encoder layers over embedded tokens.

    The relative position bias is shared by all layers, as in the published network. `remat`
    computes each layer anew in the backward pass instead of keeping what is inside it.
    """

    num_layers: int
    num_heads: int
    head_dim: int
    mlp_dim: int
    num_buckets: int = 32
    max_distance: int = 128
    remat: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b s d"]) -> Float[Array, "b s d"]:
        """Map tokens [b s d] to features [b s d] of the same width; any number of tokens."""
        length, width = x.shape[1:]
        position = jnp.arange(length)
        buckets = relative_position_bucket(
            position[None, :] - position[:, None], self.num_buckets, self.max_distance
        )
        table = self.param(
            "relative_bias",
            nn.initializers.normal(width**-0.5),
            (self.num_buckets, self.num_heads),
        )
        bias = rearrange(table[buckets], "q k h -> h q k")
        layer = T5Encoder._layer
        if self.remat:
            layer = nn.remat(layer, static_argnums=(3,))
        for i in range(self.num_layers):
            x = layer(self, x, bias, i)
        return RMSNorm(name="final_norm")(x)

    def _layer(
        self, x: Float[Array, "b s d"], bias: Float[Array, "h s s"], i: int
    ) -> Float[Array, "b s d"]:
        """Layer number `i`: self-attention, then an MLP."""
        width = x.shape[-1]
        y = RMSNorm(name=f"attention_norm_{i}")(x)
        attention = SelfAttention(self.num_heads, self.head_dim, self.dtype, name=f"attention_{i}")
        x = x + attention(y, bias)
        y = RMSNorm(name=f"mlp_norm_{i}")(x)
        y = _dense(self.mlp_dim, width**-0.5, self.dtype, f"mlp_in_{i}")(y)
        y = _dense(width, self.mlp_dim**-0.5, self.dtype, f"mlp_out_{i}")(nn.relu(y))
        return x + y


def _dense(features: int, std: float, dtype: jnp.dtype, name: str) -> nn.Dense:
    return nn.Dense(
        features, use_bias=False, kernel_init=nn.initializers.normal(std), dtype=dtype, name=name
    )
