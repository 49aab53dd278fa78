"""Training of an image autoencoder on the frames of clips.

The loss of a frame is

    L1 + gradient_weight * (L1 of the error's gradient, at several scales) + kl_weight * nats

L1 alone gets large surfaces right and blurs edges, which are few pixels. Beside it stands what sees
edges and can be had without a download, as the features of LPIPS cannot: differences between
neighbours, in the frame and in the frame made smaller, so that long edges count as fine ones do.
MS-SSIM, the other choice, wants 176 pixels for its five scales, and divides by local variances,
which are zero in flat art.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from einops import rearrange, reduce
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from vdd import errors
from vdd.config import Config
from vdd.models.autoencoder.kl import KLAutoencoder
from vdd.pixels import to_float
from vdd.training.optimizer import Optimizer
from vdd.training.update import (
    LOSS_STREAM,
    Training,
    accumulated_gradient,
    moving_average,
    step_key,
)


@dataclass(frozen=True)
class Objective:
    """Weights and sizes of the loss; the keys of `config.objective`."""

    frames: int  # of each clip, drawn anew in each step
    gradient_weight: float
    scales: int  # at which gradients are compared, each half the one before
    kl_weight: float  # per nat of a frame

    def __post_init__(self):
        errors.at_least(1, self, "frames", "scales")
        errors.at_least(0, self, "gradient_weight", "kl_weight")


@flax.struct.dataclass
class TrainState:
    """Everything that training changes, and nothing else; arrays only."""

    step: Int[Array, ""]
    params: dict
    ema_params: dict
    opt_state: optax.OptState


@errors.group("model")
def build_model(settings: Config) -> KLAutoencoder:
    """The network of `config.model`; its keys are the fields of `KLAutoencoder`."""
    fields = dict(settings)
    return KLAutoencoder(**{**fields, "dtype": jnp.dtype(fields["dtype"])})


def build(config: Config) -> Training:
    """The training functions of a config (keys model, objective, optimizer, train)."""
    model = build_model(config.model)
    objective = errors.built("objective", Objective, config.objective)
    optimizer = errors.built("optimizer", Optimizer, config.optimizer)
    transform = optimizer.build(config.train.num_steps)
    schedule = optimizer.schedule(config.train.num_steps)
    decay, accumulate = config.train.ema_decay, config.train.accumulate

    def init(rng: PRNGKeyArray, batch: dict[str, Array]) -> TrainState:
        params: PyTree = model.init(rng, to_float(batch["video"][:1, 0]))["params"]
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            ema_params=jax.tree.map(jnp.copy, params),
            opt_state=transform.init(params),
        )

    def loss(params, batch, rng):
        total, metrics = reconstruction_loss(objective, model, params, batch, rng)
        return total, (metrics, (), jnp.zeros(()))

    def step(state: TrainState, batch: dict[str, Array]) -> tuple[TrainState, dict[str, Array]]:
        rng = step_key(config.seed, LOSS_STREAM, state.step)
        grads, (metrics, _, _) = accumulated_gradient(loss, state.params, batch, rng, accumulate)
        updates, opt_state = transform.update(grads, state.opt_state, state.params)
        params: PyTree = optax.apply_updates(state.params, updates)
        average = moving_average(state.ema_params, params, state.step, decay)
        metrics = {
            **metrics,
            "gradient_norm": optax.tree.norm(grads),
            "learning_rate": schedule(state.step),
        }
        return TrainState(state.step + 1, params, average, opt_state), metrics

    return Training(init, step)


def reconstruction_loss(
    objective: Objective,
    model: KLAutoencoder,
    params: dict,
    batch: dict[str, Array],
    rng: PRNGKeyArray,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The loss of one batch, video uint8 [b t h w 3]; and its parts.

    Raises:
        UserError: the sides of the frames are no multiples of what the network folds together.
    """
    rng_frames, rng_latents = jax.random.split(rng)
    video = batch["video"]
    times = jax.random.randint(rng_frames, (len(video), objective.frames), 0, video.shape[1])
    frames = jnp.take_along_axis(video, times[:, :, None, None, None], axis=1)
    frames = to_float(rearrange(frames, "b t h w c -> (b t) h w c"))

    def apply(method: Callable[..., Any], x: Array) -> Any:
        return model.apply({"params": params}, x, method=method)

    posterior = apply(KLAutoencoder.posterior, frames)
    error = apply(KLAutoencoder.decode, posterior.sample(rng_latents)) - frames

    parts = {
        "l1": jnp.mean(jnp.abs(error)),
        "gradient": jnp.mean(gradient_size(error, objective.scales)),
        "kl_bits": jnp.mean(posterior.nats()) / jnp.log(2.0),
    }
    total = (
        parts["l1"]
        + objective.gradient_weight * parts["gradient"]
        + objective.kl_weight * parts["kl_bits"] * jnp.log(2.0)
    )
    return total, {"loss": total, **parts}


def gradient_size(images: Float[Array, "n h w c"], scales: int) -> Float[Array, "n"]:
    """Mean absolute difference of neighbours, across and down, averaged over `scales`.

    Each scale is the one before with blocks of 2 x 2 pixels averaged. Of the error of an image this
    is the distance between two images' gradients, since to differentiate is linear.
    """
    sizes = []
    for scale in range(scales):
        if scale:
            _, h, w, _ = images.shape
            even = images[:, : h // 2 * 2, : w // 2 * 2]
            images = reduce(even, "n (h i) (w j) c -> n h w c", "mean", i=2, j=2)
        across, down = jnp.diff(images, axis=2), jnp.diff(images, axis=1)
        sizes += [jnp.mean(jnp.abs(x), axis=(1, 2, 3)) for x in (across, down)]
    return jnp.mean(jnp.stack(sizes), axis=0)
