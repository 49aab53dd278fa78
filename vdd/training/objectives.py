"""What training minimises, term by term.

Every term is a mean over the clips of the batch that count (`mask`). The total is

    denoising + coarse + codebook and commitment + the same commitment of swaps
    + static share of motion + price of motion bits + price of content bits

where the prices come from `vdd.models.bitrate.Multipliers`.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from vdd.diffusion import edm
from vdd.errors import UserError
from vdd.models import bitrate
from vdd.models.disentangler import Disentangler
from vdd.models.quantizer import Codes, codebook_loss, commitment_loss, static_share
from vdd.training.cross_driving import SPLITTERS

Moving = float | Float[Array, ""]  # may change over the training (vdd.training.step)


@dataclass(frozen=True)
class Objective:
    """Weights and sizes of the loss; the keys of `config.objective`."""

    split: str  # a function of vdd.training.cross_driving
    coarse_frames: int  # frames a segment that the coarse head rebuilds
    denoised_frames: int  # of these, frames that the denoiser rebuilds
    denoised_share: float  # share of the segments that the denoiser sees: 1, 1/2, 1/3, ...
    denoise_weight: float
    coarse_weight: float
    codebook_weight: float
    commitment_weight: float
    null_content: Moving  # share of clips whose content is withheld
    reread_share: float  # share of the segments whose content is read again from a swap: 1/2, 1/4
    reread_chance: Moving  # chance that each of these really is
    reread_commitment_weight: float  # the swap's motion, to the codewords that it was drawn from
    mirror_share: float  # share of the segments whose content is read in a mirror: 1/2, 1/4
    mirror_chance: Moving  # chance that each of these really is
    sigma_mean: float  # ln sigma ~ N(sigma_mean, sigma_std^2)
    sigma_std: float
    target_bits_per_frame: Moving
    target_bits_per_clip: Moving
    rate_weight: float  # the paper's 0.04
    static_weight: float = 0.0  # price of the share of motion that stays the same in a segment

    def __post_init__(self):
        if self.split not in SPLITTERS:
            raise ValueError(f"unknown split {self.split!r}; there are: {', '.join(SPLITTERS)}")
        if not 0.0 < self.denoised_share <= 1.0:
            raise ValueError(f"denoised_share={self.denoised_share} is not above 0 and up to 1")
        if not 0.0 <= self.reread_share <= 0.5:
            raise ValueError(f"reread_share={self.reread_share} is not from 0 to 1/2")
        if not 0.0 <= self.mirror_share <= 0.5:
            raise ValueError(f"mirror_share={self.mirror_share} is not from 0 to 1/2")


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
    """The loss of one batch: video uint8 [b t h w c], or latents, and mask bool [b].

    Raises UserError for clips of a single frame, which cannot be cut in two; where motion will be
    read in windows of another length than segments; where attention along time is to be trained on
    frames picked out of their order in time; where swaps are to be read that there is no coarse
    head to draw; and where a mirror is to be held before cached latents.
    """
    if objective.mirror_share and "video" not in batch:
        raise UserError("objective.mirror_share needs video, not cached latents: set it to 0")
    if objective.reread_share and model.coarse is None:
        raise UserError("objective.reread_share needs the coarse head: set it to 0 without")
    rng_split, rng_content, rng_null, rng_codes, rng_frames, rng_noise = jax.random.split(rng, 6)
    rng_null, rng_reread, rng_mirror = jax.random.split(rng_null, 3)
    rng_coarse, rng_denoised = jax.random.split(rng_frames)

    def apply(method: str, *args) -> Any:
        return model.apply({"params": params}, *args, method=method)

    clips, mask = clip_latents(apply, batch), batch["mask"].astype(jnp.float32)
    count, num_frames = clips.shape[:2]
    if num_frames < 2:
        raise UserError("cross-driving needs clips of at least 2 frames")

    # Both segments go through the encoder as clips of their own; [2b] is first, then second.
    segments = SPLITTERS[objective.split](rng_split, num_frames)
    if model.motion_window not in (0, segments.shape[1]):
        raise UserError(
            f"model.motion_window={model.motion_window}, but objective.split={objective.split} "
            f"makes segments of {segments.shape[1]} frames: set the window to that, or to 0 to "
            "read whole clips"
        )
    latents = jnp.concatenate([jnp.take(clips, frames, 1) for frames in segments])
    mask = jnp.concatenate([mask, mask])
    content, motion = apply("encode", latents)
    said, codes = apply("compress", content, rng_content), apply("quantize", motion, rng_codes)

    # Content of the one segment drives the other.
    content = jnp.roll(said.tokens, count, axis=0)
    if objective.mirror_share:
        # The first segments drive the second ones: rows that are not read from swaps below.
        rows = slice(count, None, round(0.5 / objective.mirror_share))
        mirrored = jax.lax.cond(
            objective.mirror_chance > 0.0,
            lambda: _read_mirrored(
                apply, rng_mirror, content[rows], batch["video"][:: rows.step], segments[0],
                objective.mirror_chance,
            ),
            lambda: content[rows],
        )  # fmt: skip
        content = content.at[rows].set(mirrored)
    recommitment = jnp.zeros(())
    if objective.reread_share:
        # One segment of a clip at most: two would lend each other the frames they are to rebuild.
        rows = slice(0, count, round(0.5 / objective.reread_share))

        def whole(x: Array) -> Array:
            return join_segments(x, segments, num_frames)[rows]

        again, recommitment = jax.lax.cond(
            objective.reread_chance > 0.0,
            lambda: _reread(
                apply, rng_reread, content[rows], whole(codes.quantized), whole(codes.codewords),
                mask[rows], objective,
            ),
            lambda: (content[rows], jnp.zeros(())),  # nothing is drawn before its time
        )  # fmt: skip
        content = content.at[rows].set(again)
    kept = jax.random.bernoulli(rng_null, 1.0 - objective.null_content, (len(content), 1, 1))
    content = content * kept

    frames = pick_frames(rng_coarse, len(latents), latents.shape[1], objective.coarse_frames)
    target, driving = take_frames(latents, frames), take_frames(codes.quantized, frames)
    mean_frame = apply("mean_frame", content, driving)
    coarse = _mean_square(target - mean_frame) if mean_frame is not None else jnp.zeros(len(mask))

    fewest = min(objective.coarse_frames, objective.denoised_frames)
    if model.denoiser.temporal and fewest < latents.shape[1]:
        raise UserError(
            "attention along time needs every frame of a segment: set objective.coarse_frames and "
            f"objective.denoised_frames to {latents.shape[1]}"
        )
    # The denoiser is dear: it may see fewer frames and, of these, fewer segments: every so many, as
    # the rows of one process lie side by side.
    seen = slice(None, None, max(1, round(1.0 / objective.denoised_share)))
    frames = pick_frames(rng_denoised, len(latents), frames.shape[1], objective.denoised_frames)
    target, driving = take_frames(target, frames)[seen], take_frames(driving, frames)[seen]
    hint = None
    if mean_frame is not None:
        # The denoiser refines what the coarse head gives it, and does not bend it.
        hint = jax.lax.stop_gradient(take_frames(mean_frame, frames)[seen])
    denoise = _denoising_loss(
        objective, model, apply, rng_noise, target, driving, content[seen], hint
    )

    bits = bitrate.bits_per_frame(codes.codes, codes.assignment, mask)
    parts = {
        "denoise": _average(denoise, mask[seen]),
        "coarse": _average(coarse, mask),
        "codebook": _average(codebook_loss(codes).mean(1), mask),
        "commitment": _average(commitment_loss(codes).mean(1), mask),
        "reread_commitment": recommitment,
        "static_motion": static_share(codes, mask),
        "content_bits_per_clip": _average(said.bits, mask),
        "bits_per_frame": bits,
    }
    total = (
        objective.denoise_weight * parts["denoise"]
        + objective.coarse_weight * parts["coarse"]
        + objective.codebook_weight * parts["codebook"]
        + objective.commitment_weight * parts["commitment"]
        + objective.reread_commitment_weight * parts["reread_commitment"]
        + objective.static_weight * parts["static_motion"]
        + bitrate.motion_rate_loss(
            bits, objective.target_bits_per_frame, objective.rate_weight, multipliers
        )
        + jax.lax.stop_gradient(multipliers.content) * parts["content_bits_per_clip"]
    )
    return Terms(total, {"loss": total, **parts}, codes)


def clip_latents(apply, batch: dict[str, Array]) -> Float[Array, "b t h w c"]:
    """Latents of a batch, which has video, or latents as an autoencoder gave them."""
    if "latents" in batch:
        return apply("normalize", batch["latents"])
    return apply("to_latents", batch["video"])


def _read_mirrored(apply, rng, content, video, frames, chance) -> Float[Array, "b k d"]:
    """Content of some frames of clips, each read in a mirror with a chance, else as it was.

    A mirror changes which way somebody faces, and not who it is. Nothing else tells the method that
    what walks to the left is the character that walks to the right: each clip has one action.
    """
    rng_content, rng_chance = jax.random.split(rng)
    latents = jnp.take(apply("to_latents", jnp.flip(video, axis=3)), frames, axis=1)
    again = apply("compress", apply("encode", latents).content, rng_content).tokens
    chosen = jax.random.bernoulli(rng_chance, chance, (len(content), 1, 1))
    return jnp.where(chosen, again, content)


def _reread(
    apply, rng, content, quantized, codewords, mask, objective
) -> tuple[Float[Array, "b k d"], Float[Array, ""]]:
    """Content read again from mean frames that show it in the motion of another clip.

    Takes the content and the mask of clips, and quantised motion and codewords of all their frames.
    Returns the content that is read in the swaps, and how far the motion that is read there is from
    the codewords that they were drawn from (mean square).

    Both halves of a clip share its action, so content may tell the decoder the action, and codes
    that leave poses of two actions apart only by it cost nothing. Content that was read from a swap
    tells another action: to rely on it there is a mistake. And a codebook with room to spare splits
    a pose by the clothes, which motion can only tell from its twin where the clothes stay on. Swaps
    are as long as clips, as content is read in whole clips later, where all else that the encoder
    is shown are halves; their motion is read so too, though `Disentangler.read` reads it otherwise.
    A swap is a picture like any other; no gradient goes into how it was drawn.
    """
    if len(content) < 2:
        return content, jnp.zeros(())
    rng_turn, rng_content, rng_chance = jax.random.split(rng, 3)
    turn = jax.random.randint(rng_turn, (), 1, len(content))
    quantized, codewords = (jnp.roll(x, turn, axis=0) for x in (quantized, codewords))
    swap = jax.lax.stop_gradient(apply("mean_frame", content, quantized))
    features = apply("encode", swap)
    again = apply("compress", features.content, rng_content).tokens
    told = apply("quantize", features.motion)
    miss = commitment_loss(told._replace(codewords=codewords)).mean(1)
    chosen = jax.random.bernoulli(rng_chance, objective.reread_chance, mask.shape)
    chosen &= jnp.roll(mask, turn) > 0.0
    return jnp.where(chosen[:, None, None], again, content), _average(miss, mask * chosen)


def join_segments(
    x: Float[Array, "b2 s *r"], segments: Int[Array, "2 s"], num_frames: int
) -> Float[Array, "b t *r"]:
    """Clips in order of time from their segments, first those of all clips, then the second ones.

    `segments` is what a splitter gave; a frame that both segments have is taken once.
    """
    clips = jnp.concatenate(jnp.split(x, 2), axis=1)
    times_seen = max(1, segments.size // num_frames)
    return clips[:, jnp.argsort(segments.reshape(-1))[::times_seen]]


def pick_frames(rng: PRNGKeyArray, num_clips: int, num_frames: int, count: int) -> Array:
    """Indices [b count] of frames to rebuild, random for each clip, in order; all if few."""
    if count >= num_frames:
        return jnp.tile(jnp.arange(num_frames)[None], (num_clips, 1))
    noise = jax.random.uniform(rng, (num_clips, num_frames))
    return jnp.sort(jnp.argsort(noise, axis=1)[:, :count], axis=1)


def take_frames(x: Float[Array, "b t *r"], frames: Array) -> Float[Array, "b f *r"]:
    """Frames [b f] of every clip."""
    return jnp.take_along_axis(x, frames.reshape(*frames.shape, *(1,) * (x.ndim - 2)), axis=1)


def _denoising_loss(objective, model, apply, rng, target, motion, content, mean_frame):
    """EDM loss of each clip [b], in units of the squared latents (lambda * sigma_data^2)."""
    rng_sigma, rng_eps = jax.random.split(rng)
    sigma = edm.log_normal_sigma(
        rng_sigma, target.shape[:2], objective.sigma_mean, objective.sigma_std
    )
    noise = jax.random.normal(rng_eps, target.shape)
    noisy = target + sigma[..., None, None, None] * noise
    denoised = apply("denoise", noisy, sigma, content, motion, mean_frame)
    error = jnp.mean(jnp.square(denoised - target), axis=(2, 3, 4))
    weight = edm.loss_weight(sigma, model.sigma_data) * model.sigma_data**2
    return jnp.mean(weight * error, axis=1)


def _mean_square(x: Float[Array, "b t h w c"]) -> Float[Array, "b"]:
    return jnp.mean(jnp.square(x), axis=(1, 2, 3, 4))


def _average(values: Float[Array, "b"], mask: Float[Array, "b"]) -> Float[Array, ""]:
    return jnp.sum(values * mask) / jnp.maximum(jnp.sum(mask), 1.0)
