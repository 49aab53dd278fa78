"""What training minimises, term by term.

Every term is a mean over the clips of the batch. The total is

    denoising + codebook and commitment + the same commitment of swaps
    + static share of motion + price of motion bits + price of content bits

where the prices come from `vdd.method.rates.Multipliers`. The denoising loss runs over noise
levels: the sum of its mean at infinite noise, over many frames, and at finite noise, over few. At
infinite noise the denoiser answers with the mean frame, which is cheap, and which teaches the
bottlenecks what they have to say.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float, PRNGKeyArray

from vdd.diffusion import edm
from vdd.errors import UserError
from vdd.method import rates as bitrate
from vdd.method.cross_driving import SPLITTERS
from vdd.method.disentangler import Disentangler
from vdd.method.driving import driving
from vdd.method.quantizer import Codes, codebook_loss, commitment_loss, static_share

Moving = float | Float[Array, ""]  # may change over the training (vdd.method.step)
Apply = Callable[..., Any]  # (method of Disentangler, *arguments) -> its result


@dataclass(frozen=True)
class Objective:
    """Weights and sizes of the loss; the keys of `config.objective`."""

    split: str  # a function of vdd.method.cross_driving
    mean_frames: int  # frames of every segment that are rebuilt at infinite noise
    noisy_segments: int  # segments of a step that are rebuilt at finite noise too
    noisy_frames: int  # frames of each of these, out of `mean_frames`
    sigma_mean: float  # finite levels: ln sigma ~ N(sigma_mean, sigma_std^2)
    sigma_std: float
    highest_snr: float  # in the loss weight (vdd.diffusion.edm.loss_weight)
    codebook_weight: float
    commitment_weight: float
    null_content: float  # share of segments whose content is withheld
    reread_clips: int  # clips of a step of which the content of one segment is read from a swap
    reread_commitment_weight: float  # the swap's motion, to the codewords that it was drawn from
    target_bits_per_frame: float
    target_bits_per_clip: float
    rate_weight: float  # the paper's 0.04
    static_weight: float = 0.0  # price of the share of motion that stays the same in a segment
    reread_chance: Moving = 1.0  # chance that each of `reread_clips` really is (vdd.method.step)

    def __post_init__(self):
        if self.split not in SPLITTERS:
            raise ValueError(f"unknown split {self.split!r}; there are: {', '.join(SPLITTERS)}")
        if not 1 <= self.noisy_frames <= self.mean_frames:
            raise ValueError(
                f"objective.noisy_frames={self.noisy_frames} are taken out of mean_frames="
                f"{self.mean_frames}: from 1 up to that"
            )

    def for_batches(self, batch_size: int, accumulate: int = 1) -> "Objective":
        """The objective of one of `accumulate` equal slices of a step's batch of clips.

        Clips and segments that are treated apart lie evenly over the batch, as the rows of one
        process lie side by side. So their number has to divide it.

        Raises:
            UserError: it does not.
        """
        counts = {}
        for name, least, whole in (
            ("noisy_segments", 1, 2 * batch_size),
            ("reread_clips", 0, batch_size),
        ):
            count = getattr(self, name)
            alone = name == "reread_clips" and count == accumulate
            if alone:
                raise UserError(f"objective.{name}={count}: a swap takes two clips, of each slice")
            if count < least or count % accumulate or (count and whole % count):
                of = f"the {whole} {name.split('_')[1]} of a step"
                raise UserError(
                    f"objective.{name}={count} does not divide {of}"
                    + (f" in {accumulate} slices" if accumulate > 1 else "")
                )
            counts[name] = count // accumulate
        return replace(self, **counts)


class Terms(NamedTuple):
    """The loss, its parts, and what the training state learns from the batch."""

    total: Float[Array, ""]
    metrics: dict[str, Float[Array, ""]]
    codes: Codes


def bitrate_controlled_diffusion(
    objective: Objective,
    model: Disentangler,
    params: dict,
    batch: dict[str, Array],
    rng: PRNGKeyArray,
    multipliers: bitrate.Multipliers,
) -> Terms:
    """The loss of one batch: video uint8 [b t h w c], or latents.

    Raises UserError for clips of a single frame, which cannot be cut in two; where motion will be
    read in windows of another length than segments; and where attention along time is to be trained
    on frames picked out of their order in time.
    """
    rng_split, rng_content, rng_codes, rng_drive, rng_denoise = jax.random.split(rng, 5)

    def apply(method: Callable[..., Any], *args) -> Any:
        return model.apply({"params": params}, *args, method=method)

    clips = clip_latents(apply, batch)
    segments = SPLITTERS[objective.split](rng_split, clips.shape[1])
    _check(objective, model, segments)

    # Both segments go through the encoder as clips of their own; [2b] is first, then second.
    latents = jnp.concatenate([jnp.take(clips, frames, 1) for frames in segments])
    content, motion = apply(Disentangler.encode, latents)
    said = apply(Disentangler.compress, content, rng_content)
    codes = apply(Disentangler.quantize, motion, rng_codes)
    drive = driving(objective, apply, rng_drive, clips.shape[1], segments, said.tokens, codes)
    denoise = _denoising_loss(
        objective, model, apply, rng_denoise, latents, drive.content, drive.motion
    )
    parts = {
        "denoise": sum(denoise[name] for name in ("denoise_infinite", "denoise_finite")),
        "codebook": jnp.mean(codebook_loss(codes)),
        "commitment": jnp.mean(commitment_loss(codes)),
        "reread_commitment": drive.recommitment,
        "static_motion": static_share(codes),
        "content_bits_per_clip": jnp.mean(said.bits),
        "bits_per_frame": bitrate.bits_per_frame(codes.codes, codes.assignment),
    }
    total = (
        parts["denoise"]
        + objective.codebook_weight * parts["codebook"]
        + objective.commitment_weight * parts["commitment"]
        + objective.reread_commitment_weight * parts["reread_commitment"]
        + objective.static_weight * parts["static_motion"]
        + bitrate.motion_rate_loss(
            parts["bits_per_frame"], objective.target_bits_per_frame, objective.rate_weight,
            multipliers,
        )
        + jax.lax.stop_gradient(multipliers.content) * parts["content_bits_per_clip"]
    )  # fmt: skip
    return Terms(total, {"loss": total, **parts, **denoise}, codes)


def _check(objective: Objective, model: Disentangler, segments: Array) -> None:
    """Raise a UserError for what cannot be trained on these clips."""
    size = segments.shape[1]
    if size < 1:
        raise UserError("cross-driving needs clips of at least 2 frames")
    if model.motion_window not in (0, size):
        raise UserError(
            f"model.motion_window={model.motion_window}, but objective.split={objective.split} "
            f"makes segments of {size} frames: set the window to that, or to 0 to read whole clips"
        )
    if objective.mean_frames > size:
        raise UserError(
            f"objective.mean_frames={objective.mean_frames}, but segments have {size} frames"
        )
    if model.denoiser.network.temporal and objective.noisy_frames < size:
        raise UserError(
            "attention along time needs every frame of a segment: set objective.mean_frames and "
            f"objective.noisy_frames to {size}"
        )


def clip_latents(apply: Apply, batch: dict[str, Array]) -> Float[Array, "b t h w c"]:
    """Latents of a batch, which has video, or latents as an autoencoder gave them."""
    if "latents" in batch:
        return apply(Disentangler.normalize, batch["latents"])
    return apply(Disentangler.to_latents, batch["video"])


def spread_rows(x: Float[Array, "b *r"], count: int) -> Float[Array, "n *r"]:
    """`count` rows from all over a batch, which it divides: one of each of as many equal pieces.

    Of neighbouring pieces it is not the same one, so that other strides through the batch, that of
    the clips that are read again for one, meet it in their due share.
    """
    pieces = rearrange(x, "(n s) ... -> n s ...", n=count)
    which = jnp.arange(count) % pieces.shape[1]
    which = which.reshape(count, *(1,) * x.ndim)
    return jnp.take_along_axis(pieces, which, axis=1)[:, 0]


def pick_frames(rng: PRNGKeyArray, num_clips: int, num_frames: int, count: int) -> Array:
    """Indices [b count] of frames to rebuild, random for each clip, in order; all if few."""
    if count >= num_frames:
        return jnp.tile(jnp.arange(num_frames)[None], (num_clips, 1))
    noise = jax.random.uniform(rng, (num_clips, num_frames))
    return jnp.sort(jnp.argsort(noise, axis=1)[:, :count], axis=1)


def take_frames(x: Float[Array, "b t *r"], frames: Array) -> Float[Array, "b f *r"]:
    """Frames [b f] of every clip."""
    return jnp.take_along_axis(x, frames.reshape(*frames.shape, *(1,) * (x.ndim - 2)), axis=1)


def _denoising_loss(
    objective, model, apply, rng, latents, content, quantized
) -> dict[str, Float[Array, ""]]:
    """The denoising loss at infinite and at finite noise, and the latter by ranges of noise.

    In units of the squared latents (`edm.loss_weight`). The network is dear: of the frames that are
    rebuilt at infinite noise it sees few, of every so many segments.
    """
    rng_mean, rng_noisy, rng_sigma, rng_eps = jax.random.split(rng, 4)
    frames = pick_frames(rng_mean, len(latents), latents.shape[1], objective.mean_frames)
    target, motion = take_frames(latents, frames), take_frames(quantized, frames)
    mean = apply(Disentangler.mean, content, motion)
    infinite = jnp.mean(jnp.square(mean - target))

    def seen(x: Array) -> Array:
        return spread_rows(x, objective.noisy_segments)

    frames = pick_frames(rng_noisy, len(latents), frames.shape[1], objective.noisy_frames)
    target, motion = (seen(take_frames(x, frames)) for x in (target, motion))
    # What is left of the noise is refined around the mean, and does not bend it.
    mean = jax.lax.stop_gradient(seen(take_frames(mean, frames)))
    sigma = edm.log_normal_sigma(
        rng_sigma, target.shape[:2], objective.sigma_mean, objective.sigma_std
    )
    noisy = target + sigma[..., None, None, None] * jax.random.normal(rng_eps, target.shape)
    denoised = apply(Disentangler.denoise, noisy, sigma, seen(content), motion, mean)
    error = jnp.mean(jnp.square(denoised - target), axis=(2, 3, 4))
    sigma_data = model.denoiser.sigma_data
    error = error * edm.loss_weight(sigma, sigma_data, objective.highest_snr)
    return {
        "denoise_infinite": infinite,
        "denoise_finite": jnp.mean(error),
        **_by_range(error, sigma / sigma_data),
    }


def _by_range(error: Float[Array, "b t"], ratio: Float[Array, "b t"]) -> dict[str, Array]:
    """Mean error at low, middle and high finite noise, in units of sigma_data; 0 where none is."""
    edges = {"low": (0.0, 0.5), "middle": (0.5, 2.0), "high": (2.0, jnp.inf)}

    def mean(low: float, high: float) -> Array:
        within = (ratio >= low) & (ratio < high)
        return jnp.sum(error * within) / jnp.maximum(jnp.sum(within), 1)

    return {f"denoise_{name}": mean(*bounds) for name, bounds in edges.items()}
