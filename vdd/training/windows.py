"""Means of the step metrics over a log window, accumulated on the device.

The window is part of what a checkpoint holds, so that a run resumed between two log lines
writes the line it would have written. It also notes the first step whose loss was not finite.
"""

from collections.abc import Callable, Iterable
from typing import Any

import flax.struct
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from vdd.errors import UserError
from vdd.training.update import StepFn
from vdd.values import Json

NONE = -1


@flax.struct.dataclass
class Window:
    """Sums over the steps since the last log line; scalars all, on the device or on the host."""

    sums: dict[str, Any]  # float32 by metric
    count: Any  # int32
    bad_step: Any  # int32: the first step of non-finite loss, else NONE


# (state, window, batch) -> (state, window, loss).
Program = Callable[[PyTree, Window, dict[str, Array]], tuple[PyTree, Window, Array]]


def empty(names: Iterable[str]) -> Window:
    """A window of no step, as host arrays."""
    return Window({k: np.zeros((), np.float32) for k in names}, np.int32(0), np.int32(NONE))


def add(window: Window, metrics: dict[str, Float[Array, ""]], step: Int[Array, ""]) -> Window:
    """The window with one more step's metrics; pure.

    Args:
        window: the window so far.
        metrics: scalars by name, "loss" among them.
        step: the number of that step, from 1.
    """
    bad = (window.bad_step == NONE) & ~jnp.isfinite(metrics["loss"])
    sums = {name: total + metrics[name].astype(jnp.float32) for name, total in window.sums.items()}
    bad_step = jnp.where(bad, step.astype(jnp.int32), window.bad_step)
    return Window(sums, window.count + 1, bad_step)


def means(window: Window) -> dict[str, np.float32]:
    """Mean of each metric, from a window on the host."""
    count = np.float32(max(1, int(window.count)))
    return {name: np.float32(total) / count for name, total in sorted(window.sums.items())}


def to_json(window: Window) -> Json:
    """A host window as JSON values; float32 survives the round trip exactly."""
    return {
        "sums": {k: float(v) for k, v in window.sums.items()},
        "count": int(window.count),
        "bad_step": int(window.bad_step),
    }


def from_json(saved: Json, names: Iterable[str]) -> Window:
    """The window that `to_json` saw; an empty one if the metrics have other names by now."""
    if saved["sums"].keys() != set(names):
        return empty(names)
    sums = {name: np.float32(saved["sums"][name]) for name in names}
    return Window(sums, np.int32(saved["count"]), np.int32(saved["bad_step"]))


def check_finite(window: Window) -> None:
    """Raise a UserError that names the first step of a (host) window with a loss of nan or inf."""
    if window.bad_step != NONE:
        raise diverged("the loss was", int(window.bad_step))


def diverged(what: str, step: int) -> UserError:
    """The error of a run whose numbers are no numbers any more."""
    return UserError(
        f"training diverged: {what} not finite at step {step}; the checkpoints before it are kept. "
        "Lower optimizer.learning_rate or optimizer.clip_norm, or look at the data of that step"
    )


def accumulating(step_fn: StepFn) -> Program:
    """(state, window, batch) -> (state, window, loss) from (state, batch) -> (state, metrics)."""

    def step(
        state: PyTree, window: Window, batch: dict[str, Array]
    ) -> tuple[PyTree, Window, Array]:
        state, metrics = step_fn(state, batch)
        return state, add(window, metrics, state.step), metrics["loss"]

    return step
