"""The loss of a tiny model, and its parts."""

import dataclasses

import jax
import jax.numpy as jnp
from tiny import get_config

from vdd.method.objective import Objective, bitrate_controlled_diffusion
from vdd.method.rates import Multipliers, Rates

RATES = Rates(**get_config().rates)
PRICES = Multipliers(jnp.float32(0.0), jnp.log(jnp.float32(1e-3)))
WEIGHTS = {"codebook": 0.11, "commitment": 0.13, "reread_commitment": 0.17, "static_motion": 0.19}
OBJECTIVE = dataclasses.replace(Objective.from_config(get_config().objective), weights=WEIGHTS)


def loss(model, params, batch, rng=0, prices=PRICES, rates=RATES, **changes):
    objective = dataclasses.replace(OBJECTIVE, **changes)
    return bitrate_controlled_diffusion(
        objective, rates, model, params, batch, jax.random.key(rng), prices
    )


def batch_of(video):
    return {"video": jnp.asarray(video)}
