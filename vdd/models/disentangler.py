"""The whole model: encode -> bottlenecks -> denoise. Read this file first.

A clip of latents z [b t h w c] is read by one encoder into content [b k d], once a clip, and motion
[b t m], every frame. Content passes a Gaussian bottleneck, motion a vector-quantised one; the
denoiser sees both, and nothing else, beside the noisy frames.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from vdd.diffusion import edm
from vdd.models.coarse import CoarseHead
from vdd.models.encoder import Encoder
from vdd.models.latents import PixelLatents, to_float
from vdd.models.quantizer import Codebook, Codes, GumbelQuantizer, StraightThroughQuantizer
from vdd.models.unet import UNet

QUANTIZERS = {"straight_through": StraightThroughQuantizer, "gumbel_softmax": GumbelQuantizer}


class Posterior(NamedTuple):
    """Gaussian over the content tokens of a clip."""

    mean: Float[Array, "b k d"]
    log_std: Float[Array, "b k d"]

    def sample(self, rng: PRNGKeyArray) -> Float[Array, "b k d"]:
        """One draw of the content."""
        return self.mean + jnp.exp(self.log_std) * jax.random.normal(rng, self.mean.shape)


class Disentangler(nn.Module):
    """Bitrate-controlled diffusion (Li et al., ICCV 2025).

    `coarse` is ours and optional: a head that predicts the mean frame, around which the denoiser
    then diffuses. Without it (None) the model is the paper's.
    """

    latents: PixelLatents
    encoder: Encoder
    quantizer: StraightThroughQuantizer | GumbelQuantizer
    denoiser: UNet
    coarse: CoarseHead | None
    content_dim: int
    sigma_data: float  # standard deviation of what is diffused: latents, or their residual

    def setup(self):
        """Heads that turn the encoder's outputs into a posterior and into groups of vectors."""
        self.content_head = nn.Dense(2 * self.content_dim)
        book = self.quantizer.codebook
        self.motion_head = nn.Dense(book.num_groups * book.code_dim, use_bias=False)

    @classmethod
    def from_config(cls, config) -> "Disentangler":
        """Build from `config.model`; its keys are the fields of the modules they name.

        Raises TypeError or ValueError for a key or a value that there is not.
        """
        parts: dict[str, Any] = {
            k: dict(v) if hasattr(v, "items") else v for k, v in config.items()
        }
        dtype = jnp.dtype(parts.pop("dtype"))
        latents = PixelLatents(**parts.pop("latents"))
        quantizer = parts.pop("quantizer")
        kind = quantizer.pop("kind")
        if kind not in QUANTIZERS:
            raise ValueError(f"unknown quantizer {kind!r}; there are: {', '.join(QUANTIZERS)}")
        book = Codebook(**{f: quantizer.pop(f) for f in ("num_groups", "num_codes", "code_dim")})
        coarse = parts.pop("coarse")
        return cls(
            latents=latents,
            encoder=Encoder(**parts.pop("encoder"), dtype=dtype),
            quantizer=QUANTIZERS[kind](codebook=book, **quantizer),
            denoiser=UNet(**parts.pop("denoiser"), dtype=dtype),
            coarse=CoarseHead(**coarse, shape=latents.shape, dtype=dtype)
            if coarse["width"]
            else None,
            **parts,
        )

    def to_latents(self, video: Array) -> Float[Array, "b t H W C"]:
        """Latents of a video, uint8 or float in [-1, 1]."""
        return self.latents.encode(to_float(video))

    def to_video(self, latents: Float[Array, "b t h w c"]) -> Float[Array, "b t H W C"]:
        """The video in [-1, 1] that the latents stand for."""
        return self.latents.decode(latents)

    def encode(self, latents: Float[Array, "b t h w c"]) -> tuple[Posterior, Float[Array, "b t m"]]:
        """Read a clip: a posterior over its content and the motion before quantisation."""
        features = self.encoder(latents)
        mean, log_std = jnp.split(self.content_head(features.content), 2, axis=-1)
        # The posterior starts narrow (e^-2), so that content can speak before it has learned to.
        log_std = jnp.clip(log_std - 2.0, -8.0, 2.0)
        return Posterior(mean, log_std), self.motion_head(features.motion)

    def quantize(self, motion: Float[Array, "b t m"], rng: PRNGKeyArray | None = None) -> Codes:
        """The motion bottleneck; quantised motion passes unchanged."""
        return self.quantizer(motion, rng)

    def lookup(self, codes: Int[Array, "b t n"]) -> Float[Array, "b t m"]:
        """Quantised motion from its codes."""
        return self.quantizer.codebook.lookup(codes)

    def mean_frame(
        self, content: Float[Array, "b k d"], motion: Float[Array, "b t m"]
    ) -> Float[Array, "b t h w c"] | None:
        """The coarse head's frames, or None where the model has no coarse head."""
        return None if self.coarse is None else self.coarse(content, motion)

    def denoise(
        self,
        noisy: Float[Array, "b t h w c"],
        sigma: Float[Array, "b t"],
        content: Float[Array, "b k d"],
        motion: Float[Array, "b t m"],
        mean_frame: Float[Array, "b t h w c"] | None,
    ) -> Float[Array, "b t h w c"]:
        """Estimate the clean latents from noisy ones at noise level `sigma` of each frame.

        `motion` is quantised; `mean_frame` comes from the method of that name.
        """
        return edm.precondition(
            lambda x, noise: self.denoiser(x, noise, content, motion, mean_frame),
            noisy,
            sigma,
            self.sigma_data,
            center=0.0 if mean_frame is None else mean_frame,
        )

    def __call__(self, video: Array) -> Float[Array, "b t h w c"]:
        """Touch every part once; used to initialise the parameters."""
        latents = self.to_latents(video)
        posterior, motion = self.encode(latents)
        codes = self.quantize(motion)
        mean_frame = self.mean_frame(posterior.mean, codes.quantized)
        sigma = jnp.ones(latents.shape[:2])
        return self.to_video(
            self.denoise(latents, sigma, posterior.mean, codes.quantized, mean_frame)
        )
