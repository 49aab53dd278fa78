"""Clips, and swaps of them, as a trained model reads them: what `vdd compress` learns from.

A swap shows the content of one clip in the motion of another. Read again, it ought to give the same
content tokens and the same codes; where it does not, they hold more than they should.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Float, Int, UInt8

from vdd import compiled
from vdd.errors import UserError
from vdd.method.disentangler import Disentangler
from vdd.progress import progress_bar

_STREAM = 3  # of random numbers; those below are vdd.method.step's
_BATCH = 64


class Readings(NamedTuple):
    """n clips, and r swaps with the content of each."""

    content: Float[np.ndarray, "n r+1 k d"]  # of each clip, then as read from its swaps
    codes: Int[np.ndarray, "n t g"]  # of each clip
    drawn: Int[np.ndarray, "n r t g"]  # codes, another clip's, that each swap was drawn from
    read: Int[np.ndarray, "n r t g"]  # codes read from the swap


def read(
    model: Disentangler,
    params: dict,
    video: UInt8[np.ndarray, "n t h w c"],
    num_swaps: int = 3,
    seed: int = 0,
    show_progress: bool = True,
) -> Readings:
    """Readings of clips and of `num_swaps` swaps with the content of each.

    Raises:
        UserError: there are too few clips.
    """
    if len(video) < 2:
        raise UserError(f"a swap takes two clips, and there are {len(video)}")

    def encode(params, video):
        encoded = compiled.encode(model, params, video)
        return encoded.content, encoded.codes

    @jax.jit
    def reread(params, content, codes):
        apply = partial(apply_method, model, params)
        swap = apply(Disentangler.mean, content, apply(Disentangler.lookup, codes))
        content, motion, _ = apply(Disentangler.read, swap)
        read = apply(Disentangler.quantize, motion).codes
        return apply(Disentangler.compress, content).tokens, read

    count = len(video)
    size = min(_BATCH, count)

    def in_batches(function, *arrays):
        parts = []
        for start in range(0, count, size):
            rows = np.arange(start, start + size) % count  # one shape, so that one program will do
            parts.append(jax.tree.map(np.asarray, function(params, *(x[rows] for x in arrays))))
            advance(min(size, count - start))
        return jax.tree.map(lambda *x: np.concatenate(x)[:count], *parts)

    order = np.random.default_rng((seed, _STREAM))
    with progress_bar("reading clips and swaps", count * (1 + num_swaps), show_progress) as advance:
        content, codes = in_batches(encode, video)
        contents, drawn, read = [content], [], []
        for _ in range(num_swaps):
            others = (np.arange(count) + order.integers(1, count, count)) % count
            drawn.append(codes[others])
            again, recoded = in_batches(reread, content, drawn[-1])
            contents.append(again)
            read.append(recoded)
    return Readings(np.stack(contents, 1), codes, np.stack(drawn, 1), np.stack(read, 1))


def apply_method(module: nn.Module, params: dict, method: Callable[..., Any], *args) -> Any:
    """The result of a method of a module."""
    return module.apply({"params": params}, *args, method=method)
