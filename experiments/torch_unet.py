"""`vdd.models.unet.UNet` once more in PyTorch, layer by layer, for scripts to time.

Same shapes, norms, attention and resampling; float32, as PyTorch users would write it. Parameters
bear the names of the original's, so that they can be copied (`torch_parameters`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]  # the extra `bench` has it
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
from einops import rearrange
from torch import nn  # pyright: ignore[reportMissingImports]


class Norm(nn.Module):
    """RMS norm over channels, NCHW."""

    def __init__(self, channels: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise [n c h w]."""
        x = x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-6)
        return x * self.scale[None, :, None, None]


class Block(nn.Module):
    """Residual block with FiLM."""

    def __init__(self, inputs: int, channels: int, embedding: int):
        super().__init__()
        self.norm_in, self.norm_out = Norm(inputs), Norm(channels)
        self.conv_in = nn.Conv2d(inputs, channels, 3, padding=1)
        self.conv_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.film = nn.Linear(embedding, 2 * channels)
        self.skip = nn.Conv2d(inputs, channels, 1) if inputs != channels else nn.Identity()

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        """Map [n c h w] under an embedding [n e]."""
        y = self.conv_in(F.silu(self.norm_in(x)))
        scale, shift = self.film(embedding)[:, :, None, None].chunk(2, dim=1)
        y = self.conv_out(F.silu(self.norm_out(y) * (1 + scale) + shift))
        return self.skip(x) + y


class ContentAttention(nn.Module):
    """Every place of a frame looks at the content tokens, which are `width` wide."""

    def __init__(self, channels: int, width: int, heads: int):
        super().__init__()
        self.heads, self.norm = heads, Norm(channels)
        self.q, self.out = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)
        self.k, self.v = nn.Linear(width, channels), nn.Linear(width, channels)

    def forward(self, x: torch.Tensor, content: torch.Tensor) -> torch.Tensor:
        """Map frames [n c h w]; content is [n k d]."""
        q = rearrange(self.q(self.norm(x)), "n (a c) h w -> n a (h w) c", a=self.heads)
        k, v = (
            rearrange(layer(content), "n k (a c) -> n a k c", a=self.heads)
            for layer in (self.k, self.v)
        )
        y = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(rearrange(y, "n a (h w) c -> n (a c) h w", h=x.shape[2]))


class UNet(nn.Module):
    """The denoiser's network of a config, without temporal attention.

    `shape` is h w c of the latents, `content_shape` k d of the tokens, `motion` how wide motion
    is; `outputs` numbers are given for each of the latents'.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        shape: tuple[int, int, int],
        content_shape: Sequence[int],
        motion: int,
        outputs: int = 1,
    ):
        super().__init__()
        channels, e, planes = settings["channels"], settings["embedding"], settings["content_map"]
        (h, w, c), (tokens, width) = shape, content_shape
        self.levels, self.num_blocks = range(len(channels)), settings["num_blocks"]
        self.noise, self.motion = nn.Linear(64, e), nn.Linear(motion, e)
        self.embed = nn.Linear(e, e)
        self.content_map = nn.Linear(tokens * width, h * w * planes)
        self.conv_in = nn.Conv2d(2 * c + planes, channels[0], 3, padding=1)
        for i, d in enumerate(channels):
            place = nn.Parameter(torch.zeros(d, h >> i, w >> i))
            self.register_parameter(f"positions_{i}", place)
            for j in range(self.num_blocks):
                for name, inputs in ((f"down_{i}_{j}", d), (f"up_{i}_{j}", 2 * d)):
                    self.add_module(name, Block(inputs, d, e))
                    if i in settings["attention_levels"]:
                        attention = ContentAttention(d, width, settings["num_heads"])
                        self.add_module(f"{name}_content", attention)
            if i:
                self.add_module(f"downsample_{i - 1}", nn.Conv2d(4 * channels[i - 1], d, 1))
                self.add_module(f"up_{i}", nn.Conv2d(d, 4 * channels[i - 1], 1))
        last = self.levels[-1]
        self.motion_map = nn.Linear(motion, (h >> last) * (w >> last) * channels[-1])
        self.norm_out = Norm(channels[0])
        self.conv_out = nn.Conv2d(channels[0], outputs * c, 3, padding=1)

    def forward(self, x, noise, content, motion, hint):
        """Network output for [n c h w] under noise features [n 64], content [n k d], motion."""
        embedding = F.silu(self.embed(F.silu(self.noise(noise) + self.motion(motion))))
        plane = _picture(self.content_map(content.flatten(1)), x)
        x = self.conv_in(torch.cat([x, hint, plane], 1))
        skips = []
        for i in self.levels:
            x = x + getattr(self, f"positions_{i}")
            if i == self.levels[-1]:
                x = x + _picture(self.motion_map(motion), x)
            for j in range(self.num_blocks):
                x = self._blocks(x, f"down_{i}_{j}", embedding, content)
                skips.append(x)
            if i < self.levels[-1]:
                x = rearrange(x, "n c (h i) (w j) -> n (i j c) h w", i=2, j=2)
                x = getattr(self, f"downsample_{i}")(x)
        for i in reversed(self.levels):
            for j in range(self.num_blocks):
                x = torch.cat([x, skips.pop()], 1)
                x = self._blocks(x, f"up_{i}_{j}", embedding, content)
            if i:
                x = getattr(self, f"up_{i}")(x)
                x = rearrange(x, "n (i j c) h w -> n c (h i) (w j)", i=2, j=2)
        return self.conv_out(F.silu(self.norm_out(x)))

    def _blocks(self, x, name, embedding, content):
        x = getattr(self, name)(x, embedding)
        attention = getattr(self, f"{name}_content", None)
        return x if attention is None else attention(x, content)


def _picture(flat: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Rows [n hwc] as pictures [n c h w] of the size of `like`."""
    return rearrange(flat, "n (h w c) -> n c h w", h=like.shape[2], w=like.shape[3])


def torch_denoiser_pass(
    settings: Mapping[str, Any], inputs: list[np.ndarray]
) -> Callable[[], None]:
    """A call that makes one pass forward over frames [n 1 h w c], as a sampler does."""
    latents, _, content, motion = inputs
    x = torch.from_numpy(latents[:, 0]).permute(0, 3, 1, 2).contiguous()
    content, motion = torch.from_numpy(content), torch.from_numpy(motion[:, 0])
    noise = torch.randn(len(x), 64)
    model: Any = UNet(settings, latents.shape[2:], content.shape[1:], motion.shape[1]).eval()

    def call() -> None:
        with torch.inference_mode():
            model(x, noise, content, motion, x)

    return call
