"""The EDM framework (Karras et al. 2022): noise levels, preconditioning, loss weights.

Every equation of the framework stands here and only here. Nothing knows a network: a denoiser is
built from a function `network(scaled, noise_label)`.

A centre may be given: a guess of the clean data that is known before any noise is removed. What is
diffused is then the residual around the centre, `sigma_data` is the residual's standard deviation,
and all equations hold for it unchanged.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

Network = Callable[[Float[Array, "..."], Float[Array, "..."]], Float[Array, "..."]]


def c_skip(sigma: Float[Array, "*b"], sigma_data: float) -> Float[Array, "*b"]:
    """Share of the noisy input that passes by the network (table 1)."""
    return sigma_data**2 / (sigma**2 + sigma_data**2)


def c_out(sigma: Float[Array, "*b"], sigma_data: float) -> Float[Array, "*b"]:
    """Scale of the network's output (table 1)."""
    return sigma * sigma_data * jax.lax.rsqrt(sigma**2 + sigma_data**2)


def c_in(sigma: Float[Array, "*b"], sigma_data: float) -> Float[Array, "*b"]:
    """Scale of the network's input, to unit variance (table 1)."""
    return jax.lax.rsqrt(sigma**2 + sigma_data**2)


def c_noise(sigma: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """Noise label that the network sees (table 1)."""
    return jnp.log(sigma) / 4.0


def loss_weight(sigma: Float[Array, "*b"], sigma_data: float) -> Float[Array, "*b"]:
    """Weight lambda(sigma) = 1 / c_out^2, under which the network's target has unit variance."""
    return (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2


def log_normal_sigma(
    rng: PRNGKeyArray, shape: tuple[int, ...], mean: float, std: float
) -> Float[Array, "*b"]:
    """Noise levels for training: ln sigma ~ N(mean, std^2)."""
    return jnp.exp(mean + std * jax.random.normal(rng, shape))


def precondition(
    network: Network,
    noisy: Float[Array, "*b h w c"],
    sigma: Float[Array, "*b"],
    sigma_data: float,
    center: Float[Array, "*b h w c"] | float = 0.0,
) -> Float[Array, "*b h w c"]:
    """Denoised estimate D(x; sigma) (eq. 7) of `noisy` = clean + sigma * eps, around `center`."""
    wide = sigma[..., None, None, None].astype(jnp.float32)
    residual = noisy - center
    output = network(c_in(wide, sigma_data) * residual, c_noise(sigma))
    return center + c_skip(wide, sigma_data) * residual + c_out(wide, sigma_data) * output
