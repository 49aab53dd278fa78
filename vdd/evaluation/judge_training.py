"""The judge's network, and how it is trained with full supervision on sprite clips.

The judge only measures; nothing that it learns reaches the model under test. It is trained under
mild blur, noise and brightness changes, because generated frames have them: a judge that stumbles
over blur would measure blur, not content. For the same reason it is an ensemble: networks that all
classify real clips correctly disagree about blurred ones of unseen characters
(experiments/judges.py).
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from einops import rearrange
from jaxtyping import Array, Float, Int, PyTree, UInt8

from vdd.data.sprites import ATTRIBUTES, MOTIONS, NUM_VARIANTS
from vdd.progress import progress_bar

Params = PyTree


@dataclasses.dataclass(frozen=True)
class JudgeSettings:
    """All that a trained judge depends on besides its training clips and this file."""

    members: int = 3  # networks, trained on the same batches from different initial weights
    width: int = 32
    steps: int = 1000
    batch_size: int = 32  # even: half of each batch is spoilt
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    ema_decay: float = 0.98
    blur: float = 1.2  # pixels; each clip is mixed with its blurred self
    noise: float = 0.15  # greatest standard deviation, in units of the [-1, 1] range
    brightness: float = 0.05  # greatest relative change of contrast, and offset
    seed: int = 0


class JudgeNet(nn.Module):
    """A clip -> logits of its motion class and of its four attributes.

    Frames are seen one by one: patches of 8x8 pixels, merged 2x2, one residual 3x3 convolution.
    That is next to nothing, and enough for sprites. The motion head reads the frames in order, the
    attribute head averages over them.
    """

    width: int

    @nn.compact
    def __call__(
        self, video: Float[Array, "b t h w c"]
    ) -> tuple[Float[Array, "b 9"], Float[Array, "b 4 6"]]:
        """`video` in [-1, 1], 8 frames. Returns (motion logits, attribute logits)."""
        frames = video.shape[1]
        x = rearrange(video, "b t (h p) (w q) c -> (b t) h w (p q c)", p=8, q=8)
        x = nn.LayerNorm()(nn.Dense(2 * self.width)(x))
        x = rearrange(x, "b (h p) (w q) c -> b h w (p q c)", p=2, q=2)
        x = nn.LayerNorm()(nn.Dense(3 * self.width)(nn.silu(x)))
        x = x + nn.Conv(3 * self.width, (3, 3))(nn.silu(x))
        x = nn.silu(nn.LayerNorm()(rearrange(x, "b h w c -> b (h w c)")))
        x = nn.silu(nn.Dense(128)(x))
        attributes = nn.Dense(len(ATTRIBUTES) * NUM_VARIANTS)(x)
        attributes = rearrange(attributes, "(b t) (a v) -> b t a v", t=frames, a=len(ATTRIBUTES))
        x = nn.silu(nn.Dense(128)(rearrange(x, "(b t) c -> b (t c)", t=frames)))
        return nn.Dense(len(MOTIONS))(x), attributes.mean(1)


def to_float(video: UInt8[Array, "..."]) -> Float[Array, "..."]:
    """uint8 -> float32 in [-1, 1]."""
    return video.astype(jnp.float32) / 127.5 - 1


def blur_matrix(size: int, sigma: float) -> Float[np.ndarray, "size size"]:
    """The matrix that blurs a line of pixels by a Gaussian of `sigma` pixels; its rows sum to 1."""
    place = np.arange(size)
    weight = np.exp(-0.5 * ((place[:, None] - place) / sigma) ** 2)
    return (weight / weight.sum(1, keepdims=True)).astype(np.float32)


def blur(video: Float[Array, "b t h w c"], sigma: float) -> Float[Array, "b t h w c"]:
    """Gaussian blur of every frame, `sigma` in pixels, as matrix products: fast on a CPU."""
    rows, columns = (jnp.asarray(blur_matrix(size, sigma)) for size in video.shape[2:4])
    # With the channels folded into the columns nothing has to be transposed.
    columns = jnp.kron(columns, jnp.eye(video.shape[-1]))
    flat = rearrange(video, "b t h w c -> b t h (w c)")
    flat = jnp.einsum("gh,bthx,yx->btgy", rows, flat, columns)
    return rearrange(flat, "b t h (w c) -> b t h w c", c=video.shape[-1])


def augment(
    rng: Array,
    video: Float[Array, "b t h w c"],
    noise_bank: Float[Array, "m"],
    settings: JudgeSettings,
) -> Float[Array, "b t h w c"]:
    """Blurs, adds noise to, and brightens or darkens each clip by random amounts of its own.

    `noise_bank` holds more standard normal numbers than `video` has; a random stretch of it is this
    batch's noise (drawing fresh numbers would take longer than the network does).
    """
    amounts_rng, place_rng = jax.random.split(rng)
    amount, sigma, gain, offset = jax.random.uniform(amounts_rng, (4, len(video), 1, 1, 1, 1))
    video = video + amount * (blur(video, settings.blur) - video)
    video = video * (1 + settings.brightness * (2 * gain - 1))
    video = video + settings.brightness * (2 * offset - 1)
    start = jax.random.randint(place_rng, (), 0, len(noise_bank) - video.size)
    noise = jax.lax.dynamic_slice(noise_bank, (start,), (video.size,)).reshape(video.shape)
    return video + settings.noise * sigma * noise


def loss_fn(
    net: JudgeNet,
    params: Params,
    video: Float[Array, "b t h w c"],
    motion: Int[Array, "b"],
    attributes: Int[Array, "b 4"],
) -> Float[Array, ""]:
    """Mean cross-entropy of the motion class plus that of the four attributes, nats."""
    logits: Any = net.apply({"params": params}, video)
    motion_logits, attribute_logits = logits
    cross_entropy = optax.softmax_cross_entropy_with_integer_labels
    return (
        cross_entropy(motion_logits, motion).mean()
        + cross_entropy(attribute_logits, attributes).sum(-1).mean()
    )


def train_judge(
    video: UInt8[np.ndarray, "n t h w c"],
    motion: Int[np.ndarray, "n"],
    attributes: Int[np.ndarray, "n 4"],
    settings: JudgeSettings,
    show_progress: bool = True,
) -> Params:
    """Trains a judge on labelled clips (the train split alone).

    The result is a function of the arguments alone, up to the order of floating-point sums.

    Returns:
      the averaged parameters of all members, stacked along a first axis.
    """
    net = JudgeNet(settings.width)
    init_rng, noise_rng, augment_rng = jax.random.split(jax.random.key(settings.seed), 3)
    clip = to_float(jnp.asarray(video[:1]))
    members = [
        net.init(key, clip)["params"] for key in jax.random.split(init_rng, settings.members)
    ]
    noise_bank = jax.random.normal(noise_rng, (settings.batch_size * video[0].size,))
    schedule = optax.cosine_onecycle_schedule(settings.steps, settings.learning_rate, pct_start=0.1)
    adam = optax.adamw(schedule, b2=0.99, weight_decay=settings.weight_decay)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), adam)

    @jax.jit
    def step(states, noise_bank, index, video, motion, attributes):
        sharp, spoilt = jnp.split(to_float(video), 2)
        spoilt = augment(jax.random.fold_in(augment_rng, index), spoilt, noise_bank, settings)
        video = jnp.concatenate([sharp, spoilt])

        def member_step(params, average, opt_state):
            grads = jax.grad(loss_fn, argnums=1)(net, params, video, motion, attributes)
            updates, opt_state = optimizer.update(grads, opt_state, params)
            params = optax.apply_updates(params, updates)
            average = optax.incremental_update(params, average, 1 - settings.ema_decay)
            return params, average, opt_state

        # One after the other: a convolution under vmap is one in groups, slow on a CPU.
        return [member_step(*state) for state in states]

    states = [(params, params, optimizer.init(params)) for params in members]
    batches = _random_batches(len(video), settings)
    with progress_bar("training the judge", settings.steps, show_progress) as advance:
        for index, rows in zip(range(settings.steps), batches):
            states = step(states, noise_bank, index, video[rows], motion[rows], attributes[rows])
            jax.block_until_ready(states)  # else the bar would run ahead
            advance(1)
    return jax.tree.map(lambda *parts: jnp.stack(parts), *(average for _, average, _ in states))


def _random_batches(count: int, settings: JudgeSettings) -> Iterator[Int[np.ndarray, "b"]]:
    """Rows of one batch after another, every row once in each pass, without end."""
    order = np.random.default_rng(settings.seed)
    queue = np.empty(0, np.int64)
    while True:
        while len(queue) < settings.batch_size:
            queue = np.concatenate([queue, order.permutation(count)])
        rows, queue = np.split(queue, [settings.batch_size])
        yield rows
