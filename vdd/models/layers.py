"""Small layers that every network of the project shares."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float

from vdd.errors import UserError


class RMSNorm(nn.Module):
    """Root-mean-square norm over the last axis, computed in float32 (Zhang & Sennrich 2019).

    The T5 layer norm: no mean is taken away and no bias is added.
    """

    epsilon: float = 1e-6

    @nn.compact
    def __call__(self, x: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
        """Divide by the root mean square over `d` and multiply by a learned scale [d]."""
        y = rms_normalize(x.astype(jnp.float32), self.epsilon)
        scale = self.param("scale", nn.initializers.ones, x.shape[-1:])
        return (y * jnp.broadcast_to(scale, y.shape)).astype(x.dtype)


def rms_normalize(x: Float[Array, "*b d"], epsilon: float = 1e-6) -> Float[Array, "*b d"]:
    """Scale every vector [d] to root mean square 1 (norm sqrt(d))."""
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + epsilon)


def fourier_features(x: Float[Array, "*b"], dim: int, scale: float = 4.0) -> Float[Array, "*b d"]:
    """Sines and cosines of `x` [*b] at `dim // 2` geometric frequencies from 1 to 2**scale."""
    frequencies = 2.0 ** jnp.linspace(0.0, scale, dim // 2)
    angles = x.astype(jnp.float32)[..., None] * frequencies.reshape((1,) * x.ndim + (-1,))
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


def flat_tokens(tokens: Float[Array, "b k d"]) -> Float[Array, "b kd"]:
    """Lay the tokens of an example behind one another."""
    return rearrange(tokens, "b k d -> b (k d)")


def double(x: Float[Array, "b h w c"]) -> Float[Array, "b H W c"]:
    """Twice as high and as wide: each place becomes four."""
    return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


def check_size(shape: tuple[int, ...], factor: int) -> None:
    """Raise a UserError unless height and width of images [... h w c] are multiples of `factor`."""
    height, width = shape[-3:-1]
    if height % factor or width % factor:
        raise UserError(
            f"the autoencoder takes images whose sides are multiples of {factor} pixels,"
            f" not {width}x{height}"
        )
