"""`vdd.models.unet.UNet` once more in PyTorch, layer by layer, for `throughput.py` to time.

Same shapes, norms, attention and resampling; float32, eager, as PyTorch users would write it.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]  # the extra `bench` has it
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
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
    """Residual block with FiLM, and attention to the content tokens where `heads` is given."""

    def __init__(self, inputs: int, channels: int, embedding: int, tokens: int, heads: int):
        super().__init__()
        self.norm_in, self.norm_out = Norm(inputs), Norm(channels)
        self.conv_in = nn.Conv2d(inputs, channels, 3, padding=1)
        self.conv_out = nn.Conv2d(channels, channels, 3, padding=1)
        self.film = nn.Linear(embedding, 2 * channels)
        self.skip = nn.Conv2d(inputs, channels, 1) if inputs != channels else nn.Identity()
        self.heads = heads
        if heads:
            self.norm = Norm(channels)
            self.q, self.out = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)
            self.k, self.v = nn.Linear(tokens, channels), nn.Linear(tokens, channels)

    def forward(self, x, embedding, content):
        """Map [n c h w]; content is [n k d]."""
        y = self.conv_in(F.silu(self.norm_in(x)))
        scale, shift = self.film(embedding)[:, :, None, None].chunk(2, dim=1)
        y = self.conv_out(F.silu(self.norm_out(y) * (1 + scale) + shift))
        x = self.skip(x) + y
        if not self.heads:
            return x
        n, c, h, w = x.shape
        q = self.q(self.norm(x)).reshape(n, self.heads, c // self.heads, h * w).transpose(2, 3)
        k, v = (
            layer(content).reshape(n, -1, self.heads, c // self.heads).transpose(1, 2)
            for layer in (self.k, self.v)
        )
        y = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(n, c, h, w)
        return x + self.out(y)


class UNet(nn.Module):
    """The denoiser of the config, without temporal attention."""

    def __init__(
        self, settings: dict, shape: tuple[int, int, int], tokens: int, width: int, m: int
    ):
        super().__init__()
        channels, e = settings["channels"], settings["embedding"]
        h, w, c = shape
        self.map_shape = (settings["content_map"], h, w)
        self.noise, self.motion = nn.Linear(64, e), nn.Linear(m, e)
        self.embed = nn.Linear(e, e)
        self.content_map = nn.Linear(tokens * width, h * w * settings["content_map"])
        self.conv_in = nn.Conv2d(2 * c + settings["content_map"], channels[0], 3, padding=1)

        def block(inputs: int, level: int) -> Block:
            heads = settings["num_heads"] if level in settings["attention_levels"] else 0
            return Block(inputs, channels[level], e, width, heads)

        levels, n = range(len(channels)), settings["num_blocks"]
        self.down: Any = nn.ModuleList(
            nn.ModuleList(block(channels[i], i) for _ in range(n)) for i in levels
        )
        self.up: Any = nn.ModuleList(
            nn.ModuleList(block(2 * channels[i], i) for _ in range(n)) for i in levels
        )
        self.shrink = nn.ModuleList(
            nn.Conv2d(4 * channels[i], channels[i + 1], 1) for i in levels[:-1]
        )
        self.grow = nn.ModuleList(
            nn.Conv2d(channels[i + 1], 4 * channels[i], 1) for i in levels[:-1]
        )
        sizes = [(channels[i], h >> i, w >> i) for i in levels]
        self.positions = nn.ParameterList(nn.Parameter(torch.zeros(1, *size)) for size in sizes)
        self.motion_map = nn.Linear(m, math.prod(sizes[-1]))
        self.norm_out = Norm(channels[0])
        self.conv_out = nn.Conv2d(channels[0], c, 3, padding=1)

    def forward(self, x, noise, content, motion, hint):
        """Network output for [n c h w] under noise features [n 64], content [n k d], motion."""
        embedding = F.silu(self.embed(F.silu(self.noise(noise) + self.motion(motion))))
        plane = self.content_map(content.flatten(1)).reshape(-1, *self.map_shape)
        x = self.conv_in(torch.cat([x, hint, plane], 1))
        skips = []
        for i, blocks in enumerate(self.down):
            x = x + self.positions[i]
            if i + 1 == len(self.down):
                x = x + self.motion_map(motion).reshape(x.shape)
            for block in blocks:
                x = block(x, embedding, content)
                skips.append(x)
            if i < len(self.shrink):
                x = self.shrink[i](F.pixel_unshuffle(x, 2))
        for i in reversed(range(len(self.up))):
            for block in self.up[i]:
                x = block(torch.cat([x, skips.pop()], 1), embedding, content)
            if i:
                x = F.pixel_shuffle(self.grow[i - 1](x), 2)
        return self.conv_out(F.silu(self.norm_out(x)))


def torch_denoiser_pass(settings: dict, inputs: list[np.ndarray]) -> Callable[[], None]:
    """A call that makes one pass forward over frames [n 1 h w c], as a sampler does."""
    latents, _, content, motion = inputs
    x = torch.from_numpy(latents[:, 0]).permute(0, 3, 1, 2).contiguous()
    content, motion = torch.from_numpy(content), torch.from_numpy(motion[:, 0])
    noise = torch.randn(len(x), 64)
    sizes = (content.shape[1], content.shape[2], motion.shape[1])
    model: Any = UNet(settings, latents.shape[2:], *sizes).eval()

    def call() -> None:
        with torch.inference_mode():
            model(x, noise, content, motion, x)

    return call


def torch_denoiser_step(
    settings: dict, inputs: list[np.ndarray], layout: str
) -> Callable[[], None]:
    """A call that makes one optimiser step (clipping, Adam, EMA) on a squared loss."""
    latents, _, content, motion = inputs
    x = torch.from_numpy(latents[:, 0]).permute(0, 3, 1, 2).contiguous()
    content, motion = torch.from_numpy(content), torch.from_numpy(motion[:, 0])
    noise = torch.randn(len(x), 64)
    shape = latents.shape[2:]
    model: Any = UNet(settings, shape, content.shape[1], content.shape[2], motion.shape[1])
    if layout == "channels_last":
        x = x.contiguous(memory_format=torch.channels_last)
        model = model.to(memory_format=torch.channels_last)
    params: Any = list(model.parameters())
    average: Any = [p.detach().clone() for p in params]
    optimizer = torch.optim.Adam(params, 1e-3)

    def call() -> None:
        optimizer.zero_grad()
        loss = (model(x, noise, content, motion, x) - x).square().mean()
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, params, 0.01)

    return call


def torch_matmul(size: int) -> Callable[[], None]:
    """A call that multiplies two square matrices."""
    x = torch.ones(size, size)

    def call() -> None:
        torch.mm(x, x)

    return call
