"""Cross-driving: cut a clip in two, so that content must come from frames that it does not show.

A splitter takes a clip's frame count and says which frames go to the first and which to the second
segment. Content of one segment and motion of the other rebuild the other (paper, cross-driving);
both ways are used in each step.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

Splitter = Callable[[PRNGKeyArray, int], Int[Array, "2 s"]]


def halves(rng: PRNGKeyArray, num_frames: int) -> Int[Array, "2 s"]:
    """The first and the second half in time, in random order; the odd frame is left out."""
    half = num_frames // 2
    segments = jnp.stack([jnp.arange(half), jnp.arange(num_frames - half, num_frames)])
    return jnp.where(jax.random.bernoulli(rng), segments, segments[::-1])


def quarters(rng: PRNGKeyArray, num_frames: int) -> Int[Array, "2 s"]:
    """The first and the last quarter in time, in random order; the frames between are left out."""
    size = max(1, num_frames // 4)
    segments = jnp.stack([jnp.arange(size), jnp.arange(num_frames - size, num_frames)])
    return jnp.where(jax.random.bernoulli(rng), segments, segments[::-1])


def apart(rng: PRNGKeyArray, num_frames: int) -> Int[Array, "2 s"]:
    """The first and the last third in time, in random order; the third between is left out."""
    size = max(1, num_frames // 3)
    segments = jnp.stack([jnp.arange(size), jnp.arange(num_frames - size, num_frames)])
    return jnp.where(jax.random.bernoulli(rng), segments, segments[::-1])


def subsets(rng: PRNGKeyArray, num_frames: int) -> Int[Array, "2 s"]:
    """Two disjoint random sets of frames, each in order of time."""
    half = num_frames // 2
    order = jax.random.permutation(rng, num_frames)[: 2 * half]
    return jnp.sort(order.reshape(2, half), axis=1)


def same(rng: PRNGKeyArray, num_frames: int) -> Int[Array, "2 s"]:
    """The whole clip twice: no cross-driving (the paper's ablation)."""
    del rng
    return jnp.tile(jnp.arange(num_frames)[None], (2, 1))


SPLITTERS: dict[str, Splitter] = {
    "halves": halves,
    "quarters": quarters,
    "apart": apart,
    "subsets": subsets,
    "same": same,
}
