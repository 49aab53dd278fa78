# pyright: standard
"""The public functions: pure, with the model static, fit for jit, vmap and grad.

`params` is the dictionary of parameters (`Run.params`). Video is uint8, or float in [-1, 1]; any
batch size, any number of frames from 1 on. Of four channels the last is alpha: straight as uint8,
multiplied in as floats (`vdd.pixels`). Random keys are `jax.random.key(...)`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jaxtyping import Array, Float, Int, Key, UInt8

from vdd.diffusion import samplers
from vdd.method.disentangler import Disentangler
from vdd.method.quantizer import Codes
from vdd.models.prior import MotionPrior
from vdd.models.prior_sampling import sample_codes
from vdd.pixels import to_uint8

Video = UInt8[Array | np.ndarray, "b t h w c"] | Float[Array | np.ndarray, "b t h w c"]
# A clip of its own length, beside another.
OtherVideo = UInt8[Array | np.ndarray, "b s h w c"] | Float[Array | np.ndarray, "b s h w c"]


DEFAULT_SAMPLER = samplers.Sampler(name="mean", steps=0)
FRAMES_AT_ONCE = 16  # that `generate` draws


class Encoding(NamedTuple):
    """A clip taken apart: content once, motion and its codes for every frame."""

    content: Float[Array, "b k d"]
    motion: Float[Array, "b t m"]
    codes: Int[Array, "b t n"]


def encode(
    model: Disentangler,
    params: dict,
    video: Video,
    rng: Key[Array, ""] | None = None,
    rest: Float[Array, "b m"] | None = None,
) -> Encoding:
    """Split clips into content tokens (without noise), quantised motion, and its codes.

    As `Disentangler.read` reads them: motion in windows of `model.motion_window` frames.
    With a key `rng` the Gumbel-softmax quantiser draws the codes; without, they are the likeliest.
    Where `model.relative_motion`, motion is measured from `rest`, a pose of `rest_pose`; None is
    that of the clip itself.
    """
    return encode_and_count(model, params, video, rng, rest)[0]


def encode_and_count(
    model: Disentangler,
    params: dict,
    video: Video,
    rng: Key[Array, ""] | None = None,
    rest: Float[Array, "b m"] | None = None,
) -> tuple[Encoding, Float[Array, "b"]]:
    """`encode` and `content_bits`, for which clips are read once."""
    latents = _apply(model, params, Disentangler.to_latents, jnp.asarray(video))
    read = _apply(model, params, Disentangler.read, latents, rest)
    codes = quantize(model, params, read.motion, rng)
    content = _apply(model, params, Disentangler.compress, read.content)
    return Encoding(content.tokens, codes.quantized, codes.codes), content.bits


def rest_pose(model: Disentangler, params: dict, video: Video) -> Float[Array, "b m"]:
    """What the motion of each clip is measured from: zero unless `model.relative_motion`."""
    latents = _apply(model, params, Disentangler.to_latents, jnp.asarray(video))
    return _apply(model, params, Disentangler.read, latents).rest


def quantize(
    model: Disentangler,
    params: dict,
    motion: Float[Array, "b t m"],
    rng: Key[Array, ""] | None = None,
) -> Codes:
    """Quantise motion by the nearest codeword of each group; quantised motion stays as it is.

    `rng` as for `encode`.
    """
    return _apply(model, params, Disentangler.quantize, motion, rng)


def lookup(model: Disentangler, params: dict, codes: Int[Array, "b t n"]) -> Float[Array, "b t m"]:
    """The quantised motion that codes stand for: `lookup(quantize(m).codes)` is its `quantized`."""
    return _apply(model, params, Disentangler.lookup, codes)


def content_bits(model: Disentangler, params: dict, video: Video) -> Float[Array, "b"]:
    """Rate of the content of each clip, in bits per clip, under its bottleneck's prior.

    Of a model with a content code: the bits of that code.
    """
    latents = _apply(model, params, Disentangler.to_latents, jnp.asarray(video))
    read = _apply(model, params, Disentangler.encode, latents)
    return _apply(model, params, Disentangler.compress, read.content).bits


def denoise(
    model: Disentangler,
    params: dict,
    noisy: Float[Array, "b t h w c"],
    sigma: Float[Array, "b t"],
    content: Float[Array, "b k d"],
    motion: Float[Array, "b t m"],
) -> Float[Array, "b t h w c"]:
    """Clean latents from latents with noise of level `sigma` on each frame (EDM, eq. 7).

    At an infinite level the noisy latents are not looked at.
    """
    motion = quantize(model, params, motion).quantized
    return _apply(model, params, Disentangler.denoise, noisy, sigma, content, motion)


def sample(
    model: Disentangler,
    params: dict,
    rng: Key[Array, "*b"],
    content: Float[Array, "b k d"],
    motion: Float[Array, "b t m"],
    sampler: samplers.Sampler,
    callback: samplers.Callback | None = None,
) -> Float[Array, "b t h w c"]:
    """Draw a video in [-1, 1] that shows `content` in `motion`.

    Args:
        model: static.
        params: its parameters.
        rng: one key, or one key per clip [b], with which a clip does not depend on its batch.
        content: tokens of each clip; zeros stand for content that is withheld.
        motion: quantised or not.
        sampler: static; `mean` draws no noise. Guidance is against withheld content, which a model
            has seen where `objective.null_content` of its training was above 0.
        callback: bends each estimate of the clean latents: (noisy, sigma, denoised) -> denoised.
    """
    motion = quantize(model, params, motion).quantized

    def denoiser(content: Array, mean: Array) -> samplers.Denoise:
        def estimate(noisy: Array, sigma: Array) -> Array:
            level = jnp.broadcast_to(sigma, motion.shape[:2])
            return _apply(model, params, Disentangler.denoise, noisy, level, content, motion, mean)

        return estimate

    mean = _apply(model, params, Disentangler.mean, content, motion)
    estimate = denoiser(content, mean)
    if sampler.guidance != 1.0:
        nothing = jnp.zeros_like(content)
        mean_without = _apply(model, params, Disentangler.mean, nothing, motion)
        without = denoiser(nothing, mean_without)
        estimate = samplers.guide(estimate, without, sampler.guidance)
        mean = mean_without + sampler.guidance * (mean - mean_without)
    latents = samplers.sample(sampler, estimate, rng, mean, callback)
    return _apply(model, params, Disentangler.to_video, latents)


def transfer(
    model: Disentangler,
    params: dict,
    rng: Key[Array, "*b"],
    content_video: Video,
    motion_video: OtherVideo,
    sampler: samplers.Sampler,
) -> Float[Array, "b s h w c"]:
    """Draw a video in [-1, 1] of what `content_video` shows, moving as `motion_video` does."""
    content = encode(model, params, content_video).content
    motion = encode(model, params, motion_video).motion
    return sample(model, params, rng, content, motion, sampler)


class Generated(NamedTuple):
    """Videos in [-1, 1] whose motion was drawn from a prior, and the codes of that motion."""

    video: Float[Array, "b t h w c"]
    codes: Int[Array, "b t n"]


def generate(
    model: Disentangler,
    params: dict,
    prior: MotionPrior,
    prior_params: dict,
    rng: Key[Array, "*b"],
    content: Float[Array, "b k d"],
    num_frames: int,
    start: Int[Array, "b s n"] | None = None,
    temperature: float | Float[Array, ""] = 1.0,
    top_p: float | Float[Array, ""] = 1.0,
    sampler: samplers.Sampler = DEFAULT_SAMPLER,
) -> Generated:
    """Draw videos of `num_frames` frames that show `content` in a motion drawn from the prior.

    `start` are codes (of `encode`) of the first frames, with which the motion goes on. `rng` is as
    for `sample`; `temperature` and `top_p` as for `vdd.models.prior_sampling.sample_codes`. Static:
    model, prior, num_frames and sampler. Frames are drawn `FRAMES_AT_ONCE` at a time, so that
    memory beyond the result does not grow with their number; a denoiser that looks at neighbours
    does not look from one such piece into the next.
    """
    given = (num_frames, start, temperature, top_p)
    codes = generate_codes(prior, prior_params, rng, len(content), *given)
    size = min(num_frames, FRAMES_AT_ONCE)
    count = -(-num_frames // size)
    whole = jnp.pad(codes, [(0, 0), (0, count * size - num_frames), (0, 0)], mode="edge")
    pieces = rearrange(whole, "b (p t) n -> p b t n", p=count)

    def draw(piece: tuple[Array, Array]) -> Array:
        return draw_piece(model, params, rng, content, *piece, sampler)

    video = jax.lax.map(draw, (pieces, jnp.arange(count)))
    video = rearrange(video, "p b t h w c -> b (p t) h w c")
    return Generated(video[:, :num_frames], codes)


def generate_codes(
    prior: MotionPrior,
    prior_params: dict,
    rng: Key[Array, "*b"],
    num_clips: int,
    num_frames: int,
    start: Int[Array, "b s n"] | None = None,
    temperature: float | Float[Array, ""] = 1.0,
    top_p: float | Float[Array, ""] = 1.0,
) -> Int[Array, "b t n"]:
    """The codes of `generate`, without the video."""
    keys = _fold_in(_keys(rng, num_clips), 0)
    return sample_codes(prior, prior_params, keys, num_frames, start, temperature, top_p)


def draw_piece(
    model: Disentangler,
    params: dict,
    rng: Key[Array, "*b"],
    content: Float[Array, "b k d"],
    codes: Int[Array, "b s n"],
    number: int | Int[Array, ""],
    sampler: samplers.Sampler,
) -> Float[Array, "b s h w c"]:
    """Piece `number` of the video of `generate`, from its codes and the same `rng`."""
    keys = _fold_in(_fold_in(_keys(rng, len(content)), 1), number)
    return sample(model, params, keys, content, lookup(model, params, codes), sampler)


def _keys(rng: Key[Array, "*b"], count: int) -> Key[Array, "b"]:
    """A key for each clip."""
    return rng if rng.ndim else jax.random.split(rng, count)


def _fold_in(keys: Key[Array, "b"], number: int | Int[Array, ""]) -> Key[Array, "b"]:
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)


def _apply(model: Disentangler, params: dict, method: Callable[..., Any], *args) -> Any:
    return model.apply({"params": params}, *args, method=method)


__all__ = [
    "Encoding", "Generated", "content_bits", "denoise", "draw_piece", "encode", "encode_and_count",
    "generate", "generate_codes", "lookup", "quantize", "rest_pose", "sample", "to_uint8",
    "transfer",
]  # fmt: skip
