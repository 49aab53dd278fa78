"""One training step of the method: a pure function of the state and a batch."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from vdd import errors
from vdd.config import Config
from vdd.method import rates
from vdd.method.disentangler import Disentangler
from vdd.method.objective import Objective, bitrate_controlled_diffusion
from vdd.method.quantizer import Revival, keep
from vdd.method.rates import Rates
from vdd.models import latents
from vdd.training.optimizer import Optimizer
from vdd.training.update import (
    LOSS_STREAM,
    Training,
    accumulated_gradient,
    moving_average,
    step_key,
)

REVIVAL_STREAM = 2
FROZEN = "latents"


@flax.struct.dataclass
class TrainState:
    """Everything that training changes, and nothing else; arrays only."""

    step: Int[Array, ""]
    params: dict
    ema_params: dict
    opt_state: optax.OptState
    multipliers: rates.Multipliers
    usage: Float[Array, "n k"]  # running fraction of every codeword


@dataclass(frozen=True)
class Recipe:
    """What a config says of the method, built."""

    model: Disentangler
    objective: Objective
    rates: Rates
    revival: Revival
    optimizer: Optimizer
    config: Config

    @classmethod
    def from_config(cls, config: Config) -> "Recipe":
        """Of the keys model, objective, rates, revival, optimizer, train and seed.

        Raises UserError for a key or a value that there is not.
        """
        objective = Objective.from_config(config.objective)
        recipe = cls(
            model=Disentangler.from_config(config.model),
            objective=objective.for_batches(config.train.batch_size, config.train.accumulate),
            rates=errors.built("rates", Rates, config.rates),
            revival=errors.built("revival", Revival, config.revival),
            optimizer=errors.built("optimizer", Optimizer, config.optimizer),
            config=config,
        )
        book = recipe.model.quantizer.codebook
        recipe.rates.check(book.num_groups, book.num_codes)
        recipe.rates.check_swaps(config.objective.reread_clips, config.train.accumulate)
        return recipe


def build(recipe: Recipe) -> Training:
    """The training functions of a recipe."""
    return Training(partial(init, recipe), partial(step, recipe))


def init(recipe: Recipe, rng: PRNGKeyArray, batch: dict[str, Array]) -> TrainState:
    """The state before the first step; mean and scale of the latents are those of the batch."""
    model, book = recipe.model, recipe.model.quantizer.codebook
    frames = batch["latents" if "latents" in batch else "video"].shape[1]
    params = model.init(rng, jnp.zeros((1, frames, *model.latents.size), jnp.uint8))["params"]
    frozen = latents.initial_params(model.latents, recipe.config.model.latents, batch)
    params = {**params, FROZEN: frozen}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        ema_params=jax.tree.map(jnp.copy, params),
        opt_state=recipe.optimizer.build(recipe.config.train.num_steps).init(trained(params)),
        multipliers=recipe.rates.start(book.num_groups, book.num_codes),
        usage=jnp.full((book.num_groups, book.num_codes), 1.0 / book.num_codes, jnp.float32),
    )


def step(
    recipe: Recipe, state: TrainState, batch: dict[str, Array]
) -> tuple[TrainState, dict[str, Array]]:
    """The state after one more step, and its metrics."""
    seed, train = recipe.config.seed, recipe.config.train
    rate = recipe.optimizer.schedule(train.num_steps)(state.step)
    # Where the weights hardly move any more, neither codewords nor the price of motion run ahead.
    pace: Any = rate / recipe.optimizer.learning_rate

    rng = step_key(seed, LOSS_STREAM, state.step)
    grads, (metrics, usage, (vectors, statistics)) = accumulated_gradient(
        partial(_loss, recipe, state), trained(state.params), batch, rng, train.accumulate
    )
    transform = recipe.optimizer.build(train.num_steps)
    updates, opt_state = transform.update(grads, state.opt_state, trained(state.params))
    params: PyTree = optax.apply_updates(trained(state.params), updates)

    params["quantizer"]["codebook"], usage = keep(
        recipe.revival, params["quantizer"]["codebook"],
        step_key(seed, REVIVAL_STREAM, state.step),
        recipe.revival.running(usage, state.usage), vectors, statistics, pace,
    )  # fmt: skip
    multipliers = recipe.rates.steer(
        state.multipliers, metrics["bits_per_frame"], metrics["content_bits_per_clip"],
        metrics.get("lost_in_swaps"), pace,
    )  # fmt: skip
    average = moving_average(trained(state.ema_params), params, state.step, train.ema_decay)
    metrics = {
        **metrics,
        "motion_price": state.multipliers.motion,
        "content_price": state.multipliers.content,
        "codes_in_use": jnp.sum(usage > 0.1 / usage.shape[1]).astype(jnp.float32),
        "gradient_norm": optax.tree.norm(grads),
        "learning_rate": rate,
    }
    return TrainState(
        step=state.step + 1,
        params={**params, FROZEN: state.params[FROZEN]},
        ema_params={**average, FROZEN: state.ema_params[FROZEN]},
        opt_state=opt_state,
        multipliers=multipliers,
        usage=usage,
    ), metrics


def _loss(recipe: Recipe, state: TrainState, part: dict, batch: dict, rng: PRNGKeyArray):
    """The loss of a slice of a batch, and (metrics, usage, (vectors, statistics))."""
    terms = bitrate_controlled_diffusion(
        recipe.objective, recipe.rates, recipe.model, {**part, FROZEN: state.params[FROZEN]},
        batch, rng, state.multipliers,
    )  # fmt: skip
    hard = jax.nn.one_hot(terms.codes.codes, state.usage.shape[1])
    last = (terms.codes.vectors, terms.statistics)
    return terms.total, (terms.metrics, rates.average_assignment(hard), last)


def trained(params: dict) -> dict:
    """The parameters without those that are measured or published: no gradient, no moments."""
    return {part: value for part, value in params.items() if part != FROZEN}
