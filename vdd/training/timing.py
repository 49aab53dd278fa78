"""How long a step takes, before a training that is to take a given time."""

import statistics
import time

import jax

from vdd.config import Config
from vdd.training import compilation, loop, sharding
from vdd.training.feed import ClipIterator, DeviceBatches
from vdd.training.progress import ProgressLine
from vdd.training.update import InitFn, StepFn

_WARM, _TIMED = 2, 5


def seconds_per_step(
    config: Config, iterator: ClipIterator, init_fn: InitFn, step_fn: StepFn
) -> float:
    """The middle one of a few steps from a fresh state, which is thrown away.

    The program is compiled for that, and again for the training: its schedules depend on the steps.
    """
    settings = config.train
    mesh = sharding.make_mesh(settings.mesh.data, settings.mesh.fsdp)
    batches = DeviceBatches(iterator, mesh)
    training = compilation.prepare(init_fn, step_fn, mesh, config.seed, batches.peek())
    place = loop.begin(training, config.seed)
    with ProgressLine(settings.num_steps) as progress:
        program = compilation.compile_visibly(training, 0, progress, settings.num_steps)
    state, window, taken = place.state, loop.put(place.window, mesh), []
    for _ in range(_WARM + _TIMED):
        start = time.perf_counter()
        state, window, loss = program(state, window, next(batches))
        jax.block_until_ready((state, loss))
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[_WARM:])
