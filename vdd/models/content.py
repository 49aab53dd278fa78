"""The content bottleneck: what a clip may say about itself once, and how many bits that costs."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from vdd.models.bitrate import NATS_TO_BITS


class Content(NamedTuple):
    """The content of a batch of clips, past the bottleneck."""

    tokens: Float[Array, "b k d"]  # what the decoder sees
    bits: Float[Array, "b"]  # rate of a clip


class GaussianContent(nn.Module):
    """Variational bottleneck: N(mean, std) against the prior N(0, 1) (Alemi et al. 2017)."""

    dim: int

    @nn.compact
    def __call__(self, features: Float[Array, "b k w"], rng: PRNGKeyArray | None = None) -> Content:
        """Content of features: a draw from the posterior if `rng` is given, else its mean."""
        mean, log_std = jnp.split(nn.Dense(2 * self.dim, name="posterior")(features), 2, axis=-1)
        # The posterior starts narrow (e^-2), so that content can speak before it has learned to.
        log_std = jnp.clip(log_std - 2.0, -8.0, 2.0)
        noise = 0.0 if rng is None else jax.random.normal(rng, mean.shape)
        return Content(mean + jnp.exp(log_std) * noise, divergence_bits(mean, log_std))


def divergence_bits(
    mean: Float[Array, "b k d"], log_std: Float[Array, "b k d"]
) -> Float[Array, "b"]:
    """KL(N(mean, std) || N(0, 1)) summed over the content tokens of a clip, in bits."""
    nats = 0.5 * (jnp.square(mean) + jnp.exp(2.0 * log_std) - 1.0) - log_std
    return jnp.sum(nats, axis=(1, 2)) * NATS_TO_BITS
