"""A residual block that a picture modulates, place by place."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from vdd.models.convolution import Conv3x3
from vdd.models.layers import RMSNorm


class ModulatedBlock(nn.Module):
    """x + convolution of x, scaled and shifted at each place by what the picture says (FiLM)."""

    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], picture: Float[Array, "n h w e"]
    ) -> Float[Array, "n h w c"]:
        """As many channels as `x` has."""
        channels = x.shape[-1]
        film = nn.Dense(2 * channels, dtype=self.dtype, name="film")(picture)
        scale, shift = jnp.split(film, 2, axis=-1)
        y = nn.silu(RMSNorm(name="norm")(x) * (1.0 + scale) + shift)
        return x + Conv3x3(channels, dtype=self.dtype, name="conv")(y)
