"""`vdd.models.encoder` once more in PyTorch: a stem of convolutions, and T5 with content queries.

Frames are [n c h w]. Parameters bear the names of the original's (`torch_parameters`).
"""

import math
from typing import Any

import torch  # pyright: ignore[reportMissingImports]  # the extra `bench` has it
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
from einops import rearrange
from torch import Tensor, nn  # pyright: ignore[reportMissingImports]


class RMSNorm(nn.Module):
    """RMS norm over the last axis."""

    def __init__(self, width: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [.. d]."""
        return F.rms_norm(x, self.scale.shape, self.scale, 1e-6)


class Attention(nn.Module):
    """Self-attention of T5."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Attend over tokens [b s d]; bias is [1 h s s]."""
        q, k, v = (
            rearrange(layer(x), "b s (h e) -> b h s e", h=self.heads)
            for layer in (self.q, self.k, self.v)
        )
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=1.0)
        return self.o(rearrange(y, "b h s e -> b s (h e)"))


class T5(nn.Module):
    """The encoder stack of `vdd.models.t5`."""

    def __init__(self, width: int, layers: int, heads: int, mlp: int):
        super().__init__()
        self.num_layers = layers
        self.relative_bias = nn.Parameter(torch.zeros(32, heads))
        for i in range(layers):
            self.add_module(f"attention_norm_{i}", RMSNorm(width))
            self.add_module(f"attention_{i}", Attention(width, heads))
            self.add_module(f"mlp_norm_{i}", RMSNorm(width))
            self.add_module(f"mlp_in_{i}", nn.Linear(width, mlp, bias=False))
            self.add_module(f"mlp_out_{i}", nn.Linear(mlp, width, bias=False))
        self.final_norm = RMSNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens [b s d]."""
        place = torch.arange(x.shape[1])
        bias = self.relative_bias[_bucket(place[None] - place[:, None])].permute(2, 0, 1)[None]
        for i in range(self.num_layers):
            part = {
                name: getattr(self, f"{name}_{i}")
                for name in ("attention_norm", "attention", "mlp_norm", "mlp_in", "mlp_out")
            }
            x = x + part["attention"](part["attention_norm"](x), bias)
            x = x + part["mlp_out"](F.relu(part["mlp_in"](part["mlp_norm"](x))))
        return self.final_norm(x)


def _bucket(offset: Tensor) -> Tensor:
    """T5's bucket of every offset: 32, up to a distance of 128."""
    distance = offset.abs()
    far = 8 + (torch.log(distance.clamp(min=1) / 8) / math.log(16) * 8).long()
    return torch.where(distance < 8, distance, far.clamp(max=15)) + 16 * (offset > 0)


class Stem(nn.Module):
    """A frame becomes a token."""

    def __init__(self, stem: tuple[int, ...], width: int, shape: tuple[int, int, int]):
        super().__init__()
        h, w, inputs = shape
        self.count = len(stem)
        for i, channels in enumerate(stem):
            self.add_module(f"conv_{i}", nn.Conv2d(inputs, channels, 3, stride=2))
            inputs = channels
        self.token = nn.Linear((h >> self.count) * (w >> self.count) * inputs, width)

    def forward(self, x: Tensor) -> Tensor:
        """Frames [n c h w] to tokens [n d]."""
        for i in range(self.count):  # sides are even: "SAME" pads behind alone
            x = F.silu(getattr(self, f"conv_{i}")(F.pad(x, (0, 1, 0, 1))))
        return self.token(rearrange(x, "n c h w -> n (h w c)"))


class Encoder(nn.Module):
    """Content queries before frame tokens in a T5 encoder; from `vdd.models.encoder.Encoder`."""

    def __init__(self, like: Any, shape: tuple[int, int, int]):
        super().__init__()
        self.stem = Stem(like.stem, like.width, shape)
        self.content_queries = nn.Parameter(torch.zeros(like.num_content_tokens, like.width))
        self.t5 = T5(like.width, like.num_layers, like.num_heads, like.mlp_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Clips [b t c h w] to content [b k d] and motion [b t d]."""
        frames = self.stem(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        queries = self.content_queries.expand(len(x), -1, -1)
        read = self.t5(torch.cat([queries, frames], 1))
        return read[:, : queries.shape[1]], read[:, queries.shape[1] :]
