"""`vdd.models.denoiser` once more in PyTorch: a read-out by tiles, sight, and a gated UNet.

Frames are [n c h w]. Parameters bear the names of the original's (`torch_parameters`).
"""

import math
from typing import Any

import torch  # pyright: ignore[reportMissingImports]  # the extra `bench` has it
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
from einops import rearrange
from torch import Tensor, nn  # pyright: ignore[reportMissingImports]
from torch_encoder import RMSNorm
from torch_unet import UNet

from vdd.models.readout import TileReadout


class Readout(nn.Module):
    """`vdd.models.readout.TileReadout`; told what is seen if `sight` is not 0."""

    def __init__(self, like: TileReadout, content: int, motion: int, sight: int):
        super().__init__()
        width, (h, w, c) = like.width, like.shape
        self.num_layers, self.side = like.num_layers, like.tiles  # of layers; tiles along a side
        self.size = (h // like.tiles, w // like.tiles)  # of a tile
        self.motion = nn.Linear(motion, width // 4)
        if sight:
            self.seen = nn.Linear(sight, width // 4, bias=False)
        self.content = nn.Linear(content, width)
        for i in range(like.num_layers):
            self.add_module(f"film_{i}", nn.Linear(width // 4, 2 * width))
            self.add_module(f"norm_{i}", RMSNorm(width))
            if i + 1 < like.num_layers:
                self.add_module(f"dense_{i}", nn.Linear(width, width))
        tiles = like.tiles**2
        self.tiles = nn.Linear(width, tiles * like.tile_width)
        self.out_kernel = nn.Parameter(torch.zeros(tiles, like.tile_width, h * w * c // tiles))
        self.out_bias = nn.Parameter(torch.zeros(tiles, h * w * c // tiles))

    def forward(self, content: Tensor, motion: Tensor, seen: Tensor | None = None) -> Tensor:
        """Mean frames [b t c h w] of content [b k d] and motion [b t m]."""
        pose = self.motion(motion)
        pose = F.silu(pose if seen is None else pose + self.seen(seen))
        x = self.content(content.flatten(1))[:, None]
        for i in range(self.num_layers):
            scale, shift = getattr(self, f"film_{i}")(pose).chunk(2, -1)
            x = F.silu(getattr(self, f"norm_{i}")(x) * (1 + scale) + shift)
            if i + 1 < self.num_layers:
                x = getattr(self, f"dense_{i}")(x)
        x = F.silu(self.tiles(x)).unflatten(-1, (self.side**2, -1))
        x = torch.einsum("btnd,ndo->btno", x, self.out_kernel) + self.out_bias
        pattern = "b t (i j) (y x c) -> b t c (i y) (j x)"
        return rearrange(x, pattern, i=self.side, y=self.size[0], x=self.size[1])


class Sight(nn.Module):
    """`vdd.models.sight.Sight`, of two layers."""

    def __init__(self, width: int, numbers: int, known: int):
        super().__init__()
        self.known = nn.Linear(known, width)
        self.filters = nn.Linear(numbers, width, bias=False)
        self.film_0, self.film_1 = nn.Linear(width, 2 * width), nn.Linear(width, 2 * width)
        self.norm_0, self.norm_1 = RMSNorm(width), RMSNorm(width)
        self.dense_0, self.dense_1 = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, residual: Tensor, label: Tensor, content: Tensor, motion: Tensor) -> Tensor:
        """What is seen in frames [b t c h w] under labels [b t 64]."""
        who = content.flatten(1)[:, None].expand(-1, motion.shape[1], -1)
        known = F.silu(self.known(torch.cat([label, motion, who], -1)))
        x = self.filters(rearrange(residual, "b t c h w -> b t (h w c)"))
        for i in range(2):
            scale, shift = getattr(self, f"film_{i}")(known).chunk(2, -1)
            y = getattr(self, f"norm_{i}")(x) * (1 + scale) + shift
            x = x + getattr(self, f"dense_{i}")(F.silu(y))
        return F.silu(x)


class Denoiser(nn.Module):
    """`vdd.models.denoiser.Denoiser` with a read-out by tiles around a UNet, gated."""

    def __init__(self, like: Any, content: tuple[int, int], motion: int):
        super().__init__()
        shape, width = like.shape, like.sight.width if like.sight else 0
        self.sigma_data, self.horizon = like.sigma_data, like.horizon
        self.limit = like.sigma_data * math.sqrt(math.prod(shape))  # of what sight can tell
        known = 64 + motion + math.prod(content)
        self.readout = Readout(like.readout, math.prod(content), motion, width)
        self.sight = Sight(width, math.prod(shape), known) if width else None
        self.network = UNet(vars(like.network), shape, content, motion, outputs=2)

    def forward(self, noisy, sigma, content, motion, mean) -> Tensor:
        """Denoised [b t c h w] of noisy frames at levels [b t], around a mean."""
        data, wide = self.sigma_data, sigma[..., None, None, None]
        label, c_in = _fourier(torch.log(sigma.clamp(1e-5, 1e4)) / 4), (wide**2 + data**2).rsqrt()
        if self.sight is not None:
            seen = self.sight(c_in * (noisy - mean), label, content, motion)
            mean = self.readout(content, motion, _fade(sigma, self.limit)[..., None] * seen)
        residual, t = noisy - mean, noisy.shape[1]
        each = content.repeat_interleave(t, 0)
        label, motion, hint = (x.flatten(0, 1) for x in (label, motion, mean))
        output = self.network((c_in * residual).flatten(0, 1), label, each, motion, hint)
        output = _fade(wide, self.horizon) * output.unflatten(0, noisy.shape[:2])
        output, gate = output.chunk(2, 2)
        c_skip, c_out = data**2 / (wide**2 + data**2), data * (1 + (data / wide) ** 2).rsqrt()
        return mean + c_skip * (2 * gate.sigmoid() * residual) + c_out * output


def _fade(sigma: Tensor, horizon: float) -> Tensor:
    return (1 + (sigma / horizon) ** 2).rsqrt()


def _fourier(x: Tensor) -> Tensor:
    """64 sines and cosines of numbers [.. ], at frequencies from 1 to 16."""
    angles = x[..., None] * 2 ** torch.linspace(0, 4, 32)
    return torch.cat([angles.sin(), angles.cos()], -1)
