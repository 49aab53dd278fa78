"""The tiny autoencoders TAESD, TAEF1, TAEF2, ... (madebyollin/taesd): 1.2 million weights a half.

Convolutions, ReLU and residual blocks; no norm but in the blocks of the smallest resolution of
TAEF2. Eight pixels are one place of the latents either way. Layers are numbered as in the
published sequences, whose activations and upsamplings have numbers too.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from vdd import errors
from vdd.models.convolution import Conv1x1, Conv3x3
from vdd.models.layers import check_size, double

_REACH = 3.0  # of what the decoder sees of latents: it is told no difference beyond
_POOL_GROUPS = 4
_HALVING = ((1, 1), (1, 1))  # padding as PyTorch has it: on both sides


class Block(nn.Module):
    """Three convolutions beside a skip; before them, if `pooled`, a branch with a group norm.

    The norm is over the whole frame, so that the branch tells each place of all others.
    """

    width: int
    pooled: bool
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Channels and places stay as many as they are."""
        if self.pooled:
            y = Conv1x1(4 * self.width, use_bias=False, dtype=self.dtype, name="pool_0")(x)
            norm = nn.GroupNorm(_POOL_GROUPS, epsilon=1e-5, dtype=self.dtype, name="pool_1")
            x = x + Conv1x1(self.width, use_bias=False, dtype=self.dtype, name="pool_3")(
                nn.relu(norm(y))
            )
        y = x
        for i in range(3):
            y = nn.relu(y) if i else y
            y = Conv3x3(self.width, dtype=self.dtype, name=f"conv_{2 * i}")(y)
        return nn.relu(x + y)


class TinyEncoder(nn.Module):
    """RGB in [0, 1] -> latents: three halvings, then three blocks each."""

    width: int
    latent_channels: int
    pooled: bool
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w 3"]) -> Float[Array, "b H W c"]:
        """Latents of images."""
        x = Conv3x3(self.width, dtype=self.dtype, name="layers_0")(x)
        x = Block(self.width, False, self.dtype, name="layers_1")(x)
        for start in (2, 6, 10):
            x = Conv3x3(
                self.width, stride=2, use_bias=False, padding=_HALVING, dtype=self.dtype,
                name=f"layers_{start}",
            )(x)  # fmt: skip
            for i in range(start + 1, start + 4):
                pooled = self.pooled and start == 10
                x = Block(self.width, pooled, self.dtype, name=f"layers_{i}")(x)
        return Conv3x3(self.latent_channels, dtype=self.dtype, name="layers_14")(x)


class TinyDecoder(nn.Module):
    """Latents -> RGB in [0, 1]: three times three blocks and a doubling."""

    width: int
    pooled: bool
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W 3"]:
        """Images of latents."""
        x = jnp.tanh(x.astype(self.dtype) / _REACH) * _REACH
        x = nn.relu(Conv3x3(self.width, dtype=self.dtype, name="layers_1")(x))
        for start in (3, 8, 13):
            for i in range(start, start + 3):
                pooled = self.pooled and start == 3
                x = Block(self.width, pooled, self.dtype, name=f"layers_{i}")(x)
            x = double(x)
            x = Conv3x3(
                self.width, use_bias=False, dtype=self.dtype, name=f"layers_{start + 4}"
            )(x)  # fmt: skip
        x = Block(self.width, False, self.dtype, name="layers_18")(x)
        return Conv3x3(3, dtype=self.dtype, name="layers_19")(x)


class TinyAutoencoder(nn.Module):
    """Images in [-1, 1] to latents and back. The defaults are TAEF2's.

    TAESD and TAESDXL have 4 latent channels, TAESD3 and TAEF1 16, and none of these is pooled.
    """

    latent_channels: int = 32
    width: int = 64
    pooled: bool = True  # the blocks at the smallest resolution
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        errors.at_least(1, self, "latent_channels", "width")
        errors.switches(self, "pooled")
        super().__post_init__()

    factor = 8  # pixels a side of each place of the latents

    def setup(self):
        """The two halves."""
        self.encoder = TinyEncoder(self.width, self.latent_channels, self.pooled, self.dtype)
        self.decoder = TinyDecoder(self.width, self.pooled, self.dtype)

    def encode(self, images: Float[Array, "b h w 3"]) -> Float[Array, "b H W c"]:
        """Latents as the encoder gives them: unbounded, the decoder's tanh is still to come."""
        check_size(images.shape, self.factor)
        return self.encoder((images + 1.0) / 2.0).astype(jnp.float32)

    def decode(self, latents: Float[Array, "b H W c"]) -> Float[Array, "b h w 3"]:
        """Images, not clipped: they overstep [-1, 1] a little."""
        return self.decoder(latents).astype(jnp.float32) * 2.0 - 1.0

    def __call__(self, images: Float[Array, "b h w 3"]) -> Float[Array, "b h w 3"]:
        """Images there and back."""
        return self.decode(self.encode(images))
