"""The denoiser D(x; sigma, content, motion): what a clip's frames look like behind their noise.

At infinite noise there is nothing to see, and the answer is the mean frame m(content, motion).
With a read-out (ours, `vdd.models.readout`) that answer is drawn by it, the network works on the
residual around it, and its part vanishes as the noise grows, so that D(x; inf) = m exactly. Without
one (the paper's) the network answers at all levels, and at infinite noise is shown no data.

With a sight (ours, `vdd.models.sight`) the read-out is told what can be recognised behind the noise
and draws what of the mean fits to it. The network then works around that.
"""

import math

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from vdd import errors
from vdd.config import Fields
from vdd.diffusion import process
from vdd.models import kinds
from vdd.models.dit import DiT
from vdd.models.readout import READOUTS, ConvolutionalReadout, TileReadout, WarpReadout
from vdd.models.sight import Sight
from vdd.models.unet import UNet

NETWORKS = {"unet": UNet, "dit": DiT}


class Denoiser(nn.Module):
    """EDM's preconditioning around a network, and around the mean of a read-out."""

    network: UNet | DiT
    readout: TileReadout | ConvolutionalReadout | WarpReadout | None
    prediction: str  # of vdd.diffusion.edm.PREDICTIONS
    sigma_data: float  # standard deviation of what is diffused: the latents less their mean
    horizon: float  # noise level about which the network's part fades; only with a read-out
    shape: tuple[int, int, int]  # h w c of the latents
    sight: Sight | None = None  # without a read-out there is nobody to tell

    def __post_init__(self):
        errors.above(0, self, "sigma_data", "horizon")
        with errors.group("network"):
            self.network.check(*self.shape[:2])
        super().__post_init__()

    @classmethod
    @errors.group("denoiser")
    def from_config(
        cls, config: Fields, shape: tuple[int, int, int], dtype: jnp.dtype
    ) -> "Denoiser":
        """Build from `config.model.denoiser`: `network`, with its `kind`, `readout`, and fields.

        Raises SettingError for a key or a value that there is not.
        """
        fields = dict(config)
        network, readout = fields.pop("network"), fields.pop("readout")
        sight = fields.pop("sight", 0)
        prediction, where = fields["prediction"], {"shape": shape, "dtype": dtype}
        if prediction not in process.PREDICTIONS:
            known = ", ".join(process.PREDICTIONS)
            told = f"unknown prediction {prediction!r}; there are: {known}"
            raise errors.SettingError(f"prediction: {told}")
        errors.at_least(0, {"sight": sight}, "sight")
        outputs = process.PREDICTIONS[prediction].outputs
        return cls(
            network=kinds.build(NETWORKS, "network", network, outputs=outputs, dtype=dtype),
            readout=kinds.build(READOUTS, "readout", readout, "tiles", **where)
            if readout
            else None,
            sight=Sight(width=sight, dtype=dtype) if sight and readout else None,
            shape=shape,
            **fields,
        )

    def check_content(self, count: int) -> None:
        """Raises a ValueError for so many content tokens that the read-out cannot lay out."""
        needed = getattr(self.readout, "num_contents", count)
        if count != needed:
            raise ValueError(
                f"the read-out draws from {needed} content tokens, and content has {count}: see"
                " model.content, its kind and side"
            )

    def mean(
        self, content: Float[Array, "b k d"], motion: Float[Array, "b t m"]
    ) -> Float[Array, "b t h w c"]:
        """The answer at infinite noise: the mean of all frames with this content and motion."""
        if self.readout is not None:
            return self.readout(content, motion)
        nothing = jnp.zeros((*motion.shape[:2], *self.shape))
        return self._denoise(nothing, jnp.full(motion.shape[:2], jnp.inf), content, motion, None)

    def __call__(
        self,
        noisy: Float[Array, "b t h w c"],
        sigma: Float[Array, "b t"],
        content: Float[Array, "b k d"],
        motion: Float[Array, "b t m"],
        mean: Float[Array, "b t h w c"] | None = None,
    ) -> Float[Array, "b t h w c"]:
        """Estimate the clean latents from noisy ones at noise level `sigma` of each frame.

        `mean` is what the method of that name gives; a sampler asks for it once.
        """
        if self.readout is None:
            return self._denoise(noisy, sigma, content, motion, None)
        mean = self.readout(content, motion) if mean is None else mean
        if self.sight is not None:
            mean = self._recognised(noisy, sigma, content, motion, mean)
        return self._denoise(noisy, sigma, content, motion, mean)

    def _recognised(self, noisy, sigma, content, motion, mean) -> Float[Array, "b t h w c"]:
        """What of the mean fits to the noisy frames.

        It is the mean where the noise is above all that a frame can differ by from it.
        """
        assert self.readout is not None
        assert self.sight is not None
        wide = sigma[..., None, None, None].astype(jnp.float32)
        residual = process.c_in(wide, self.sigma_data) * (noisy - mean)
        seen = self.sight(residual, process.c_noise(sigma), content, motion)
        limit = self.sigma_data * math.sqrt(math.prod(self.shape))
        return self.readout(content, motion, process.fade(wide[..., 0, 0], limit) * seen)

    def _denoise(self, noisy, sigma, content, motion, mean) -> Float[Array, "b t h w c"]:
        return process.denoise(
            process.PREDICTIONS[self.prediction],
            lambda x, noise: self.network(x, noise, content, motion, mean),
            noisy,
            sigma,
            self.sigma_data,
            mean=0.0 if mean is None else mean,
            horizon=jnp.inf if mean is None else self.horizon,
        )
