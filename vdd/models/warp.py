"""A read-out that moves a picture it is given: for looks that nobody can draw from memory. Ours.

Content is a map of features that lies where the looks lie in one frame of the clip, the reference,
and the motion of that frame. What a frame's motion differs by from the reference's says where each
place of it is to be found in the map. So a still comes out as it went in before anything has been
learned, and strangers stay themselves. The paper draws all it shows.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float

from vdd.models.convolution import Conv3x3
from vdd.models.modulated import ModulatedBlock
from vdd.models.sight import with_seen


class WarpReadout(nn.Module):
    """Warps a content map by a flow, and adds what the flow cannot bring.

    Content tokens are the places of a map as large as the latents, row by row, then one that begins
    with the motion of the reference frame (`vdd.method.content.ReferenceContent`). The first
    channels of the map are the latents themselves. The flow is a sum of `num_flows` fields that the
    content draws, each by a factor that the difference of motion gives; where motion is the
    reference's it is zero.

    Raises ValueError for latents that are not square, or nothing to draw with.
    """

    width: int  # of the features that are warped beside the map, and of the blocks
    num_flows: int
    num_blocks: int
    motion_channels: int  # of the picture of motion
    shape: tuple[int, int, int]  # h w c of the latents
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        if self.shape[0] != self.shape[1]:
            raise ValueError(f"a warp takes square latents, not {self.shape[0]}x{self.shape[1]}")
        if min(self.width, self.num_flows, self.motion_channels) < 1:
            raise ValueError("a warp has features, flows and a picture of motion")
        super().__post_init__()

    @property
    def num_contents(self) -> int:
        """Content tokens: the places of the map, and the reference's motion."""
        return self.shape[0] * self.shape[1] + 1

    @nn.compact
    def __call__(
        self,
        content: Float[Array, "b k d"],
        motion: Float[Array, "b t m"],
        seen: Float[Array, "b t e"] | None = None,
    ) -> Float[Array, "b t h w c"]:
        """The mean latents [b t h w c] of every frame, or what of them fits to what is `seen`."""
        side, _, channels = self.shape
        places = rearrange(content[:, :-1], "b (h w) d -> b h w d", h=side).astype(self.dtype)
        moved = with_seen(self._difference(motion, content[:, -1, : motion.shape[-1]]), seen)
        known = nn.silu(Conv3x3(self.width, dtype=self.dtype, name="known")(places))
        carried = jnp.concatenate([places, known], axis=-1)
        x = warp(carried, self._flow(known, moved))
        still, x = x[..., :channels], rearrange(x, "b t h w c -> (b t) h w c")
        picture = self._picture(rearrange(moved, "b t e -> (b t) e"))
        x = nn.Dense(self.width, dtype=self.dtype, name="features")(x)
        for i in range(self.num_blocks):
            x = ModulatedBlock(self.dtype, name=f"block_{i}")(x, picture)
        new = nn.Dense(channels, kernel_init=nn.initializers.zeros, dtype=self.dtype, name="new")
        added = rearrange(new(nn.silu(x)), "(b t) h w c -> b t h w c", b=len(content))
        return (still + added).astype(jnp.float32)

    def _difference(
        self, motion: Float[Array, "b t m"], reference: Float[Array, "b m"]
    ) -> Float[Array, "b t e"]:
        """What motion says beyond the reference's; zero where they are equal."""
        both = jnp.concatenate([motion, reference[:, None]], axis=1)
        said = nn.silu(nn.Dense(4 * self.motion_channels, dtype=self.dtype, name="motion")(both))
        said = nn.Dense(4 * self.motion_channels, dtype=self.dtype, name="said")(said)
        return said[:, :-1] - said[:, -1:]

    def _flow(
        self, known: Float[Array, "b h w f"], moved: Float[Array, "b t e"]
    ) -> Float[Array, "b t h w 2"]:
        """How far from itself each place is to be found in the map, in places."""
        small = nn.initializers.variance_scaling(0.01, "fan_in", "normal")
        fields = nn.Dense(2 * self.num_flows, kernel_init=small, dtype=self.dtype, name="flows")
        factors = nn.Dense(self.num_flows, use_bias=False, dtype=self.dtype, name="factors")(moved)
        fields = rearrange(fields(known), "b h w (n a) -> b n h w a", a=2)
        return jnp.einsum("btn,bnhwa->bthwa", factors, fields).astype(jnp.float32)

    def _picture(self, moved: Float[Array, "n e"]) -> Float[Array, "n h w e"]:
        """Motion as a picture."""
        side = self.shape[0]
        dense = nn.Dense(side**2 * self.motion_channels, dtype=self.dtype, name="picture")
        return rearrange(dense(moved), "n (h w e) -> n h w e", h=side, w=side)


def warp(
    source: Float[Array, "b h w c"], flow: Float[Array, "b t h w 2"]
) -> Float[Array, "b t h w c"]:
    """What `source` shows at each place plus its flow (rows, columns), between places bilinearly.

    What lies outside is as the nearest place at the edge. The weights of the four neighbours are
    the only ones in a row of a matrix over all places: a matrix product, whose gradients are matrix
    products too, is faster than to gather and to scatter where places are few.
    """
    h, w = source.shape[1:3]
    rows, columns = jnp.meshgrid(jnp.arange(h), jnp.arange(w), indexing="ij")
    row = jnp.clip(flow[..., 0] + rows[None, None], 0.0, h - 1.0)
    column = jnp.clip(flow[..., 1] + columns[None, None], 0.0, w - 1.0)
    share = _tents(row, h)[..., :, None] * _tents(column, w)[..., None, :]
    share = rearrange(share, "b t y x i j -> b (t y x) (i j)").astype(source.dtype)
    found = share @ rearrange(source, "b i j c -> b (i j) c")
    return rearrange(found, "b (t y x) c -> b t y x c", y=h, x=w)


def _tents(at: Float[Array, "*n"], count: int) -> Float[Array, "*n i"]:
    """Weight of each of `count` places for a place between them: 1 at its own, 0 from 1 away."""
    places = jnp.arange(count, dtype=jnp.float32).reshape((1,) * at.ndim + (count,))
    return jax.nn.relu(1.0 - jnp.abs(at[..., None] - places))
