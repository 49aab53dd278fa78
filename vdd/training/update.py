"""What every training step is made of: random keys, gradients in slices, the moving average.

Random keys are never stored: each is fold_in(fold_in(key(seed), stream), step), so that a run
which resumes draws the same numbers as one which never stopped.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from einops import rearrange
from jaxtyping import Array, Int, PRNGKeyArray, PyTree

from vdd.training.sharding import gathered

LOSS_STREAM = 1


# (random key, batch) -> state, and (state, batch) -> (state, metrics).
InitFn = Callable[[PRNGKeyArray, dict[str, Array]], PyTree]
StepFn = Callable[[PyTree, dict[str, Array]], tuple[PyTree, dict[str, Array]]]


class Training(NamedTuple):
    """The two functions that a training run needs; both pure and fit for jit.

    Each task has a state of its own, of which the loop knows `step`, and `params` and `ema_params`.
    """

    init: InitFn
    step: StepFn


def step_key(seed: int, stream: int, step: Int[Array, ""]) -> PRNGKeyArray:
    """The random key of a stream of numbers at a step."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), stream), step)


def moving_average(average: PyTree, params: PyTree, step: Int[Array, ""], decay: float) -> PyTree:
    """The exponential moving average after this step.

    It starts quickly and slows down to `decay`, so that it never remembers the first weights.
    """
    fade = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    return optax.incremental_update(params, average, 1.0 - fade)


def accumulated_gradient(loss, params, batch, rng, parts: int):
    """Gradient and auxiliary values of `loss`, averaged over `parts` slices of the batch.

    `loss(params, batch, rng)` returns a scalar and (metrics, usage, last), trees of arrays; `last`
    is that of the last slice. Each slice keeps every `parts`-th clip, so that a sharded batch stays
    in place. What is not a mean over clips is that of the slices: their entropy lies a little under
    that of the whole batch.
    """
    gradient = jax.grad(lambda whole, *args: loss(gathered(whole), *args), has_aux=True)
    if parts == 1:
        return gradient(params, batch, rng)
    slices = jax.tree.map(lambda x: rearrange(x, "(b p) ... -> p b ...", p=parts), batch)

    def add(total, slice_and_index):
        part, i = slice_and_index
        grads, (metrics, usage, last) = gradient(params, part, jax.random.fold_in(rng, i))
        return jax.tree.map(lambda a, b: a + b / parts, total, (grads, metrics, usage)), last

    first = jax.tree.map(lambda x: x[0], slices)
    shapes = jax.eval_shape(gradient, params, first, rng)
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), (shapes[0], *shapes[1][:2]))
    (grads, metrics, usage), lasts = jax.lax.scan(add, zeros, (slices, jnp.arange(parts)))
    return grads, (metrics, usage, jax.tree.map(lambda x: x[-1], lasts))
