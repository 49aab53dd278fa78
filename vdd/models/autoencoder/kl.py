"""The KL autoencoder of Stable Diffusion (Rombach et al. 2022), diffusers' AutoencoderKL.

Residual blocks with group norms at each resolution, attention over all places at the smallest, and
a Gaussian posterior of the latents.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float, PRNGKeyArray

from vdd import errors
from vdd.models.convolution import Conv1x1, Conv3x3
from vdd.models.layers import check_size, double

_EPSILON = 1e-6
_LOG_VARIANCE = (-30.0, 20.0)


class Posterior(NamedTuple):
    """A Gaussian for every number of the latents."""

    mean: Float[Array, "b h w c"]
    log_variance: Float[Array, "b h w c"]

    def sample(self, rng: PRNGKeyArray) -> Float[Array, "b h w c"]:
        """A draw."""
        noise = jax.random.normal(rng, self.mean.shape)
        return self.mean + jnp.exp(0.5 * self.log_variance) * noise

    def nats(self) -> Float[Array, "b"]:
        """Kullback-Leibler divergence from the standard normal of each image, nats."""
        terms = jnp.square(self.mean) + jnp.exp(self.log_variance) - 1.0 - self.log_variance
        return 0.5 * jnp.sum(terms, axis=(1, 2, 3))


class ResnetBlock(nn.Module):
    """Norm, SiLU, convolution, twice, beside a skip."""

    channels: int
    groups: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w d"]:
        """Map c channels to `channels`."""
        y = x
        for i in (1, 2):
            norm = nn.GroupNorm(self.groups, epsilon=_EPSILON, dtype=self.dtype, name=f"norm{i}")
            y = Conv3x3(self.channels, dtype=self.dtype, name=f"conv{i}")(nn.silu(norm(y)))
        if x.shape[-1] != self.channels:
            x = Conv1x1(self.channels, dtype=self.dtype, name="conv_shortcut")(x)
        return x + y


class Attention(nn.Module):
    """One head over all places, beside a skip; the softmax in float32."""

    groups: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Each place looks at all others."""
        c = x.shape[-1]
        norm = nn.GroupNorm(self.groups, epsilon=_EPSILON, dtype=self.dtype, name="group_norm")
        y = rearrange(norm(x), "b h w c -> b (h w) c")
        q, k, v = (nn.Dense(c, dtype=self.dtype, name=f"to_{n}")(y)[:, :, None] for n in "qkv")
        y = jax.nn.dot_product_attention(q, k, v)[:, :, 0]
        y = nn.Dense(c, dtype=self.dtype, name="to_out_0")(y)
        return x + rearrange(y, "b (h w) c -> b h w c", h=x.shape[1])


class MidBlock(nn.Module):
    """The blocks at the smallest resolution: one, attention, another."""

    channels: int
    groups: int
    attention: bool
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Channels stay as many as they are."""
        x = ResnetBlock(self.channels, self.groups, self.dtype, name="resnets_0")(x)
        if self.attention:
            x = Attention(self.groups, self.dtype, name="attentions_0")(x)
        return ResnetBlock(self.channels, self.groups, self.dtype, name="resnets_1")(x)


class Scale(nn.Module):
    """The blocks of one resolution, then a convolution that halves or doubles, or neither."""

    channels: int
    num_blocks: int
    groups: int
    then: str  # "down", "up", or ""
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W d"]:
        """Map c channels to `channels`."""
        for i in range(self.num_blocks):
            x = ResnetBlock(self.channels, self.groups, self.dtype, name=f"resnets_{i}")(x)
        if self.then == "down":
            x = _Resampler(self.channels, stride=2, dtype=self.dtype, name="downsamplers_0")(x)
        if self.then == "up":
            x = _Resampler(self.channels, stride=1, dtype=self.dtype, name="upsamplers_0")(
                double(x)
            )
        return x


class _Resampler(nn.Module):
    channels: int
    stride: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        # Where it halves, 'SAME' pads on the far sides alone, as the published one does.
        return Conv3x3(self.channels, stride=self.stride, dtype=self.dtype, name="conv")(x)


class KLEncoder(nn.Module):
    """Images in [-1, 1] -> means and log variances, side by side."""

    channels: tuple[int, ...]
    num_blocks: int
    latent_channels: int
    groups: int
    attention: bool
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w 3"]) -> Float[Array, "b H W c2"]:
        """Moments of the latents."""
        x = Conv3x3(self.channels[0], dtype=self.dtype, name="conv_in")(x)
        last = len(self.channels) - 1
        for i, channels in enumerate(self.channels):
            x = Scale(
                channels, self.num_blocks, self.groups, "down" if i < last else "", self.dtype,
                name=f"down_blocks_{i}",
            )(x)  # fmt: skip
        x = MidBlock(self.channels[-1], self.groups, self.attention, self.dtype, name="mid_block")(
            x
        )
        x = nn.GroupNorm(self.groups, epsilon=_EPSILON, dtype=self.dtype, name="conv_norm_out")(x)
        return Conv3x3(2 * self.latent_channels, dtype=self.dtype, name="conv_out")(nn.silu(x))


class KLDecoder(nn.Module):
    """Latents -> images in [-1, 1]."""

    channels: tuple[int, ...]
    num_blocks: int
    groups: int
    attention: bool
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b H W 3"]:
        """Images of latents."""
        x = Conv3x3(self.channels[-1], dtype=self.dtype, name="conv_in")(x)
        x = MidBlock(self.channels[-1], self.groups, self.attention, self.dtype, name="mid_block")(
            x
        )
        last = len(self.channels) - 1
        for i, channels in enumerate(reversed(self.channels)):
            x = Scale(
                channels, self.num_blocks + 1, self.groups, "up" if i < last else "", self.dtype,
                name=f"up_blocks_{i}",
            )(x)  # fmt: skip
        x = nn.GroupNorm(self.groups, epsilon=_EPSILON, dtype=self.dtype, name="conv_norm_out")(x)
        return Conv3x3(3, dtype=self.dtype, name="conv_out")(nn.silu(x))


class KLAutoencoder(nn.Module):
    """Images in [-1, 1] to latents and back. The defaults are Stable Diffusion 1's.

    The latents are those of the network itself: a pipeline of Stable Diffusion multiplies them by
    a scaling factor (0.18215), which is not part of it.
    """

    channels: tuple[int, ...] = (128, 256, 512, 512)  # of each resolution, half the one before
    num_blocks: int = 2  # of each resolution of the encoder; the decoder has one more
    latent_channels: int = 4
    groups: int = 32  # of the group norms
    attention: bool = True  # at the smallest resolution
    quant_conv: bool = True  # a 1 x 1 convolution on either side of the latents
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        errors.some(self, "channels")
        errors.at_least(1, self, "num_blocks", "latent_channels")
        errors.divides("groups", "*channels", self)
        errors.switches(self, "attention", "quant_conv")
        super().__post_init__()

    @property
    def factor(self) -> int:
        """Pixels a side of each place of the latents."""
        return 2 ** (len(self.channels) - 1)

    def setup(self):
        """The two halves."""
        sizes = (self.groups, self.attention, self.dtype)
        self.encoder = KLEncoder(self.channels, self.num_blocks, self.latent_channels, *sizes)
        self.decoder = KLDecoder(self.channels, self.num_blocks, *sizes)
        if self.quant_conv:
            self.before = Conv1x1(2 * self.latent_channels, dtype=self.dtype, name="quant_conv")
            self.after = Conv1x1(self.latent_channels, dtype=self.dtype, name="post_quant_conv")

    def posterior(self, images: Float[Array, "b h w 3"]) -> Posterior:
        """The Gaussian that the latents are drawn from while the autoencoder is trained."""
        check_size(images.shape, self.factor)
        moments = self.encoder(images)
        moments = self.before(moments) if self.quant_conv else moments
        mean, log_variance = jnp.split(moments.astype(jnp.float32), 2, axis=-1)
        return Posterior(mean, jnp.clip(log_variance, *_LOG_VARIANCE))

    def encode(self, images: Float[Array, "b h w 3"]) -> Float[Array, "b H W c"]:
        """The posterior's mean: the latents, without noise."""
        return self.posterior(images).mean

    def decode(self, latents: Float[Array, "b H W c"]) -> Float[Array, "b h w 3"]:
        """Images, not clipped: they overstep [-1, 1] a little."""
        latents = self.after(latents) if self.quant_conv else latents
        return self.decoder(latents).astype(jnp.float32)

    def __call__(self, images: Float[Array, "b h w 3"]) -> Float[Array, "b h w 3"]:
        """Images there and back."""
        return self.decode(self.encode(images))
