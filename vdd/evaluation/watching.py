"""How a training is watched: what its evaluation does on schedule, the same for every data set."""

from collections.abc import Callable

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

# The step, and the averaged parameters as functions; gives what is to be logged.
Look = Callable[[int, Functions], Figures]


def watch(config: Config, measure: Look, draw: Look) -> list[Hook]:
    """`measure` each `eval_every` and `draw` each `sample_every`, of the averaged parameters."""
    model, sampler = Disentangler.from_config(config.model), Sampler(**config.eval.sampler)

    def hook(look: Look) -> Callable[[int, PyTree], Figures]:
        # All processes together gather the parameters.
        return lambda step, state: look(
            step, functions_of(model, sharding.local_copy(state.ema_params), sampler)
        )

    return [(config.train.eval_every, hook(measure)), (config.train.sample_every, hook(draw))]


def picture(
    workdir: epath.Path, step: int, pixels: UInt8[np.ndarray, "h w 3"], name: str
) -> Figures:
    """Writes a picture to `samples/<step>.png` and gives it to be logged under that name."""
    if jax.process_index() == 0:
        write_png(workdir / report.PICTURES / f"{step}.png", Image.fromarray(pixels))
    return {name: pixels}
