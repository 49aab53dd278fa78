"""The read-out of the mean: a denoiser's answer where noise leaves nothing to see.

A diffusion network learns its conditioning slowly, because at most noise levels the noisy frame
tells it more than content and motion do. The read-out has nothing else to look at, so it makes the
bottlenecks carry what they should within minutes. On CPUs, matrices by tile are the cheapest way to
draw: a UNet needs twice the time for the same mean (experiments/notebook/readout.md).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange, repeat
from jaxtyping import Array, Float

from vdd import errors
from vdd.models.convolution import Conv3x3
from vdd.models.layers import RMSNorm, flat_tokens
from vdd.models.modulated import ModulatedBlock
from vdd.models.sight import with_seen
from vdd.models.warp import WarpReadout


class TileReadout(nn.Module):
    """An MLP over the content of a clip, each layer modulated by the motion of the frame (FiLM).

    The frame is cut into `tiles` x `tiles`, and each tile has features and an output matrix of its
    own. So a tile lies in a space of `tile_width` dimensions: they bound how well it can be drawn.

    Raises SettingError for a size that cannot be, or where the frame cannot be cut so.
    """

    width: int
    num_layers: int
    tiles: int  # along each side of the frame
    tile_width: int  # features of each tile
    shape: tuple[int, int, int]  # h w c of the latents
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        errors.at_least(4, self, "width")  # motion has a quarter of it
        errors.at_least(1, self, "num_layers", "tiles", "tile_width")
        h, w, _ = self.shape
        if h % self.tiles or w % self.tiles:
            cut = f"{self.tiles}x{self.tiles} tiles"
            raise errors.SettingError(
                f"tiles={self.tiles}: latents of {h}x{w} cannot be cut in {cut}"
            )
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        content: Float[Array, "b k d"],
        motion: Float[Array, "b t m"],
        seen: Float[Array, "b t e"] | None = None,
    ) -> Float[Array, "b t h w c"]:
        """The mean latents [b t h w c] of every frame, or what of them fits to what is `seen`."""
        b, t = motion.shape[:2]
        pose = nn.Dense(self.width // 4, dtype=self.dtype, name="motion")(motion)
        pose = nn.silu(with_seen(pose, seen))
        x = nn.Dense(self.width, dtype=self.dtype, name="content")(flat_tokens(content))
        x = jnp.broadcast_to(x[:, None], (b, t, self.width))
        for i in range(self.num_layers):
            film = nn.Dense(2 * self.width, dtype=self.dtype, name=f"film_{i}")(pose)
            scale, shift = jnp.split(film, 2, axis=-1)
            x = nn.silu(RMSNorm(name=f"norm_{i}")(x) * (1.0 + scale) + shift)
            if i + 1 < self.num_layers:
                x = nn.Dense(self.width, dtype=self.dtype, name=f"dense_{i}")(x)
        x = nn.Dense(self.tiles**2 * self.tile_width, dtype=self.dtype, name="tiles")(x)
        x = nn.silu(rearrange(x, "b t (n d) -> b t n d", d=self.tile_width))
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
        pattern = "b t (i j) (y x c) -> b t (i y) (j x) c"
        return rearrange(x, pattern, i=self.tiles, y=high, x=wide)


class ConvolutionalReadout(nn.Module):
    """Convolutions over a content map, modulated at every place by the motion of the frame.

    Content tokens are the places of a square map, row by row (`vdd.models.content_map`). Its
    resolution is doubled until it is that of the latents. At each resolution motion becomes a
    picture of its own, which says at every place how features are scaled and shifted.

    Raises SettingError for a size that cannot be, or where the latents are no square of a map's
    size times a power of two.
    """

    channels: tuple[int, ...]  # of each resolution, from the map's to the latents'
    num_blocks: int  # at each resolution
    motion_channels: int  # of the picture of motion
    shape: tuple[int, int, int]  # h w c of the latents
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        errors.some(self, "channels")
        errors.at_least(1, self, "*channels", "num_blocks", "motion_channels")
        h, w, _ = self.shape
        if h != w or self.side << (len(self.channels) - 1) != h:
            count = len(self.channels)
            raise errors.SettingError(
                f"channels={self.channels}: {count} resolutions do not make latents of {h}x{w}"
            )
        super().__post_init__()

    @property
    def side(self) -> int:
        """Places along each side of the content map."""
        return self.shape[0] >> (len(self.channels) - 1)

    @property
    def num_contents(self) -> int:
        """Content tokens: the places of the map."""
        return self.side**2

    @nn.compact
    def __call__(
        self,
        content: Float[Array, "b k d"],
        motion: Float[Array, "b t m"],
        seen: Float[Array, "b t e"] | None = None,
    ) -> Float[Array, "b t h w c"]:
        """The mean latents [b t h w c] of every frame, or what of them fits to what is `seen`."""
        places = rearrange(content, "b (h w) d -> b h w d", h=self.side).astype(self.dtype)
        x = Conv3x3(self.channels[0], dtype=self.dtype, name="content")(places)
        x = repeat(x, "b h w d -> (b t) h w d", t=motion.shape[1])
        pose = nn.Dense(4 * self.motion_channels, dtype=self.dtype, name="motion")(motion)
        pose = rearrange(nn.silu(with_seen(pose, seen)), "b t m -> (b t) m")
        for level, channels in enumerate(self.channels):
            if level:
                x = nn.Dense(4 * channels, dtype=self.dtype, name=f"up_{level}")(x)
                x = rearrange(x, "n h w (i j c) -> n (h i) (w j) c", i=2, j=2)
            picture = self._picture(pose, x.shape[1], level)
            for i in range(self.num_blocks):
                x = ModulatedBlock(self.dtype, name=f"block_{level}_{i}")(x, picture)
        x = nn.silu(RMSNorm(name="norm_out")(x))
        x = nn.Dense(self.shape[2], dtype=self.dtype, name="out")(x)
        return rearrange(x, "(b t) h w c -> b t h w c", b=len(content)).astype(jnp.float32)

    def _picture(self, pose: jax.Array, side: int, level: int) -> jax.Array:
        """Motion as a picture [n h w e]."""
        dense = nn.Dense(side**2 * self.motion_channels, dtype=self.dtype, name=f"picture_{level}")
        return rearrange(dense(pose), "n (h w e) -> n h w e", h=side, w=side)


READOUTS = {"tiles": TileReadout, "convolutions": ConvolutionalReadout, "warp": WarpReadout}
