"""The prior over motion codes: an autoregressive transformer, frame by frame and group by group.

One frame is n codes c[t, 0..n-1], each one of k. Their probability is factorised in the order of
time and, within a frame, of the groups:

    p(c) = prod over t, j of p(c[t, j] | c[<t], c[t, <j])

A time transformer reads one vector a frame and gives a state h[t]; a small group transformer reads
h[t] and the codes of this frame so far. So the cost grows with t * n and not with (t * n)^2.

One step, exactly (d the width, e = d / heads, no bias vector anywhere, all in float32; E the frame
embedding [n k d], G the group embedding [n-1 k d], P the group position [n d], R the relative bias
[span heads], W the head [n d k]):

    x[0]    = bos                                 (1)  input of the first frame
    x[t]    = sum over j of E[j, c[t-1, j]]       (1)  input of every other
    x       = block(x)  for each time layer       (2)  t sees the frames s = t - span + 1 .. t
    h       = norm(x)                             (3)  time_norm
    y[t, 0] = h[t] + P[0]                         (4)
    y[t, j] = h[t] + P[j] + G[j-1, c[t, j-1]]     (4)  j > 0
    y       = block(y)  for each group layer      (5)  j sees the groups 0 .. j of its frame; R = 0
    logits[t, j] = norm(y[t, j]) @ W[j]           (6)  group_norm

    block(x): u = norm(x)                         (7)  attention_norm
              q, k, v = u @ q, u @ k, u @ v       (7)  each cut into heads of e, head by head
              a[t, s] = softmax over s of (q[t] . k[s] + R[t - s])
                                                  (8)  by head; not divided by sqrt(e), as in T5
              x = x + (a @ v, heads side by side) @ o
              x = x + relu(norm(x) @ mlp_in) @ mlp_out            (9)  mlp_norm
    norm(x) = x / sqrt(mean(x^2) + 1e-6) * scale  (10)

Each time layer looks back over `span` frames, of which as many are stacked as make `window`:
span = (window - 1) // time_layers + 1. Hence frame t depends on the codes of frames t - window ..
t - 1 and on nothing before; what was learned on clips longer than `window` holds for any length,
and a cache of `span` frames a layer, a ring, is all that generation needs to keep.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float, Int

from vdd import errors
from vdd.models.layers import RMSNorm

MASKED = -1e9  # logit of what must not be seen: its weight is exactly 0 in float32


class KeyValue(NamedTuple):
    """What a layer keeps of the tokens behind it."""

    keys: Float[Array, "b s h e"]
    values: Float[Array, "b s h e"]


Cache = tuple[KeyValue, ...]  # one of each layer


class Block(nn.Module):
    """One layer, equations (7) to (9)."""

    width: int
    num_heads: int
    mlp_dim: int

    def setup(self):
        """T5's initialisation: logits are not divided by sqrt(e), the weights of q are."""
        head_dim = self.width // self.num_heads
        self.attention_norm, self.mlp_norm = RMSNorm(), RMSNorm()
        self.q = _dense(self.width, (self.width * head_dim) ** -0.5)
        self.k = _dense(self.width, self.width**-0.5)
        self.v = _dense(self.width, self.width**-0.5)
        self.o = _dense(self.width, self.width**-0.5)
        self.mlp_in = _dense(self.mlp_dim, self.width**-0.5)
        self.mlp_out = _dense(self.width, self.mlp_dim**-0.5)

    def __call__(
        self, x: Float[Array, "b s d"], bias: Float[Array, "h s s"]
    ) -> Float[Array, "b s d"]:
        """All tokens at once; `bias` [head, to, from] hides what is not to be seen."""
        query, new = self._project(x)
        return self._finish(x, query, new, bias)

    def step(
        self,
        x: Float[Array, "b d"],
        cache: KeyValue,
        slot: Int[Array, ""],
        bias: Float[Array, "h s"],
    ) -> tuple[Float[Array, "b d"], KeyValue]:
        """One token, which takes place `slot` of the cache; `bias` is by place."""
        query, new = self._project(x[:, None])
        cache = KeyValue(
            *(
                jax.lax.dynamic_update_slice_in_dim(old, fresh, slot, axis=1)
                for old, fresh in zip(cache, new, strict=True)
            )
        )
        return self._finish(x[:, None], query, cache, bias[:, None])[:, 0], cache

    def _project(self, x: Float[Array, "b s d"]) -> tuple[Float[Array, "b s h e"], KeyValue]:
        u = self.attention_norm(x)
        q, k, v = (
            rearrange(dense(u), "b s (h e) -> b s h e", h=self.num_heads)
            for dense in (self.q, self.k, self.v)
        )
        return q, KeyValue(k, v)

    def _finish(
        self,
        x: Float[Array, "b q d"],
        query: Float[Array, "b q h e"],
        seen: KeyValue,
        bias: Float[Array, "h q s"],
    ) -> Float[Array, "b q d"]:
        logits = jnp.einsum("bqhe,bshe->bhqs", query, seen.keys) + bias[None]
        weights = jax.nn.softmax(logits, axis=-1)
        y = jnp.einsum("bhqs,bshe->bqhe", weights, seen.values)
        x = x + self.o(rearrange(y, "b q h e -> b q (h e)"))
        return x + self.mlp_out(nn.relu(self.mlp_in(self.mlp_norm(x))))


class MotionPrior(nn.Module):
    """p(codes); the equations are the module's.

    `__call__` gives all logits of known codes; `advance` and `group_step` give those of one frame
    and of one group, from caches.
    """

    num_groups: int
    num_codes: int
    width: int
    time_layers: int
    group_layers: int
    num_heads: int
    mlp_dim: int
    window: int  # frames that a frame depends on, at most

    def __post_init__(self):
        """Raises SettingError for sizes that cannot be, or do not fit each other."""
        errors.at_least(1, self, "mlp_dim", "window", "time_layers", "group_layers")
        errors.divides("num_heads", "width", self)
        super().__post_init__()

    @property
    def span(self) -> int:
        """Frames that a time layer looks back over, the present one included."""
        return (self.window - 1) // self.time_layers + 1

    def setup(self):
        """Parameters by the names of the equations."""
        n, k, d = self.num_groups, self.num_codes, self.width
        normal = nn.initializers.normal
        self.bos = self.param("bos", normal(1.0), (d,))
        self.frame_embedding = self.param("frame_embedding", normal(n**-0.5), (n, k, d))
        self.relative_bias = self.param(
            "relative_bias", normal(d**-0.5), (self.span, self.num_heads)
        )
        self.group_position = self.param("group_position", normal(1.0), (n, d))
        if n > 1:
            self.group_embedding = self.param("group_embedding", normal(1.0), (n - 1, k, d))
        self.head = self.param("head", nn.initializers.zeros, (n, d, k))
        sizes = (d, self.num_heads, self.mlp_dim)
        self.time_blocks = [Block(*sizes) for _ in range(self.time_layers)]
        self.group_blocks = [Block(*sizes) for _ in range(self.group_layers)]
        self.time_norm, self.group_norm = RMSNorm(), RMSNorm()

    def __call__(self, codes: Int[Array, "b t n"]) -> Float[Array, "b t n k"]:
        """Logits of every code, given all before it; those of frame t, group j see no later one."""
        b, t, n = codes.shape
        embedded = jnp.sum(_look_up(self.frame_embedding, codes[:, :-1]), axis=2)
        first = jnp.broadcast_to(self.bos[None, None], (b, 1, self.width))
        x = jnp.concatenate([first, embedded], axis=1)
        offset = jnp.arange(t)[:, None] - jnp.arange(t)[None, :]
        bias = self._time_bias(offset, (offset >= 0) & (offset < self.span))
        for block in self.time_blocks:
            x = block(x, bias)
        y = self.time_norm(x)[:, :, None] + self.group_position[None, None]
        if n > 1:
            before = _look_up(self.group_embedding, codes[:, :, :-1])
            y = y + jnp.pad(before, [(0, 0), (0, 0), (1, 0), (0, 0)])
        hidden = jnp.where(jnp.tri(n, dtype=bool), 0.0, MASKED)
        y = rearrange(y, "b t n d -> (b t) n d")
        for block in self.group_blocks:
            y = block(y, jnp.broadcast_to(hidden[None], (self.num_heads, n, n)))
        y = rearrange(self.group_norm(y), "(b t) n d -> b t n d", b=b)
        return jnp.einsum("btnd,ndk->btnk", y, self.head)

    def empty_cache(self, batch: int) -> Cache:
        """The caches of the time layers before the first frame; needs no parameters."""
        return self._empty(batch, self.span, self.time_layers)

    def empty_group_cache(self, batch: int) -> Cache:
        """The caches of the group layers before the first group of a frame."""
        return self._empty(batch, self.num_groups, self.group_layers)

    def advance(
        self,
        cache: Cache,
        frame: Int[Array, ""],
        previous: Int[Array, "b n"],
    ) -> tuple[Float[Array, "b d"], Cache]:
        """State h of a frame from the codes of the frame before, which frame 0 does not look at.

        Frame t lies at place t % span of the caches.
        """
        embedded = jnp.sum(_look_up(self.frame_embedding, previous[:, None])[:, 0], axis=1)
        x = jnp.where(frame == 0, self.bos[None], embedded)
        offset = (frame - jnp.arange(self.span)) % self.span
        bias = self._time_bias(offset, offset <= frame)
        caches = []
        for block, kept in zip(self.time_blocks, cache, strict=True):
            x, kept = block.step(x, kept, frame % self.span, bias)
            caches.append(kept)
        return self.time_norm(x), tuple(caches)

    def group_step(
        self,
        state: Float[Array, "b d"],
        cache: Cache,
        group: Int[Array, ""],
        previous: Int[Array, "b"],
    ) -> tuple[Float[Array, "b k"], Cache]:
        """Logits of a group from h and the code of the group before, which group 0 does not see."""
        y = state + self.group_position[group][None]
        if self.num_groups > 1:
            before = self.group_embedding[jnp.maximum(group - 1, 0), previous]
            y = y + jnp.where(group == 0, 0.0, before)
        seen = jnp.where(jnp.arange(self.num_groups) <= group, 0.0, MASKED)
        bias = jnp.broadcast_to(seen[None], (self.num_heads, self.num_groups))
        caches = []
        for block, kept in zip(self.group_blocks, cache, strict=True):
            y, kept = block.step(y, kept, group, bias)
            caches.append(kept)
        return self.group_norm(y) @ self.head[group], tuple(caches)

    def _empty(self, batch: int, places: int, layers: int) -> Cache:
        shape = (batch, places, self.num_heads, self.width // self.num_heads)
        return tuple(KeyValue(jnp.zeros(shape), jnp.zeros(shape)) for _ in range(layers))

    def _time_bias(self, offset: Int[Array, "*q"], seen: Array) -> Float[Array, "h *q"]:
        """R by offset, heads first; what is not seen is masked."""
        bias = self.relative_bias[jnp.clip(offset, 0, self.span - 1)]
        return rearrange(jnp.where(seen[..., None], bias, MASKED), "... h -> h ...")


def _dense(features: int, std: float) -> nn.Dense:
    return nn.Dense(features, use_bias=False, kernel_init=nn.initializers.normal(std))


def _look_up(table: Float[Array, "n k d"], codes: Int[Array, "b t n"]) -> Float[Array, "b t n d"]:
    return table[jnp.arange(table.shape[0])[None, None], codes]


def code_bits(logits: Float[Array, "b t n k"], codes: Int[Array, "b t n"]) -> Float[Array, "b t n"]:
    """Bits that each code costs: its cross-entropy under the logits."""
    nats = -jnp.take_along_axis(jax.nn.log_softmax(logits), codes[..., None], axis=-1)
    return nats[..., 0] / math.log(2.0)
