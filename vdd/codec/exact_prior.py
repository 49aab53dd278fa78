"""The prior of motion codes in whole numbers: what `vdd.models.prior` computes, to the bit.

One differing bit destroys an arithmetic code, and no two machines, libraries or batch sizes sum
floats alike. So the codec does not ask the network, but this: the same equations (numbered as
there), layers of `fixed_point`, no JAX. Keys and values of past frames are kept, so that a frame
costs the same wherever in the chunk it is.
"""

from typing import Protocol

import numpy as np
from einops import rearrange
from jaxtyping import Float, Int, PyTree

from vdd.codec.entropy_model import PRIOR
from vdd.codec.fixed_point import (
    Linear,
    RMSNorm,
    attend,
    clip_query,
    clip_value,
    exponentials,
    to_fixed,
)
from vdd.codec.range_coder import to_frequencies
from vdd.errors import UserError


class Sizes(Protocol):
    """What is needed of a `vdd.models.prior.MotionPrior`, beside its parameters."""

    num_groups: int
    num_codes: int
    width: int
    time_layers: int
    group_layers: int
    num_heads: int

    @property
    def span(self) -> int:
        """Frames that a time layer looks back over."""
        ...


class ExactPrior:
    """An `EntropyModel` that computes in whole numbers."""

    kind = PRIOR

    def __init__(self, sizes: Sizes, params: PyTree, fingerprint: bytes):
        """Round the parameters of a prior.

        Raises:
            UserError: its parameters are not finite.
        """
        self.fingerprint = fingerprint
        self.num_groups, self.num_codes = sizes.num_groups, sizes.num_codes
        self.span, self.heads = sizes.span, sizes.num_heads
        self.bos = _fixed(params, "bos")
        self.frame_embedding = _fixed(params, "frame_embedding")
        self.relative_bias = _fixed(params, "relative_bias")
        self.group_position = _fixed(params, "group_position")
        if self.num_groups > 1:
            self.group_embedding = _fixed(params, "group_embedding")
        self.head = [Linear(kernel) for kernel in _array(params, "head")]
        self.time_blocks = [
            _Block(params[f"time_blocks_{i}"], sizes.num_heads) for i in range(sizes.time_layers)
        ]
        self.group_blocks = [
            _Block(params[f"group_blocks_{i}"], sizes.num_heads) for i in range(sizes.group_layers)
        ]
        self.time_norm = RMSNorm(_array(params["time_norm"], "scale"))
        self.group_norm = RMSNorm(_array(params["group_norm"], "scale"))

    def start(self, batch: int) -> "_State":
        """The state before the first code of `batch` clips."""
        return _State(self, batch)


class _State:
    """Frame `self._frame`, group `self._group`; `self._codes` are this frame's codes so far."""

    def __init__(self, prior: ExactPrior, batch: int):
        self._prior = prior
        self._frame = self._group = 0
        self._codes = np.zeros((batch, prior.num_groups), np.int64)
        width = prior.bos.size
        shape = (batch, prior.span, prior.heads, width // prior.heads)
        self._time = [_Cache(shape) for _ in prior.time_blocks]
        # Written anew in each frame: a group sees but the places before its own.
        self._groups = [_Cache((batch, prior.num_groups, *shape[2:])) for _ in prior.group_blocks]
        self._h: np.ndarray | None = None  # of this frame, once it is asked for
        self._table: np.ndarray | None = None

    def frequencies(self) -> Int[np.ndarray, "b k"]:
        if self._table is None:
            self._table = to_frequencies(exponentials(self._logits()))
        return self._table

    def push(self, codes: Int[np.ndarray, "b"]) -> None:
        self.frequencies()  # fills the caches, should nobody have asked
        self._codes[:, self._group] = codes
        self._table, self._group = None, self._group + 1
        if self._group == self._prior.num_groups:
            self._h, self._frame, self._group = None, self._frame + 1, 0

    def _logits(self) -> Float[np.ndarray, "b k"]:
        prior, group = self._prior, self._group
        if self._h is None:
            self._h = self._advance()
        y = self._h + prior.group_position[group][None]  # (4)
        if group:
            y = y + prior.group_embedding[group - 1, self._codes[:, group - 1]]
        no_bias = np.zeros((group + 1, prior.heads))
        for block, cache in zip(prior.group_blocks, self._groups, strict=True):
            y = block(y, cache, group, no_bias)  # (5)
        return prior.head[group](prior.group_norm(y))  # (6)

    def _advance(self) -> Float[np.ndarray, "b d"]:
        prior, frame = self._prior, self._frame
        if frame:
            groups = np.arange(prior.num_groups)[None]
            x = np.sum(prior.frame_embedding[groups, self._codes], axis=1)  # (1)
        else:
            x = np.repeat(prior.bos[None], len(self._codes), axis=0)
        places = np.arange(min(frame + 1, prior.span))
        bias = prior.relative_bias[(frame - places) % prior.span]
        for block, cache in zip(prior.time_blocks, self._time, strict=True):
            x = block(x, cache, frame % prior.span, bias)  # (2)
        return prior.time_norm(x)  # (3)


class _Cache:
    """Keys and values of the tokens behind, by place."""

    def __init__(self, shape: tuple[int, ...]):
        self.keys, self.values = np.zeros(shape), np.zeros(shape)


class _Block:
    """One layer, equations (7) to (9)."""

    def __init__(self, params: PyTree, heads: int):
        self._heads = heads
        self._attention_norm, self._mlp_norm = (
            RMSNorm(_array(params[name], "scale")) for name in ("attention_norm", "mlp_norm")
        )
        self._q, self._k, self._v, self._o, self._mlp_in, self._mlp_out = (
            Linear(_array(params[name], "kernel"))
            for name in ("q", "k", "v", "o", "mlp_in", "mlp_out")
        )

    def __call__(
        self,
        x: Float[np.ndarray, "b d"],
        cache: _Cache,
        place: int,
        bias: Float[np.ndarray, "s h"],
    ) -> Float[np.ndarray, "b d"]:
        """One token of each clip, kept at `place`; it sees the first places, as many as biases."""
        u = self._attention_norm(x)
        query, key, value = (
            rearrange(layer(u), "b (h e) -> b h e", h=self._heads)
            for layer in (self._q, self._k, self._v)
        )
        seen, places = len(bias), cache.keys.shape[1]
        cache.keys[:, place] = clip_query(key)
        cache.values[:, place] = clip_value(value, places)
        mixed = attend(clip_query(query), cache.keys[:, :seen], cache.values[:, :seen], bias)
        x = x + self._o(rearrange(mixed, "b h e -> b (h e)"))
        return x + self._mlp_out(np.maximum(self._mlp_in(self._mlp_norm(x)), 0.0))


def _array(params: PyTree, name: str) -> np.ndarray:
    array = np.asarray(params[name], np.float64)
    if not np.isfinite(array).all():
        raise UserError("the prior's parameters are not finite numbers: its training diverged")
    return array


def _fixed(params: PyTree, name: str) -> np.ndarray:
    return to_fixed(_array(params, name))
