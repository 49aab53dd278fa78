"""One training step of the prior over motion codes: cross-entropy in bits a frame."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from vdd import errors
from vdd.config import Config
from vdd.models.prior import MotionPrior, code_bits
from vdd.training.optimizer import Optimizer
from vdd.training.sharding import gathered
from vdd.training.update import Training, moving_average


@flax.struct.dataclass
class PriorState:
    """Everything that training changes, and nothing else; arrays only."""

    step: Int[Array, ""]
    params: dict
    ema_params: dict
    opt_state: optax.OptState


def build(prior: MotionPrior, config: Config) -> Training:
    """The training functions of a prior (keys optimizer and train of the config).

    Raises ValueError for accumulated batches, which a model of this size does not need.
    """
    if config.train.accumulate != 1:
        raise errors.SettingError(
            f"train.accumulate={config.train.accumulate}: a prior takes whole batches"
        )
    optimizer = errors.built("optimizer", Optimizer, config.optimizer)
    transform = optimizer.build(config.train.num_steps)
    schedule = optimizer.schedule(config.train.num_steps)

    def init(rng: PRNGKeyArray, batch: dict[str, Array]) -> PyTree:
        params: PyTree = prior.init(rng, batch["codes"][:1])["params"]
        average = jax.tree.map(jnp.copy, params)
        return PriorState(jnp.zeros((), jnp.int32), params, average, transform.init(params))

    def loss(params: PyTree, batch: dict[str, Array]) -> Float[Array, ""]:
        logits: Any = prior.apply({"params": gathered(params)}, batch["codes"])
        bits = jnp.sum(code_bits(logits, batch["codes"]), axis=-1)
        return jnp.sum(bits * batch["scored"]) / jnp.maximum(jnp.sum(batch["scored"]), 1)

    def step(state: PyTree, batch: dict[str, Array]) -> tuple[PyTree, dict[str, Array]]:
        value, grads = jax.value_and_grad(loss)(state.params, batch)
        updates, opt_state = transform.update(grads, state.opt_state, state.params)
        params: PyTree = optax.apply_updates(state.params, updates)
        average = moving_average(state.ema_params, params, state.step, config.train.ema_decay)
        metrics = {
            "loss": value,
            "bits_per_frame": value,
            "gradient_norm": optax.tree.norm(grads),
            "learning_rate": jnp.asarray(schedule(state.step)),
        }
        return PriorState(state.step + 1, params, average, opt_state), metrics

    return Training(init, step)
