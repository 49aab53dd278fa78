"""The EDM framework (Karras et al. 2022): noise levels, preconditioning, loss weights.

Every equation of the framework stands here and only here.
Nothing knows a network: a denoiser is built from a function `network(scaled, noise_label)`.

What is diffused is the residual around a mean: the best guess of the clean data before any noise is
removed. `sigma_data` is the residual's standard deviation; the equations hold for it as they are
(but for `fade`). Every level is allowed, infinity too: there the noisy data are not looked at.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm
from jaxtyping import Array, Float, PRNGKeyArray

Network = Callable[[Float[Array, "..."], Float[Array, "..."]], Float[Array, "..."]]

# Noise levels beyond which the label stays: nothing is hidden below, nothing is seen above.
_LABELS = (1e-5, 1e4)


def corrupt(
    clean: Float[Array, "*b h w c"], sigma: Float[Array, "*b"], noise: Float[Array, "*b h w c"]
) -> Float[Array, "*b h w c"]:
    """Clean data behind noise of standard deviation `sigma`."""
    return clean + sigma[..., None, None, None] * noise


def start(
    mean: Float[Array, "..."], sigma: Float[Array, ""], noise: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Where a sampler begins: all that is known there is the mean."""
    return mean + sigma * noise


def slope(
    noisy: Float[Array, "..."], denoised: Float[Array, "..."], sigma: Float[Array, ""]
) -> Float[Array, "..."]:
    """dx/dsigma of the probability-flow ODE (eq. 1, with sigma as time)."""
    return (noisy - denoised) / sigma


def levels(steps: int, low: float, high: float, rho: float) -> Float[Array, "s"]:
    """The steps + 1 noise levels of a sampler, from `high` down to `low`, then 0 (eq. 5)."""
    ramp = jnp.linspace(0.0, 1.0, steps) if steps > 1 else jnp.zeros(1)
    low, high = low ** (1 / rho), high ** (1 / rho)
    return jnp.append((high + ramp * (low - high)) ** rho, 0.0)


def c_skip(sigma: Float[Array, "*b"], sigma_data: float) -> Float[Array, "*b"]:
    """Fraction of the noisy input that passes by the network (table 1)."""
    return sigma_data**2 / (sigma**2 + sigma_data**2)


def c_out(sigma: Float[Array, "*b"], sigma_data: float) -> Float[Array, "*b"]:
    """Scale of the network's output (table 1)."""
    return sigma_data * jax.lax.rsqrt(1.0 + jnp.square(sigma_data / sigma))


def c_in(sigma: Float[Array, "*b"], sigma_data: float) -> Float[Array, "*b"]:
    """Scale of the network's input, to unit variance (table 1)."""
    return jax.lax.rsqrt(sigma**2 + sigma_data**2)


def c_noise(sigma: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """Noise label that the network sees (table 1)."""
    return jnp.log(jnp.clip(sigma, *_LABELS)) / 4.0


def loss_weight(
    sigma: Float[Array, "*b"], sigma_data: float, highest_snr: float = jnp.inf
) -> Float[Array, "*b"]:
    """Weight of the squared error, in units of the data: 1 at infinite noise.

    It is sigma_data^2 lambda(sigma) = 1 + sigma_data^2 / sigma^2 (table 1), under which the target
    of EDM's network has the same variance at all levels. Other predictions have no c_out that
    forgives errors where there is hardly any noise: for them the signal-to-noise ratio in it is
    bounded (Hang et al. 2023, min-SNR).
    """
    return 1.0 + jnp.minimum(jnp.square(sigma_data / sigma), highest_snr)


def log_normal_sigma(
    rng: PRNGKeyArray, shape: tuple[int, ...], mean: float, std: float
) -> Float[Array, "*b"]:
    """Noise levels for training: ln sigma ~ N(mean, std^2).

    They are stratified: one in each of as many equal fractions of the distribution, in an order of
    their own (Kingma et al. 2021, section I.1), so that every batch sees all levels.
    """
    rng_offset, rng_order = jax.random.split(rng)
    count = 1
    for length in shape:
        count *= length
    offset = jax.random.uniform(rng_offset, (count,))
    share = (jax.random.permutation(rng_order, count) + offset) / count
    share = jnp.clip(share, 1e-6, 1.0 - 1e-6)
    return jnp.exp(mean + std * norm.ppf(share)).reshape(shape)


def fade(sigma: Float[Array, "*b"], horizon: float) -> Float[Array, "*b"]:
    """Factor of the network's output that falls from 1 to 0 about the noise level `horizon`.

    What noisy data tell beyond the mean falls as 1 / sigma once the noise is above all that they
    differ by: the ideal estimate of a Gaussian of variance v lies v / sqrt(v + sigma^2) from its
    mean. The network is asked for less, and its errors weigh less, there. At an infinite horizon it
    is 1 everywhere.
    """
    if horizon == jnp.inf:
        return jnp.ones_like(sigma)
    return jax.lax.rsqrt(1.0 + jnp.square(sigma / horizon))


class Prediction(NamedTuple):
    """What the network's output means.

    Attributes:
      outputs: numbers that the network gives for each of the data's.
      combine: (output, residual, sigma, sigma_data) -> the denoised residual.
    """

    outputs: int
    combine: Callable[..., Float[Array, "*b h w c"]]


def edm(output, residual, sigma, sigma_data) -> Float[Array, "*b h w c"]:
    """EDM's own (eq. 7): a fraction of the residual passes by, whatever noise is in it."""
    return c_skip(sigma, sigma_data) * residual + c_out(sigma, sigma_data) * output


def x_prediction(output, residual, sigma, sigma_data) -> Float[Array, "*b h w c"]:
    """The clean residual itself (Li & He 2025): nothing passes by, and no noise either."""
    del residual, sigma
    return sigma_data * output


def gated(output, residual, sigma, sigma_data) -> Float[Array, "*b h w c"]:
    """EDM's, but the network says how much passes by. Ours.

    A patch has more numbers than a narrow network has channels. What passes by EDM's skip brings
    the noise of all of them, which the network would have to carry to its end to take it away. A
    gate closes the skip where nothing is behind the noise. At 0 it is EDM.
    """
    output, gate = jnp.split(output, 2, axis=-1)
    return edm(output, 2.0 * jax.nn.sigmoid(gate) * residual, sigma, sigma_data)


PREDICTIONS = {
    "edm": Prediction(1, edm),
    "x": Prediction(1, x_prediction),
    "gated": Prediction(2, gated),
}


def denoise(
    prediction: Prediction,
    network: Network,
    noisy: Float[Array, "*b h w c"],
    sigma: Float[Array, "*b"],
    sigma_data: float,
    mean: Float[Array, "*b h w c"] | float = 0.0,
    horizon: float = jnp.inf,
) -> Float[Array, "*b h w c"]:
    """Denoised estimate D(x; sigma) (eq. 7) of `noisy` = clean + sigma * eps, around `mean`.

    With a finite `horizon` the estimate at infinite noise is `mean` exactly.
    """
    wide = sigma[..., None, None, None].astype(jnp.float32)
    residual = noisy - mean
    output = fade(wide, horizon) * network(c_in(wide, sigma_data) * residual, c_noise(sigma))
    return mean + prediction.combine(output, residual, wide, sigma_data)
