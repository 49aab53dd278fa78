"""What training minimises: read `objective` below, and `vdd.method.losses` for its terms.

    denoising loss + rates + sum of weights[term] * term

Every term is a mean over the clips of the batch. The rates' terms are in `vdd.method.rates`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float, PRNGKeyArray

from vdd import errors
from vdd.config import Config
from vdd.errors import SettingError, UserError
from vdd.method import losses, rates
from vdd.method.cross_driving import SPLITTERS, segments_shape
from vdd.method.disentangler import Disentangler
from vdd.method.driving import Apply, driving
from vdd.method.losses import Evidence
from vdd.method.quantizer import Codes
from vdd.models.unet import depth_to_space


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
    null_content: float  # fraction of segments whose content is withheld
    reread_clips: int  # of a step; the content of one segment of each is read again from a swap
    weights: Mapping[str, float] = field(default_factory=dict)  # of vdd.method.losses.TERMS

    @classmethod
    def from_config(cls, config: Config) -> "Objective":
        """Of `config.objective`; SettingError for a key or a value that there is not."""
        with errors.group("objective"):
            return cls(**{**config, "weights": dict(config.weights)})

    def __post_init__(self):
        if self.split not in SPLITTERS:
            known = ", ".join(SPLITTERS)
            raise SettingError(f"split: unknown split {self.split!r}; there are: {known}")
        unknown = set(self.weights) - set(losses.TERMS)
        if unknown:
            raise SettingError(f"weights: there is no term {', '.join(sorted(unknown))}")
        with errors.group("weights"):
            errors.at_least(0, self.weights, *self.weights)
        errors.between(0, 1, self, "null_content")
        errors.at_least(0, self, "sigma_std", "highest_snr")
        if not 1 <= self.noisy_frames <= self.mean_frames:
            raise SettingError(
                f"noisy_frames={self.noisy_frames} are taken out of mean_frames="
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
            if name == "reread_clips" and count == accumulate:
                raise UserError(f"objective.{name}={count}: a swap takes two clips, of each slice")
            if count < least or count % accumulate or (count and whole % count):
                of = f"the {whole} {name.split('_')[1]} of a step"
                raise UserError(
                    f"objective.{name}={count} does not divide {of}"
                    + (f" in {accumulate} slices" if accumulate > 1 else "")
                )
            counts[name] = count // accumulate
        return replace(self, **counts)

    def check(self, model: Disentangler, num_frames: int) -> None:
        """Whether this model can be trained on clips of so many frames.

        Raises:
            UserError: they are too short to be cut in two; or motion will be read in windows of
                another length than segments; or attention along time is to be trained on frames
                picked out of their order.
        """
        size = self.segment_frames(num_frames)
        if size < 1:
            raise UserError("cross-driving needs clips of at least 2 frames")
        if model.motion_window not in (0, size):
            raise UserError(
                f"model.motion_window={model.motion_window}, but objective.split={self.split} "
                f"makes segments of {size} frames: set the window to that, or to 0 to read whole "
                "clips"
            )
        if self.mean_frames > size:
            raise UserError(
                f"objective.mean_frames={self.mean_frames}, but segments have {size} frames"
            )
        if model.denoiser.network.temporal and self.noisy_frames < size:
            raise UserError(
                "attention along time needs every frame of a segment: set objective.mean_frames "
                f"and objective.noisy_frames to {size}"
            )

    def segment_frames(self, num_frames: int) -> int:
        """Frames of each of the two segments of a clip."""
        return segments_shape(self.split, num_frames)[1]


class Terms(NamedTuple):
    """The loss, its parts, and what the training state learns from the batch."""

    total: Float[Array, ""]
    metrics: dict[str, Float[Array, ""]]
    codes: Codes
    statistics: dict[str, Array]  # vdd.method.quantizer.keep


def bitrate_controlled_diffusion(
    objective: Objective,
    held: rates.Rates,
    model: Disentangler,
    params: dict,
    batch: dict[str, Array],
    rng: PRNGKeyArray,
    multipliers: rates.Multipliers,
) -> Terms:
    """The loss of one batch: video uint8 [b t h w c], or latents.

    Whether clips of this length can be trained on `Objective.check` has said before.
    """
    rng_split, rng_content, rng_codes, rng_drive, rng_denoise = jax.random.split(rng, 5)

    def apply(method: Callable[..., Any], *args) -> Any:
        return model.apply({"params": params}, *args, method=method)

    clips = clip_latents(apply, batch)
    segments = SPLITTERS[objective.split](rng_split, clips.shape[1])
    # Both segments go through the encoder as clips of their own. They lie side by side, so that
    # what devices hold of a batch they hold of its segments.
    latents = jnp.take(clips, rearrange(segments, "k s -> (k s)"), axis=1)
    latents = rearrange(latents, "b (k s) h w c -> (b k) s h w c", k=len(segments))
    read, statistics = apply(Disentangler.encode_in_training, latents, len(segments))
    said = apply(Disentangler.compress, read.content, rng_content)
    codes = apply(Disentangler.quantize, read.motion, rng_codes)
    drive = driving(
        objective, apply, rng_drive, clips.shape[1], segments, said.tokens, codes, held.auto
    )
    denoise, error = losses.denoising(
        objective, model.denoiser.sigma_data, apply, rng_denoise, latents, drive
    )
    seen = Evidence(codes, drive, depth_to_space(error, model.latents.patch))
    parts = {name: term(seen) for name, term in losses.TERMS.items()}  # all are logged
    parts["denoise"] = denoise["denoise_infinite"] + denoise["denoise_finite"]
    parts["content_bits_per_clip"] = jnp.mean(said.bits)
    parts["bits_per_frame"] = rates.bits_per_frame(codes.codes, codes.assignment)
    if held.auto:
        assert drive.reread is not None  # or `Rates.check_swaps` would have refused the config
        parts["lost_in_swaps"] = rates.lost_in_swaps(drive.reread.kept, drive.reread.own)
        parts["target_bits_per_frame"] = jnp.asarray(held.target(multipliers))
    total = parts["denoise"] + held.loss(
        parts["bits_per_frame"], parts["content_bits_per_clip"], multipliers
    )
    total += sum(weight * parts[name] for name, weight in objective.weights.items())
    return Terms(total, {"loss": total, **parts, **denoise}, codes, statistics)


def clip_latents(apply: Apply, batch: dict[str, Array]) -> Float[Array, "b t h w c"]:
    """Latents of a batch, which has video, or latents as an autoencoder gave them."""
    if "latents" in batch:
        return apply(Disentangler.normalize, batch["latents"])
    return apply(Disentangler.to_latents, batch["video"])
