"""Cross-driving: cut a clip in two, so that content must come from frames that it does not show.

A splitter takes a clip's frame count and says which frames go to the first and which to the second
segment. Content of one segment and motion of the other rebuild the other (paper, cross-driving);
both ways are used in each step.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Int, PRNGKeyArray

Splitter = Callable[[PRNGKeyArray, int], Int[Array, "2 s"]]


def halves(rng: PRNGKeyArray, num_frames: int) -> Int[Array, "2 s"]:
    """The first and the second half in time, in random order; the odd frame is left out."""
    return _ends(rng, num_frames, num_frames // 2)


def quarters(rng: PRNGKeyArray, num_frames: int) -> Int[Array, "2 s"]:
    """The first and the last quarter in time, in random order; the frames between are left out."""
    return _ends(rng, num_frames, max(1, num_frames // 4))


def apart(rng: PRNGKeyArray, num_frames: int) -> Int[Array, "2 s"]:
    """The first and the last third in time, in random order; the third between is left out.

    Pieces that touch share the action that straddles the cut, and content learns to tell it. Of
    whole actions one after another (Universal LPC, 6 to 13 frames each), of touching pieces of 16
    frames 35 % of the frames of one show a motion that the other shows too (of 8 frames: 52 %).
    With as many frames left out between them, 13 % do, as chance has it (8 frames, 16 left out:
    8 %).
    """
    return _ends(rng, num_frames, max(1, num_frames // 3))


def subsets(rng: PRNGKeyArray, num_frames: int) -> Int[Array, "2 s"]:
    """Two disjoint random sets of frames, each in order of time."""
    half = num_frames // 2
    order = jax.random.permutation(rng, num_frames)[: 2 * half]
    return jnp.sort(rearrange(order, "(k s) -> k s", k=2), axis=1)


def same(rng: PRNGKeyArray, num_frames: int) -> Int[Array, "2 s"]:
    """The whole clip twice: no cross-driving (the paper's ablation)."""
    del rng
    return jnp.tile(jnp.arange(num_frames)[None], (2, 1))


def _ends(rng: PRNGKeyArray, num_frames: int, size: int) -> Int[Array, "2 s"]:
    """The first and the last `size` frames, in random order."""
    segments = jnp.stack([jnp.arange(size), jnp.arange(num_frames - size, num_frames)])
    return jnp.where(jax.random.bernoulli(rng), segments, segments[::-1])


def segments_shape(split: str, num_frames: int) -> tuple[int, ...]:
    """How many segments a clip of so many frames is cut into, and how many frames each has."""
    cut = SPLITTERS[split]
    return jax.eval_shape(lambda rng: cut(rng, num_frames), jax.random.key(0)).shape


SPLITTERS: dict[str, Splitter] = {
    "halves": halves,
    "quarters": quarters,
    "apart": apart,
    "subsets": subsets,
    "same": same,
}
