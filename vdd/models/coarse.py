"""The coarse head: the mean frame given content and motion. Ours, not the paper's.

A diffusion network learns its conditioning slowly, because at most noise levels the noisy frame
tells it more than content and motion do. This head has nothing else to look at, so it makes the
bottlenecks carry what they should within minutes; the denoiser then models what a mean cannot say.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from vdd.models.layers import RMSNorm, flat_tokens


class CoarseHead(nn.Module):
    """An MLP over the content of a clip, each layer modulated by the motion of the frame (FiLM)."""

    width: int
    num_layers: int
    shape: tuple[int, int, int]  # h w c of the latents
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, content: Float[Array, "b k d"], motion: Float[Array, "b t m"]
    ) -> Float[Array, "b t h w c"]:
        """Predict the mean latents [b t h w c] of every frame."""
        b, t = motion.shape[:2]
        pose = nn.silu(nn.Dense(self.width // 4, name="motion")(motion.astype(self.dtype)))
        x = nn.Dense(self.width, dtype=self.dtype, name="content")(flat_tokens(content))
        x = jnp.broadcast_to(x[:, None], (b, t, self.width))
        for i in range(self.num_layers):
            film = nn.Dense(2 * self.width, dtype=self.dtype, name=f"film_{i}")(pose)
            scale, shift = jnp.split(film, 2, axis=-1)
            x = nn.silu(RMSNorm(name=f"norm_{i}")(x) * (1.0 + scale) + shift)
            if i + 1 < self.num_layers:
                x = nn.Dense(self.width, dtype=self.dtype, name=f"dense_{i}")(x)
        h, w, c = self.shape
        x = nn.Dense(h * w * c, dtype=self.dtype, name="out")(x)
        return x.reshape(b, t, h, w, c).astype(jnp.float32)
