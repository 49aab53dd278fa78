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

from vdd import errors
from vdd.models.convolution import Conv3x3
from vdd.models.modulated import ModulatedBlock
from vdd.models.sight import with_seen
from vdd.models.unet import depth_to_space, space_to_depth


class WarpReadout(nn.Module):
    """Warps a reference by a flow, and adds what the flow cannot bring.

    Content tokens are the places of a map as large as the latents, row by row, then one that begins
    with the motion of the reference frame (`vdd.method.content.ReferenceContent`). The first
    channels of the map are the latents themselves. The flow begins as a sum of `num_flows` fields
    that the content draws, each by a factor that the difference of motion gives; where motion is
    the reference's it is zero. Features of the content are warped by it. What they show mends the
    flow, weighs what the reference shows (from nothing to twice), and draws what is new. Where
    latents are folded pixels the pixels are warped, each by a flow of its own.

    Raises ValueError for latents that are not square, and SettingError for a size that cannot be.
    """

    width: int  # of the blocks
    num_flows: int
    num_blocks: int
    motion_channels: int  # of the picture of motion
    shape: tuple[int, int, int]  # h w c of the latents
    patch: int = 1  # pixels along a side of a place, where latents are folded pixels
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        if self.shape[0] != self.shape[1]:
            raise ValueError(f"a warp takes square latents, not {self.shape[0]}x{self.shape[1]}")
        errors.at_least(2, self, "width")  # features of the content are half of it
        errors.at_least(1, self, "num_flows", "num_blocks", "motion_channels", "patch")
        if self.shape[2] % self.patch**2:
            pixels = f"{self.patch}x{self.patch} pixels"
            raise errors.SettingError(
                f"patch={self.patch}: {self.shape[2]} channels are no {pixels}"
            )
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
        known = nn.silu(Conv3x3(self.width // 2, dtype=self.dtype, name="known")(places))
        flow = self._flow(known, moved)
        x = rearrange(warp(known, flow), "b t h w f -> (b t) h w f")
        picture = self._picture(rearrange(moved, "b t e -> (b t) e"))
        x = nn.Dense(self.width, dtype=self.dtype, name="features")(x)
        for i in range(self.num_blocks):
            x = ModulatedBlock(self.dtype, name=f"block_{i}")(x, picture)
        # Flows along a side of a place: each moves 2 x 2 pixels, where they fit.
        finer = 1 if self.patch % 2 else self.patch // 2
        parts = (channels, 2 * finer**2, self.patch**2)
        zeros = nn.initializers.zeros
        new = nn.Dense(sum(parts), kernel_init=zeros, dtype=self.dtype, name="new")(nn.silu(x))
        new = rearrange(new, "(b t) h w c -> b t h w c", b=len(content)).astype(jnp.float32)
        added, mended, hidden = jnp.split(new, [parts[0], parts[0] + parts[1]], axis=-1)
        flow = _enlarged(flow, finer) + depth_to_space(mended, finer)
        still = rearrange(content[:, :-1, :channels], "b (h w) c -> b h w c", h=side)
        kept = 1.0 - jnp.tanh(depth_to_space(hidden, self.patch))
        return space_to_depth(kept * self._warped(still, flow), self.patch) + added

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

    def _warped(
        self, latents: Float[Array, "b h w c"], flow: Float[Array, "b t i j 2"]
    ) -> Float[Array, "b t H W 3"]:
        """The pixels, each moved by a flow of its own: bilinear between those given, in places."""
        pixels = depth_to_space(latents.astype(jnp.float32), self.patch)
        return warp(pixels, _enlarged(self.patch * flow, pixels.shape[1] // flow.shape[2]))


def _enlarged(flow: Float[Array, "b t h w 2"], times: int) -> Float[Array, "b t H W 2"]:
    b, t, h, w, _ = flow.shape
    return jax.image.resize(flow, (b, t, h * times, w * times, 2), "linear")


def warp(
    source: Float[Array, "b h w c"], flow: Float[Array, "b t h w 2"]
) -> Float[Array, "b t h w c"]:
    """What `source` shows at each place plus its flow (rows, columns), between places bilinearly.

    What lies outside is as the nearest place at the edge.
    """
    h, w = source.shape[1:3]
    row, i = _between(flow[..., 0] + jnp.arange(h)[None, None, :, None], h)
    column, j = _between(flow[..., 1] + jnp.arange(w)[None, None, None], w)
    # All four neighbours lie side by side, so that one look-up finds them: on CPUs its gradient, a
    # scatter, takes most of the time of a warp, and the more the more often it is called.
    padded = jnp.pad(source, [(0, 0), (0, 1), (0, 1), (0, 0)], mode="edge")
    corners = [padded[:, y : y + h, x : x + w] for y in (0, 1) for x in (0, 1)]
    flat = rearrange(jnp.concatenate(corners, axis=-1), "b h w c -> b (h w) c")
    place = rearrange(i * w + j, "b t h w -> b (t h w) 1")
    found = jnp.take_along_axis(flat, place, axis=1).astype(jnp.float32)
    found = rearrange(found, "b (t h w) (y x c) -> y x b t h w c", h=h, w=w, y=2, x=2)
    (left, right), (lower_left, lower_right) = found
    above = left * (1 - column) + right * column
    beneath = lower_left * (1 - column) + lower_right * column
    return (above * (1 - row) + beneath * row).astype(source.dtype)


def _between(at: Float[Array, "b t h w"], count: int) -> tuple[Array, Array]:
    """How far [b t h w 1] a place lies from the one before it, and which that is."""
    at = jnp.clip(at, 0.0, count - 1.0)
    before = jnp.floor(at)
    return (at - before)[..., None], before.astype(jnp.int32)
