"""`vdd.method.objective` once more in PyTorch: the loss of a batch, with its parts."""

from typing import NamedTuple

import torch  # pyright: ignore[reportMissingImports]  # the extra `bench` has it
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
from einops import rearrange
from torch import Tensor  # pyright: ignore[reportMissingImports]
from torch_draws import Draws
from torch_model import BITS, Codes, Model

from vdd.method.objective import Objective
from vdd.method.rates import Rates


class Drive(NamedTuple):
    """What 2b segments are rebuilt with, and the commitment of motion that is read in swaps."""

    content: Tensor  # [2b k d]
    motion: Tensor  # [2b s m]
    reread_commitment: Tensor


def loss(
    model: Model, objective: Objective, rates: Rates, video: Tensor, draws: Draws, prices: Tensor
) -> tuple[Tensor, dict[str, Tensor], Codes]:
    """Total, its parts, and the codes, of a video uint8 [b t h w c]; prices of motion, content."""
    clips = model.to_latents(video)
    latents = clips[:, draws.segments.flatten()]
    latents = rearrange(latents, "b (k s) c h w -> (b k) s c h w", k=2)
    content, motion = model.encode(latents)
    tokens, bits = model.compress(content, draws.content)
    codes = model.quantize(motion)
    drive = driving(model, objective, tokens, codes, draws)
    parts, error = denoising(model, objective, latents, drive, draws)
    parts["codebook"] = (codes.codewords - codes.vectors.detach()).square().mean()
    parts["commitment"] = (codes.vectors - codes.codewords.detach()).square().mean()
    parts["reread_commitment"] = drive.reread_commitment
    parts["static_motion"] = static_motion(codes.vectors)
    parts["edges"] = edges(error.detach(), model.patch)  # no config of sprites weighs it
    parts["denoise"] = parts["denoise_infinite"] + parts["denoise_finite"]
    parts["content_bits_per_clip"], parts["bits_per_frame"] = bits.mean(), bits_per_frame(codes)
    excess = parts["bits_per_frame"] - float(rates.target_bits_per_frame)
    total = parts["denoise"] + rates.motion_weight * excess.square() + prices[0] * excess
    total = total + prices[1] * parts["content_bits_per_clip"]
    for name, weight in objective.weights.items():
        total = total + weight * parts[name]
    return total, {"loss": total, **parts}, codes


def driving(
    model: Model, objective: Objective, tokens: Tensor, codes: Codes, draws: Draws
) -> Drive:
    """`vdd.method.driving`: content of the other segment, some of it read again in a swap."""
    pairs = tokens.unflatten(0, (-1, 2)).flip(1)
    commitment = torch.zeros(())
    if objective.reread_clips:
        every, order = len(pairs) // objective.reread_clips, draws.segments.flatten().argsort()

        def whole(x: Tensor) -> Tensor:
            return x.unflatten(0, (-1, 2)).flatten(1, 2)[::every, order][draws.turned]

        with torch.no_grad():
            swap = model.denoiser.readout(pairs[::every, 0], whole(codes.quantized))
        content, motion = model.encode(swap)
        again, _ = model.compress(content, draws.reread)
        commitment = model.quantize(motion).vectors - whole(codes.codewords).detach()
        pairs = pairs.clone()
        pairs[::every, 0] = again
        commitment = commitment.square().mean()
    motion = torch.where(draws.kept, codes.quantized, codes.quantized.detach())
    return Drive(pairs.flatten(0, 1) * draws.kept, motion, commitment)


def denoising(
    model: Model, objective: Objective, latents: Tensor, drive: Drive, draws: Draws
) -> tuple[dict[str, Tensor], Tensor]:
    """Losses at infinite and finite noise, and the error of the mean frames [2b f c h w]."""
    target = take_frames(latents, draws.mean_frames)
    motion = take_frames(drive.motion, draws.mean_frames)
    mean = model.denoiser.readout(drive.content, motion)
    wrong = mean - target
    count = objective.noisy_segments
    step = len(latents) // count
    rows = torch.arange(count) * step + torch.arange(count) % step
    target, motion, mean = (
        take_frames(x, draws.noisy_frames)[rows] for x in (target, motion, mean.detach())
    )
    sigma, data = draws.sigma, model.denoiser.sigma_data
    noisy = target + sigma[..., None, None, None] * draws.noise
    denoised = model.denoiser(noisy, sigma, drive.content[rows], motion, mean)
    weight = 1 + (data / sigma).square().clamp(max=objective.highest_snr)
    error = (denoised - target).square().mean((2, 3, 4)) * weight
    parts = {"denoise_infinite": wrong.square().mean(), "denoise_finite": error.mean()}
    ranges = {"low": (0.0, 0.5), "middle": (0.5, 2.0), "high": (2.0, float("inf"))}
    for name, (low, high) in ranges.items():
        within = (sigma / data >= low) & (sigma / data < high)
        parts[f"denoise_{name}"] = (error.detach() * within).sum() / within.sum().clamp(min=1)
    return parts, wrong


def take_frames(x: Tensor, frames: Tensor) -> Tensor:
    """Frames [b f] of every clip [b t ..]."""
    return x[torch.arange(len(x))[:, None], frames]


def static_motion(vectors: Tensor) -> Tensor:
    """`vdd.method.losses.static_motion` of vectors [b t n g]."""
    means = vectors.mean(1)
    centre = means.mean(0)
    between = (means - centre).square().sum(2).mean(0)
    whole = (vectors - centre).square().sum(3).mean((0, 1))
    return (between / whole.clamp(min=1e-4)).mean()


def edges(error: Tensor, patch: int) -> Tensor:
    """`vdd.method.losses.edges` of errors [b f c h w]."""
    x = rearrange(error, "b f (i j c) h w -> b f c (h i) (w j)", i=patch, j=patch)
    across, down = x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]
    return across.square().mean() + down.square().mean()


def bits_per_frame(codes: Codes) -> Tensor:
    """`vdd.method.rates.bits_per_frame`: the value of the codes, the gradient of the soft ones."""
    soft, histogram = entropy(codes.assignment.mean((0, 1))).sum(), shares(codes)
    seen, frames = (histogram > 0).sum(-1), codes.codes.shape[0] * codes.codes.shape[1]
    unseen = (seen - 1).clamp(min=0) / (2 * frames) * BITS
    return soft + ((entropy(histogram) + unseen).sum() - soft).detach()


def shares(codes: Codes) -> Tensor:
    """How often each codeword was chosen [n k]."""
    return F.one_hot(codes.codes, codes.assignment.shape[-1]).float().mean((0, 1))


def entropy(share: Tensor) -> Tensor:
    """Bits of histograms [n k]."""
    return -(share * torch.log(share + 1e-12)).sum(-1) * BITS
