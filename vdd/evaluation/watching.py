"""How a training is watched: what its evaluation does on schedule, the same for every data set."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from etils import epath
from jaxtyping import PyTree, UInt8
from PIL import Image

from vdd.config import Config
from vdd.diffusion.samplers import Sampler
from vdd.evaluation import report
from vdd.evaluation.gallery import write_png
from vdd.evaluation.inference import Functions, functions_of
from vdd.method.disentangler import Disentangler
from vdd.training import sharding
from vdd.training.loop import Hook
from vdd.values import Figures

# The step, and what the averaged parameters became; gives what is to be logged.
Look = Callable[[int, Any], Figures]


def watch(
    config: Config, measure: Look, draw: Look, view: Callable[[PyTree], Any] | None = None
) -> list[Hook]:
    """`measure` each `eval_every` and `draw` each `sample_every`, of the averaged parameters.

    Both are given what `view` makes of the parameters; None: the functions of a disentangler.
    """
    view = view or functions_in(config)

    def hook(look: Look) -> Callable[[int, PyTree], Figures]:
        # All processes together gather the parameters.
        return lambda step, state: look(step, view(sharding.local_copy(state.ema_params)))

    return [(config.train.eval_every, hook(measure)), (config.train.sample_every, hook(draw))]


def functions_in(config: Config) -> Callable[[PyTree], Functions]:
    """Parameters -> the functions of the config's model, drawn by its own sampler."""
    model, sampler = Disentangler.from_config(config.model), Sampler(**config.eval.sampler)
    return lambda params: functions_of(model, params, sampler)


def picture(
    workdir: epath.Path, step: int, pixels: UInt8[np.ndarray, "h w 3"], name: str
) -> Figures:
    """Writes a picture to `samples/<step>.png` and gives it to be logged under that name."""
    if jax.process_index() == 0:
        write_png(workdir / report.PICTURES / f"{step}.png", Image.fromarray(pixels))
    return {name: pixels}
