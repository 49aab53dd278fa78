"""One training step: a pure function of the state and a batch.

Random keys are never stored: each is fold_in(fold_in(key(seed), stream), step), so that a run
which resumes draws the same numbers as one which never stopped.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from vdd.errors import UserError
from vdd.method import rates as bitrate
from vdd.method.disentangler import Disentangler
from vdd.method.objective import Objective, bitrate_controlled_diffusion
from vdd.method.quantizer import Codebook, revive_dead_codes
from vdd.models import latents
from vdd.training.optimizer import Optimizer

LOSS_STREAM, REVIVAL_STREAM = 1, 2
FROZEN = "latents"


@flax.struct.dataclass
class TrainState:
    """Everything that training changes, and nothing else; arrays only."""

    step: Int[Array, ""]
    params: dict
    ema_params: dict
    opt_state: optax.OptState
    multipliers: bitrate.Multipliers
    usage: Float[Array, "n k"]  # running share of every codeword


_REREAD_RAMP = 0.05  # share of the training over which the chance of re-reading rises to 1


@dataclass(frozen=True)
class Steering:
    """How the two rates are held at their targets; the keys of `config.steering`."""

    content_price: float  # at the start, loss per bit
    content_price_range: tuple[float, float]
    reread_start: float  # share of the training after which content is read again from swaps
    content_speed: float
    motion_speed: float  # at the peak of the learning rate, and slower with it
    usage_decay: float
    revive_below: float  # a codeword used less than this times its even share 1/k is dead
    revive_rate: float  # chance per step, at the peak of the learning rate, that a dead codeword
    # is moved onto a vector; 0: never


def check_target(objective: Objective, book: Codebook) -> None:
    """Raises a UserError for a motion rate that codes cannot have: its price would never rest."""
    capacity = book.num_groups * math.log2(book.num_codes)
    if objective.target_bits_per_frame > capacity:
        raise UserError(
            f"objective.target_bits_per_frame={objective.target_bits_per_frame:g} is more than"
            f" {book.num_groups} x {book.num_codes} codes can hold ({capacity:g} bits)"
        )


class Training(NamedTuple):
    """The two functions that a training run needs; both pure and fit for jit.

    Each task has a state of its own, of which the loop knows `step`, and `params` and `ema_params`.
    """

    init: Callable[[PRNGKeyArray, dict[str, Array]], Any]
    step: Callable[[Any, dict[str, Array]], tuple[Any, dict[str, Array]]]


def build(config) -> Training:
    """The training functions of a config (keys model, objective, optimizer, steering, train)."""
    model = Disentangler.from_config(config.model)
    steering = Steering(**config.steering)
    objective = Objective(**config.objective)
    objective = objective.for_batches(config.train.batch_size, config.train.accumulate)
    check_target(objective, model.quantizer.codebook)
    optimizer = Optimizer(**config.optimizer)
    transform = optimizer.build(config.train.num_steps)
    schedule = optimizer.schedule(config.train.num_steps)
    seed, decay, accumulate = config.seed, config.train.ema_decay, config.train.accumulate

    def init(rng: PRNGKeyArray, batch: dict[str, Array]) -> TrainState:
        frames = batch["latents" if "latents" in batch else "video"].shape[1]
        params = model.init(rng, jnp.zeros((1, frames, *model.latents.size), jnp.uint8))["params"]
        frozen = latents.initial_params(model.latents, config.model.latents, batch)
        params = {**params, FROZEN: frozen}
        book = model.quantizer.codebook
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            ema_params=jax.tree.map(jnp.copy, params),
            opt_state=transform.init(trained(params)),
            multipliers=bitrate.Multipliers.create(steering.content_price),
            usage=jnp.full((book.num_groups, book.num_codes), 1.0 / book.num_codes, jnp.float32),
        )

    def step(state: TrainState, batch: dict[str, Array]) -> tuple[TrainState, dict[str, Array]]:
        progress = state.step / config.train.num_steps
        now = objective_at(objective, steering, progress)

        def loss(part, batch, rng):
            params = {**part, FROZEN: state.params[FROZEN]}
            terms = bitrate_controlled_diffusion(now, model, params, batch, rng, state.multipliers)
            hard = jax.nn.one_hot(terms.codes.codes, state.usage.shape[1])
            aux = (bitrate.average_assignment(hard), terms.codes.vectors)
            return terms.total, (terms.metrics, *aux)

        rng = step_key(seed, LOSS_STREAM, state.step)
        grads, (metrics, usage, vectors) = accumulated_gradient(
            loss, trained(state.params), batch, rng, accumulate
        )
        updates, opt_state = transform.update(grads, state.opt_state, trained(state.params))
        params: Any = optax.apply_updates(trained(state.params), updates)

        # Where the weights hardly move any more, neither codewords nor the price of motion may run
        # ahead of them: a price that winds up there undoes what the decoder has learned.
        pace: Any = schedule(state.step) / optimizer.learning_rate
        running: Any = optax.incremental_update(usage, state.usage, 1.0 - steering.usage_decay)
        book, usage = revive_dead_codes(
            step_key(seed, REVIVAL_STREAM, state.step),
            params["quantizer"]["codebook"]["codewords"],
            running,
            vectors,
            steering.revive_below,
            steering.revive_rate * pace,
        )
        params["quantizer"]["codebook"]["codewords"] = book
        multipliers = bitrate.steer(
            state.multipliers,
            metrics["bits_per_frame"],
            metrics["content_bits_per_clip"],
            objective.target_bits_per_frame,
            objective.target_bits_per_clip,
            steering.motion_speed * pace,
            steering.content_speed,
            steering.content_price_range,
        )
        # The average starts quickly and slows down, so that it never remembers the first weights.
        fade = jnp.minimum(decay, (1.0 + state.step) / (10.0 + state.step))
        metrics = {
            **metrics,
            "motion_price": state.multipliers.motion,
            "content_price": state.multipliers.content,
            "codes_in_use": jnp.sum(usage > 0.1 / usage.shape[1]).astype(jnp.float32),
            "gradient_norm": optax.tree.norm(grads),
            "learning_rate": schedule(state.step),
        }
        average: Any = optax.incremental_update(params, trained(state.ema_params), 1.0 - fade)
        return TrainState(
            step=state.step + 1,
            params={**params, FROZEN: state.params[FROZEN]},
            ema_params={**average, FROZEN: state.ema_params[FROZEN]},
            opt_state=opt_state,
            multipliers=multipliers,
            usage=usage,
        ), metrics

    return Training(init, step)


def trained(params: dict) -> dict:
    """The parameters without those that are measured or published: no gradient, no moments."""
    return {part: value for part, value in params.items() if part != FROZEN}


def objective_at(objective: Objective, steering: Steering, progress: Float[Array, ""]) -> Objective:
    """The objective after a share `progress` of the training.

    Too early, swaps still show the wrong content, and the encoder would learn those errors.
    """
    chance = jnp.clip((progress - steering.reread_start) / _REREAD_RAMP, 0.0, 1.0)
    return replace(objective, reread_chance=chance)


def step_key(seed: int, stream: int, step: Int[Array, ""]) -> PRNGKeyArray:
    """The random key of a stream of numbers at a step."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), stream), step)


def accumulated_gradient(loss, params, batch, rng, parts: int):
    """Gradient and auxiliary values of `loss`, averaged over `parts` slices of the batch.

    `loss(params, batch, rng)` returns a scalar and (metrics, usage, vectors); vectors are those of
    the last slice. Each slice keeps every `parts`-th clip, so that a sharded batch stays in place.
    What is not a mean over clips is that of the slices: their entropy lies a little under that of
    the whole batch.
    """
    gradient = jax.grad(loss, has_aux=True)
    if parts == 1:
        return gradient(params, batch, rng)
    slices = jax.tree.map(lambda x: jnp.moveaxis(x.reshape(-1, parts, *x.shape[1:]), 1, 0), batch)

    def add(total, slice_and_index):
        part, i = slice_and_index
        grads, (metrics, usage, vectors) = gradient(params, part, jax.random.fold_in(rng, i))
        return jax.tree.map(lambda a, b: a + b / parts, total, (grads, metrics, usage)), vectors

    first = jax.tree.map(lambda x: x[0], slices)
    shapes = jax.eval_shape(gradient, params, first, rng)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), (shapes[0], *shapes[1][:2]))
    (grads, metrics, usage), vectors = jax.lax.scan(add, zeros, (slices, jnp.arange(parts)))
    return grads, (metrics, usage, vectors[-1])
