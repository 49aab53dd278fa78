"""Calls in PyTorch for `throughput.py` to time: whole training steps, and their parts."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]  # the extra `bench` has it
from einops import rearrange
from step_parts import inputs
from torch import Tensor  # pyright: ignore[reportMissingImports]
from torch_draws import Source, jax_draws
from torch_step import LAYOUTS, Step

from vdd.method.step import Recipe, TrainState


def steps(
    recipe: Recipe, state: TrainState, video: np.ndarray, compiled: bool
) -> dict[str, Callable[[], None]]:
    """A call that makes one more step, eager in each layout and compiled if that runs here.

    Prints the loss of the first step by the numbers that JAX draws, after the one in JAX.
    """
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    made = {f"PyTorch eager, {layout}": Step(recipe, state, layout) for layout in LAYOUTS}
    if compiled:
        made["PyTorch compiled"] = Step(recipe, state, compiled=True)
    batch, frames = video.shape[:2]
    draws = jax_draws(recipe, batch, frames, int(state.step))
    calls = {}
    for name, one in made.items():
        try:
            total, *_ = one.gradient(torch.from_numpy(video), draws)
        except Exception as error:  # what a compiler raises is not told beforehand
            if name != "PyTorch compiled":
                raise
            print(f"; torch.compile does not run here: {str(error).splitlines()[0]}", end="")
            continue
        print(f", {name} {total.item():.6f}", end="", flush=True)
        calls[name] = _call(one, video)
    print(f" (torch {torch.__version__}, {torch.get_num_threads()} threads)")
    return calls


def _call(one: Step, video: np.ndarray) -> Callable[[], None]:
    frames, source = torch.from_numpy(video), Source(one.recipe, len(video), video.shape[1])

    def call() -> None:
        one(frames, source())

    return call


def parts(recipe: Recipe, state: TrainState, video: np.ndarray) -> dict[str, Callable[[], None]]:
    """The parts of `step_parts`, eager."""
    whole, arrays = Step(recipe, state), inputs(recipe, video)
    frames = {k: _frames(getattr(arrays, k)) for k in ("segments", "swaps", "noisy")}
    model, swapped = whole.model, torch.from_numpy(arrays.swapped)
    sigma = torch.from_numpy(arrays.sigma)
    drawn, seen = (
        [torch.from_numpy(x).requires_grad_() for x in pair]
        for pair in ((arrays.content, arrays.motion), arrays.seen)
    )

    def encoder() -> Tensor:
        clips = [x for x in (frames["segments"], frames["swaps"]) if len(x)]
        return _square(*(y for x in clips for y in model.encode(x)))

    def readout() -> Tensor:
        if len(swapped):
            with torch.no_grad():
                model.denoiser.readout(drawn[0][: len(swapped)], swapped)
        return _square(model.denoiser.readout(*drawn))

    def network() -> Tensor:
        return _square(model.denoiser(frames["noisy"], sigma, *seen, frames["noisy"]))

    def backward(part: Callable[[], Tensor], given: list[Tensor]) -> Callable[[], None]:
        def call() -> None:
            whole.adam.zero_grad()
            for x in given:
                x.grad = None
            part().backward()

        return call

    return {
        "encoder": backward(encoder, []),
        "read-out": backward(readout, drawn),
        "UNet": backward(network, seen),
        "optimizer": _optimizer(Step(recipe, state)),
    }


def _optimizer(whole: Step) -> Callable[[], None]:
    for x in whole.params:
        x.grad = torch.ones_like(x)

    def call() -> None:
        whole.move(1e-3)
        whole.remember(0.99)

    return call


def _frames(x: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rearrange(x, "... h w c -> ... c h w")))


def _square(*outputs: Any) -> Tensor:
    return torch.stack([x.square().mean() for x in outputs]).sum()
