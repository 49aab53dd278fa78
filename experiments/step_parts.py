"""The parts of a training step, each alone: forward, backward, on as many frames as in a step."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vdd.method.disentangler import Disentangler
from vdd.method.step import Recipe, TrainState, trained
from vdd.training.update import moving_average


class Inputs(NamedTuple):
    """What the parts are given: noise, of the shapes that a step has; frames are [.. h w c]."""

    segments: np.ndarray  # [2b s h w c] that the encoder reads
    swaps: np.ndarray  # [r t h w c] that it reads again
    content: np.ndarray  # [2b k d] the read-out draws
    motion: np.ndarray  # [2b f m]
    swapped: np.ndarray  # [r t m] motion of the swaps that it draws, forward alone
    noisy: np.ndarray  # [n g h w c] the network sees
    sigma: np.ndarray  # [n g]
    seen: tuple[np.ndarray, np.ndarray]  # content [n k d] and motion [n g m] of these


def inputs(recipe: Recipe, video: np.ndarray) -> Inputs:
    """Of a step on a batch of video [b t h w c]."""
    rng, model, objective = np.random.default_rng(0), recipe.model, recipe.objective
    clips, frames, reread = 2 * len(video), video.shape[1], objective.reread_clips
    book, places = model.quantizer.codebook, model.latents.shape
    width = book.num_groups * book.code_dim
    noisy = (objective.noisy_segments, objective.noisy_frames)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    return Inputs(
        segments=normal(clips, objective.segment_frames(frames), *places),
        swaps=normal(reread, frames, *places),
        content=normal(clips, *model.content_shape),
        motion=normal(clips, objective.mean_frames, width),
        swapped=normal(reread, frames, width),
        noisy=normal(*noisy, *places),
        sigma=np.exp(normal(*noisy)),
        seen=(normal(noisy[0], *model.content_shape), normal(*noisy, width)),
    )


def jax_parts(recipe: Recipe, state: TrainState, video: np.ndarray) -> dict[str, Callable]:
    """A call for each part, which waits for its result."""
    given = jax.device_put(inputs(recipe, video))
    model, params = recipe.model, state.params
    reread = bool(recipe.objective.reread_clips)

    def apply(params: Any, method: Any, *args: Any) -> Any:
        return model.apply({"params": params}, *args, method=method)

    def encoder(params: Any) -> jax.Array:
        clips = (given.segments, given.swaps) if reread else (given.segments,)
        read = [apply(params, Disentangler.encode_in_training, x)[0] for x in clips]
        return _square([(x.content, x.motion) for x in read])

    def readout(params: Any, content: jax.Array, motion: jax.Array) -> Any:
        each = content[: len(given.swapped)]
        swap = apply(params, Disentangler.mean, each, given.swapped) if reread else ()
        return _square(apply(params, Disentangler.mean, content, motion)), swap

    def network(params: Any, content: jax.Array, motion: jax.Array) -> jax.Array:
        frames = (given.noisy, given.sigma, content, motion, given.noisy)
        return _square(apply(params, Disentangler.denoise, *frames))

    read = {name: params[name] for name in ("encoder", "motion_head", "quantizer")}
    drawn = {"denoiser": {"readout": params["denoiser"]["readout"]}}
    left_out = () if model.denoiser.sight else ("readout",)
    refined = {k: x for k, x in params["denoiser"].items() if k not in left_out}
    both = (0, 1, 2)
    return {
        "encoder": _waiting(jax.grad(encoder), read),
        "read-out": _waiting(
            jax.grad(readout, both, has_aux=True), drawn, given.content, given.motion
        ),
        "UNet": _waiting(jax.grad(network, both), {"denoiser": refined}, *given.seen),
        "optimizer": _optimizer(recipe, trained(params)),
    }


def _square(tree: Any) -> jax.Array:
    return sum((jnp.mean(jnp.square(x)) for x in jax.tree.leaves(tree)), jnp.zeros(()))


def _waiting(function: Callable, *args: Any) -> Callable[[], Any]:
    run = jax.jit(function)
    return lambda: jax.block_until_ready(run(*args))


def _optimizer(recipe: Recipe, params: Any) -> Callable[[], None]:
    """Clipping, Adam and the moving average, in place."""
    transform = recipe.optimizer.build(recipe.config.train.num_steps)

    def update(state: Any, gradient: Any) -> Any:
        params, average, moments = state
        updates, moments = transform.update(gradient, moments, params)
        params = optax.apply_updates(params, updates)
        return params, moving_average(average, params, jnp.asarray(1000), 0.99), moments

    run, gradient = jax.jit(update, donate_argnums=0), jax.tree.map(jnp.ones_like, params)
    copies = [jax.tree.map(jnp.copy, params) for _ in range(2)]
    holder = [(*copies, transform.init(params))]

    def call() -> None:
        holder[0] = jax.block_until_ready(run(holder[0], gradient))

    return call
