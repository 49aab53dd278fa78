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
    """An MLP over the content of a clip, each layer modulated by the motion of the frame (FiLM).

    The frame is cut into `tiles` x `tiles`, and each tile has features and an output matrix of its
    own. One output matrix for the whole frame would be most of the model, and its frames would lie
    in a space of no more than `width` dimensions.

    Raises ValueError where the frame cannot be cut so.
    """

    width: int
    num_layers: int
    tiles: int  # along each side of the frame
    tile_width: int  # features of each tile
    shape: tuple[int, int, int]  # h w c of the latents
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        h, w, _ = self.shape
        if self.tiles < 1 or h % self.tiles or w % self.tiles:
            raise ValueError(f"latents of {h}x{w} cannot be cut in {self.tiles}x{self.tiles} tiles")
        super().__post_init__()

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
        x = nn.Dense(self.tiles**2 * self.tile_width, dtype=self.dtype, name="tiles")(x)
        x = nn.silu(x.reshape(b, t, self.tiles**2, self.tile_width))
        return self._draw(x).astype(jnp.float32)

    def _draw(self, features: Float[Array, "b t n d"]) -> Float[Array, "b t h w c"]:
        """Frames from the features of their tiles, row by row."""
        h, w, c = self.shape
        high, wide = h // self.tiles, w // self.tiles
        kernel = self.param(
            "out_kernel",
            nn.initializers.lecun_normal(batch_axis=(0,)),
            (self.tiles**2, self.tile_width, high * wide * c),
        )
        bias = self.param("out_bias", nn.initializers.zeros, (self.tiles**2, high * wide * c))
        x = jnp.einsum("btnd,ndo->btno", features, kernel.astype(self.dtype)) + bias[None, None]
        x = x.reshape(*x.shape[:2], self.tiles, self.tiles, high, wide, c)
        return x.swapaxes(3, 4).reshape(*x.shape[:2], h, w, c)
