"""The terms of the loss, a function each; `vdd.method.objective` weighs and adds them up.

To add a term, write a function of `Evidence` as a `@term`, and give it a weight by its name in
`config.objective.weights`. What it needs beyond `Evidence` is put in there by the objective.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float, PRNGKeyArray

from vdd.diffusion import process
from vdd.method.disentangler import Disentangler
from vdd.method.driving import Apply, Drive
from vdd.method.quantizer import Codes

if TYPE_CHECKING:
    from vdd.method.objective import Objective


class Evidence(NamedTuple):
    """What a step has read and drawn; the terms are functions of it."""

    codes: Codes  # of 2b segments, those of a clip side by side
    drive: Drive  # what the segments are rebuilt with
    error: Float[Array, "b2 f h w c"]  # mean frames less the true ones, in pixels where they are


Term = Callable[[Evidence], Float[Array, ""]]
TERMS: dict[str, Term] = {}  # by name


def term(function: Term) -> Term:
    """Puts a function among the terms of the loss, under its name."""
    TERMS[function.__name__] = function
    return function


@term
def codebook(seen: Evidence) -> Float[Array, ""]:
    """Pull the chosen codewords to the vectors (VQ-VAE, eq. 3, second term)."""
    return jnp.mean(jnp.square(seen.codes.codewords - jax.lax.stop_gradient(seen.codes.vectors)))


@term
def commitment(seen: Evidence) -> Float[Array, ""]:
    """Pull the vectors to their codewords (VQ-VAE, eq. 3, third term)."""
    return jnp.mean(jnp.square(seen.codes.vectors - jax.lax.stop_gradient(seen.codes.codewords)))


@term
def reread_commitment(seen: Evidence) -> Float[Array, ""]:
    """Pull the motion that is read in swaps to the codewords that they were drawn from. Ours."""
    if seen.drive.reread is None:
        return jnp.zeros(())
    swaps = seen.drive.reread
    return jnp.mean(jnp.square(swaps.vectors - jax.lax.stop_gradient(swaps.codewords)))


@term
def static_motion(seen: Evidence) -> Float[Array, ""]:
    """Fraction of the vectors' variance that lies between segments and not within them. Ours.

    1 where every frame of a segment has the same vector, so that motion says over and over what
    content could say once; 0 where the mean over time is the same in all segments. A pose that is
    held for a whole segment counts as static too. As a fraction it cannot be lowered by drawing all
    vectors together. Mean over groups.
    """
    vectors = seen.codes.vectors  # [b t n g]
    means = jnp.mean(vectors, axis=1)
    centre = jnp.mean(means, axis=0)
    between = jnp.mean(jnp.sum(jnp.square(means - centre[None]), axis=2), axis=0)
    whole = jnp.mean(jnp.sum(jnp.square(vectors - centre[None, None]), axis=3), axis=(0, 1))
    return jnp.mean(between / jnp.maximum(whole, 1e-4))


@term
def edges(seen: Evidence) -> Float[Array, ""]:
    """Squared error of the differences between neighbours, down and across, of mean frames. Ours.

    Eyes and mouths are few pixels, and an edge in the wrong place costs twice: so motion is asked
    to say where they are. Neighbours are pixels, or places of an autoencoder's latents.
    """
    across = seen.error[..., :, 1:, :] - seen.error[..., :, :-1, :]
    down = seen.error[..., 1:, :, :] - seen.error[..., :-1, :, :]
    return jnp.mean(jnp.square(across)) + jnp.mean(jnp.square(down))


def denoising(
    objective: "Objective",
    sigma_data: float,
    apply: Apply,
    rng: PRNGKeyArray,
    latents: Float[Array, "b2 s h w c"],
    drive: Drive,
) -> tuple[dict[str, Float[Array, ""]], Float[Array, "b2 f h w c"]]:
    """The denoising loss at infinite and at finite noise, and the latter by ranges of noise.

    With it the error of the mean frames, in latents.

    In units of the squared latents (`process.loss_weight`). At infinite noise the denoiser answers
    with the mean frame, which is cheap, and which teaches the bottlenecks what they have to say.
    The network is dear: of the frames that are rebuilt there it sees few, of every so many
    segments.
    """
    rng_mean, rng_noisy, rng_sigma, rng_eps = jax.random.split(rng, 4)
    frames = pick_frames(rng_mean, len(latents), latents.shape[1], objective.mean_frames)
    target, motion = take_frames(latents, frames), take_frames(drive.motion, frames)
    mean = apply(Disentangler.mean, drive.content, motion)
    wrong = mean - target

    def seen(x: Array) -> Array:
        return spread_rows(x, objective.noisy_segments)

    frames = pick_frames(rng_noisy, len(latents), frames.shape[1], objective.noisy_frames)
    target, motion = (seen(take_frames(x, frames)) for x in (target, motion))
    # What is left of the noise is refined around the mean, and does not bend it.
    mean = jax.lax.stop_gradient(seen(take_frames(mean, frames)))
    sigma = process.log_normal_sigma(
        rng_sigma, target.shape[:2], objective.sigma_mean, objective.sigma_std
    )
    noisy = process.corrupt(target, sigma, jax.random.normal(rng_eps, target.shape))
    denoised = apply(Disentangler.denoise, noisy, sigma, seen(drive.content), motion, mean)
    error = jnp.mean(jnp.square(denoised - target), axis=(2, 3, 4))
    error = error * process.loss_weight(sigma, sigma_data, objective.highest_snr)
    parts = {"denoise_infinite": jnp.mean(jnp.square(wrong)), "denoise_finite": jnp.mean(error)}
    return {**parts, **_by_range(error, sigma / sigma_data)}, wrong


def _by_range(error: Float[Array, "b t"], ratio: Float[Array, "b t"]) -> dict[str, Array]:
    """Mean error at low, middle and high finite noise, in units of sigma_data; 0 where none is."""
    edges = {"low": (0.0, 0.5), "middle": (0.5, 2.0), "high": (2.0, jnp.inf)}

    def mean(low: float, high: float) -> Array:
        within = (ratio >= low) & (ratio < high)
        return jnp.sum(error * within) / jnp.maximum(jnp.sum(within), 1)

    return {f"denoise_{name}": mean(*bounds) for name, bounds in edges.items()}


def spread_rows(x: Float[Array, "b *r"], count: int) -> Float[Array, "n *r"]:
    """`count` rows from all over a batch, which it divides: one of each of as many equal pieces.

    Of neighbouring pieces it is not the same one, so that other strides through the batch, that of
    the clips that are read again for one, meet it as often as others do.
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
