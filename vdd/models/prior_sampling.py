"""Drawing motion codes from a prior: a scan over frames, in it a scan over groups.

Each clip has a key of its own; the draw of frame t, group j is a function of (key, t, j). Memory
does not grow with the number of frames, but for the codes themselves.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float, Int, Key

from vdd.models.prior import MotionPrior


def sample_codes(
    prior: MotionPrior,
    params: dict,
    keys: Key[Array, "b"],
    num_frames: int,
    start: Int[Array, "b s n"] | None = None,
    temperature: float | Float[Array, ""] = 1.0,
    top_p: float | Float[Array, ""] = 1.0,
) -> Int[Array, "b t n"]:
    """Draw the codes of `num_frames` frames; the first of them are those of `start`, if given.

    `temperature` divides the logits; at 0 the likeliest code is taken. `top_p` leaves only the
    likeliest codes that together have this probability (nucleus sampling, Holtzman et al. 2020).
    """
    b, n = len(keys), prior.num_groups
    given = 0 if start is None else min(start.shape[1], num_frames)
    known = jnp.zeros((num_frames, b, n), jnp.int32)
    if start is not None:
        known = known.at[:given].set(
            rearrange(start[:, :given], "b t n -> t b n").astype(jnp.int32)
        )

    def call(method: Callable[..., Any], *args):
        return prior.apply({"params": params}, *args, method=method)

    def group(carry, j):
        state, cache, before, frame_keys = carry
        logits, cache = call(MotionPrior.group_step, state, cache, j, before)
        drawn = draw(jax.vmap(jax.random.fold_in, (0, None))(frame_keys, j), logits)
        return (state, cache, drawn, frame_keys), drawn

    def draw(keys: Key[Array, "b"], logits: Float[Array, "b k"]) -> Int[Array, "b"]:
        kept = truncated(logits / jnp.maximum(temperature, 1e-6), top_p)
        drawn = jax.vmap(jax.random.categorical)(keys, kept)
        greedy = jnp.asarray(temperature) == 0
        return jnp.where(greedy, jnp.argmax(logits, -1), drawn).astype(jnp.int32)

    def frame(carry, at):
        t, given_codes = at
        cache, before = carry
        state, cache = call(MotionPrior.advance, cache, t, before)
        frame_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, t)
        first = (state, prior.empty_group_cache(b), jnp.zeros(b, jnp.int32), frame_keys)
        _, drawn = jax.lax.scan(group, first, jnp.arange(n))
        codes = jnp.where(t < given, given_codes, drawn.T)
        return (cache, codes), codes

    first = (prior.empty_cache(b), jnp.zeros((b, n), jnp.int32))
    _, codes = jax.lax.scan(frame, first, (jnp.arange(num_frames), known))
    return rearrange(codes, "t b n -> b t n")


def truncated(logits: Float[Array, "b k"], top_p: float | Float[Array, ""]) -> Float[Array, "b k"]:
    """Logits with those of the least likely codes at -inf, which together have 1 - top_p at most.

    The likeliest code always stays.
    """
    order = jnp.argsort(-logits, axis=-1)
    probability = jnp.take_along_axis(jax.nn.softmax(logits, axis=-1), order, axis=-1)
    before = jnp.cumsum(probability, axis=-1) - probability
    first = (jnp.arange(logits.shape[-1]) == 0)[None]
    # In float32 the sum reaches 1 before the last codes: at 1 they stay all the same.
    kept = (before < top_p) | (jnp.asarray(top_p) >= 1) | first
    rank = jnp.argsort(order, axis=-1)
    return jnp.where(jnp.take_along_axis(kept, rank, axis=-1), logits, -jnp.inf)
