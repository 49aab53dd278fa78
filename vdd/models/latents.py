"""Between pixels and the latents that the model works on."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from vdd.models.unet import depth_to_space, space_to_depth


def to_float(
    video: UInt8[Array, "*b h w c"] | Float[Array, "*b h w c"],
) -> Float[Array, "*b h w c"]:
    """Pixels as floats in [-1, 1]; floats are taken to be so already."""
    if jnp.issubdtype(video.dtype, jnp.integer):
        return video.astype(jnp.float32) / 127.5 - 1.0
    return video.astype(jnp.float32)


class PixelLatents(nn.Module):
    """Pixels folded into channels, less the mean frame of the data, at standard deviation 0.5.

    The mean frame and the scale are measured once, by `measure`, and never trained.
    """

    patch: int
    size: tuple[int, int, int]  # h w c of the video

    def setup(self):
        """The measured mean frame [h w c] and standard deviation."""
        self.mean = self.param("mean", nn.initializers.zeros, self.size)
        self.std = self.param("std", nn.initializers.ones, ())

    @property
    def shape(self) -> tuple[int, int, int]:
        """Latent shape (h, w, c)."""
        h, w, c = self.size
        return h // self.patch, w // self.patch, c * self.patch**2

    def encode(self, video: Float[Array, "b t h w c"]) -> Float[Array, "b t H W C"]:
        """Latents of a video in [-1, 1]."""
        mean, std = jax.lax.stop_gradient((self.mean, self.std))
        return space_to_depth((video - mean[None, None]) * (0.5 / std), self.patch)

    def decode(self, latents: Float[Array, "b t H W C"]) -> Float[Array, "b t h w c"]:
        """Undo `encode`, clipped to [-1, 1]."""
        mean, std = jax.lax.stop_gradient((self.mean, self.std))
        video = depth_to_space(latents, self.patch) * (std / 0.5) + mean[None, None]
        return jnp.clip(video, -1.0, 1.0)

    @staticmethod
    def measure(video: UInt8[Array, "b t h w c"]) -> dict[str, jax.Array]:
        """The parameters of this module from a sample of the data: mean frame and deviation."""
        x = to_float(video)
        mean = jnp.mean(x, axis=(0, 1))
        return {"mean": mean, "std": jnp.sqrt(jnp.mean(jnp.square(x - mean[None, None])))}
