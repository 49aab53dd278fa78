"""`vdd.method.disentangler` once more in PyTorch: the parts that the configs of sprites use.

Encoder with content queries, Gaussian content, straight-through codebook, and a denoiser with a
read-out by tiles. `torch_parameters` copies parameters into it, and `torch_step` trains it.
"""

import math
from typing import NamedTuple

import torch  # pyright: ignore[reportMissingImports]  # the extra `bench` has it
from einops import rearrange
from torch import Tensor, nn  # pyright: ignore[reportMissingImports]
from torch_denoiser import Denoiser
from torch_encoder import Encoder

from vdd.method.content import GaussianContent
from vdd.method.disentangler import Disentangler
from vdd.method.quantizer import Codebook, StraightThroughQuantizer
from vdd.models.latents import PixelLatents
from vdd.models.readout import TileReadout
from vdd.models.unet import UNet

BITS = 1.0 / math.log(2.0)


class Codes(NamedTuple):
    """As `vdd.method.quantizer.Codes`."""

    codes: Tensor  # [b t n]
    quantized: Tensor  # [b t ng]
    assignment: Tensor  # [b t n k]
    vectors: Tensor  # [b t n g]
    codewords: Tensor  # [b t n g]


def rms_normalize(x: Tensor) -> Tensor:
    """Vectors [.. d] of root mean square 1."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


class Model(nn.Module):
    """The whole of it, as large as `like`.

    Raises ValueError for a model with parts that are not written here.
    """

    def __init__(self, like: Disentangler):
        super().__init__()
        book = like.quantizer.codebook
        _check(like)
        self.patch, self.alpha = like.latents.patch, like.quantizer.alpha
        width = book.num_groups * book.code_dim
        self.encoder = Encoder(like.encoder, like.latents.shape)
        self.motion_head = nn.Linear(like.encoder.width, width, bias=False)
        self.posterior = nn.Linear(like.encoder.width, 2 * like.content.dim)
        self.codewords = nn.Parameter(torch.zeros(book.num_groups, book.num_codes, book.code_dim))
        self.denoiser = Denoiser(like.denoiser, like.content_shape, width)
        self.mean = nn.Buffer(torch.zeros(like.latents.size))
        self.std = nn.Buffer(torch.ones(()))

    def to_latents(self, video: Tensor) -> Tensor:
        """Latents [b t c h w] of a video uint8 [b t h w c]."""
        x = (video.float() / 127.5 - 1 - self.mean) * (0.5 / self.std)
        p = self.patch
        return rearrange(x, "b t (h i) (w j) c -> b t (i j c) h w", i=p, j=p)

    def encode(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Content [b k w] and motion [b t m] before their bottlenecks."""
        content, motion = self.encoder(latents)
        return content, self.motion_head(motion)

    def compress(self, content: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [b k d] and bits [b] of content; `noise` is standard normal."""
        mean, log_std = self.posterior(content).chunk(2, -1)
        log_std = (log_std - 2).clamp(-8, 2)
        nats = 0.5 * (mean.square() + torch.exp(2 * log_std) - 1) - log_std
        return mean + log_std.exp() * noise, nats.sum((1, 2)) * BITS

    def quantize(self, motion: Tensor) -> Codes:
        """Codes of motion [b t m]."""
        book = rms_normalize(self.codewords)
        vectors = rms_normalize(motion.unflatten(-1, (len(book), -1)))
        squared = vectors.square().sum(-1, keepdim=True) + book.square().sum(-1)
        squared = squared - 2 * torch.einsum("btng,nkg->btnk", vectors, book)
        distances = squared.clamp(min=1e-6).sqrt()
        codes = distances.argmin(-1)
        words = book[torch.arange(len(book)), codes]
        through = (vectors + (words - vectors).detach()).flatten(2)
        soft = torch.softmax(-self.alpha * distances, -1)
        return Codes(codes, through, soft, vectors, words)


def _check(like: Disentangler) -> None:
    parts = (like.latents, like.content, like.quantizer, like.quantizer.codebook)
    parts = (*parts, like.denoiser.readout, like.denoiser.network)
    known = (PixelLatents, GaussianContent, StraightThroughQuantizer, Codebook, TileReadout, UNet)
    mismatch = not all(isinstance(*pair) for pair in zip(parts, known, strict=True))
    if mismatch or like.encoder.content_map or like.denoiser.prediction != "gated":
        raise ValueError("in PyTorch there are pixels, tokens, a codebook, tiles, a gated UNet")
    if like.relative_motion or like.denoiser.network.temporal:
        raise ValueError("in PyTorch there is no relative motion, no attention along time")
