"""The training loop: knows steps, hooks, checkpoints and signals; no model, loss or data set.

The step's program is compiled once, ahead of the loop, and cannot be recompiled inside it. The
host runs at most two steps ahead of the devices and reads a window's metrics only after the next
step has been queued. Everything that a later step depends on is in the state, the iterator and
the log window, and all three are in the checkpoint: a resumed run equals an uninterrupted one.
"""

import collections
import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from etils import epath
from jax.sharding import Mesh
from jaxtyping import PyTree

from vdd.config import Config
from vdd.memory import Unused, give_back_freed_memory
from vdd.training import init_from, sharding, windows
from vdd.training.checkpoints import Checkpoints
from vdd.training.compilation import Prepared, compile_visibly, prepare
from vdd.training.feed import ClipIterator, DeviceBatches
from vdd.training.flops import count_flops
from vdd.training.logging import MetricsLog, Writer
from vdd.training.processes import noticing_losses
from vdd.training.progress import ProgressLine
from vdd.training.stop import StopRequest
from vdd.training.update import InitFn, StepFn
from vdd.training.workdir import check, claim, held
from vdd.values import Json, Report

# A hook is called with (step, state) every so many steps (0: never), on all processes; the scalars
# and uint8 images [h w 3] that it returns are logged. State is donated to the next step: copy it.
Hook = tuple[int, Callable[[int, PyTree], Report | None]]

STEPS_AHEAD = 2
# For a program that runs once.
QUICK_COMPILATION = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended: the step reached, its state, and the signal that stopped it."""

    step: int
    state: PyTree
    stopped_by: str | None


@dataclasses.dataclass
class Place:
    """Where a run is: all that the next step depends on, besides the data source itself."""

    step: int
    state: PyTree
    window: windows.Window
    seconds: float  # of training so far


class Around(NamedTuple):
    """What the steps are made among."""

    hooks: Sequence[Hook]
    batches: DeviceBatches
    checkpoints: Checkpoints
    progress: ProgressLine
    stop: StopRequest


def train(
    config: Config,
    workdir: epath.PathLike,
    iterator: ClipIterator,
    init_fn: InitFn,
    step_fn: StepFn,
    *,
    hooks: Sequence[Hook] = (),
    earlier: epath.Path | None = None,
    flops_per_step: float | None = None,
) -> Outcome:
    """Train up to `config.train.num_steps`, from the latest checkpoint in `workdir` if it has one.

    Args:
        config: a ConfigDict; `seed` and `train` are read here, and all of it is compared with
          the run that `workdir` holds.
        workdir: the run directory.
        iterator: local batches of this process; its place is restored on resume.
        init_fn: pure (rng, batch) -> state, called with the first batch of the iterator.
        step_fn: pure (state, batch) -> (state, metrics); `state.step` counts the steps done, and
          the metrics are scalars, "loss" among them.
        hooks: (every, function) pairs.
        earlier: the run whose averaged parameters the first state takes over
          (`vdd.training.init_from`); not read where `workdir` has a checkpoint.
        flops_per_step: of the model over the global batch, for the MFU; None counts the step's
            own products and convolutions.

    Raises:
        UserError: workdir of another config, mesh or batch size that does not fit the devices,
          parameters of `earlier` that do not fit, loss or parameters not finite (the last good
          checkpoint stays), checkpoint not writable.
    """
    settings, workdir = config.train, epath.Path(workdir)
    mesh = sharding.make_mesh(settings.mesh.data, settings.mesh.fsdp)
    sharding.check_batch_size(settings.batch_size, mesh, settings.accumulate)
    begun = None if check(workdir, config) else earlier
    with StopRequest() as stop:
        batches = DeviceBatches(iterator, mesh)
        training = prepare(init_fn, step_fn, mesh, config.seed, batches.peek())
        taken = begun and init_from.load(begun, training.abstract.params)
        # Nothing has been written up to here, and no mistake in the config is left to be told.
        with opened(config, workdir) as (checkpoints, progress):
            place = resume(checkpoints, training, batches) or begin(training, config.seed)
            if taken is not None:
                place.state = init_from.replace(place.state, taken.arrays)
                progress.say(taken.summary)
            if place.step < settings.num_steps and not stop.name:
                around = Around(hooks, batches, checkpoints, progress, stop)
                go_on(settings, workdir, training, place, around, flops_per_step)
    return Outcome(place.step, place.state, stop.name)


@contextlib.contextmanager
def opened(config: Config, workdir: epath.Path) -> Iterator[tuple[Checkpoints, ProgressLine]]:
    """A run directory that is this process's to write, and the line that tells how far it is."""
    settings = config.train
    with held(workdir):
        if jax.process_index() == 0:
            claim(workdir, config)
        with (
            Checkpoints(workdir, settings.keep, settings.keep_every) as checkpoints,
            ProgressLine(settings.num_steps) as progress,
        ):
            yield checkpoints, progress


def go_on(
    settings: Config,
    workdir: epath.Path,
    training: Prepared,
    place: Place,
    around: Around,
    flops_per_step: float | None,
) -> None:
    """Compile the step, then make the rest of them, logged; moves `place` on."""
    program = compile_visibly(training, place.step, around.progress, settings.num_steps)
    if not flops_per_step:
        flops_per_step = count_flops(training.step_fn, training.abstract, training.example)
    with noticing_losses(), Writer(workdir, resumed_at=place.step) as writer:
        sizes = (settings.batch_size, flops_per_step)
        log = MetricsLog(writer, around.progress, place.step, place.seconds, *sizes)
        run_steps(settings, training.mesh, place, program, around, log)


def run_steps(
    settings: Config,
    mesh: Mesh,
    place: Place,
    program: windows.Program,
    around: Around,
    log: MetricsLog,
) -> None:
    """The loop itself; moves `place` on.

    Where several things are due, the order is: log line, hooks, checkpoint. So a checkpoint finds
    all that belongs to its step written, and lines beyond it are dropped on resume.
    """
    fresh = windows.empty(place.window.sums)
    window = put(place.window, mesh)
    give_back_unused = Unused()
    running: collections.deque[jax.Array] = collections.deque()
    for step in range(place.step + 1, settings.num_steps + 1):
        place.state, window, loss = program(place.state, window, next(around.batches))
        place.step = step
        log.flush()  # the line of the step before: this step is queued by now
        running.append(loss)
        give_back_unused()
        if len(running) > STEPS_AHEAD:
            running.popleft().block_until_ready()
        last = step == settings.num_steps
        if last or is_due(step, settings.log_every):
            log.hold(step, window)
            window = put(fresh, mesh)
        due = [hook for every, hook in around.hooks if is_due(step, every)]
        if due:
            values = log.read()
            log.pause()
            for hook in due:
                values |= hook(step, place.state) or {}
            give_back_freed_memory()  # a hook compiles programs of its own
            log.write(step, values)
            log.go_on()
        stopping = around.stop.reached(step)
        if last or stopping or is_due(step, settings.checkpoint_every):
            log.sync()
            log.pause()
            place.window, place.seconds = jax.device_get(window), log.seconds
            save(around.checkpoints, place, around.batches.state)
            log.go_on()
        if stopping:
            return


def begin(training: Prepared, seed: int) -> Place:
    """The start of a run; the state is made where it will live, never whole on one device."""
    # On CPUs, optimising many small random draws, which are made once, takes most of a minute.
    quick = QUICK_COMPILATION if jax.default_backend() == "cpu" else None
    shardings = jax.tree.map(lambda x: x.sharding, training.abstract)
    init = jax.jit(training.init_fn, out_shardings=shardings, compiler_options=quick)
    state = init(jax.random.key(seed), training.example)
    return Place(0, state, windows.empty(training.names), 0.0)


def resume(checkpoints: Checkpoints, training: Prepared, batches: DeviceBatches) -> Place | None:
    """The place of the latest checkpoint, the batches moved to it; None if there is none."""
    restored = checkpoints.restore(training.abstract)
    if restored is None:
        return None
    step, state, host = restored
    batches.move_to(host["iterator"])
    return Place(step, state, windows.from_json(host["window"], training.names), host["seconds"])


def save(checkpoints: Checkpoints, place: Place, iterator_state: Json) -> None:
    """Save a checkpoint, unless loss or state have become nan or infinite: then a UserError."""
    windows.check_finite(place.window)
    if not all_finite(place.state):
        raise windows.diverged("the state was", place.step)
    window = windows.to_json(place.window)
    host = {"iterator": iterator_state, "window": window, "seconds": place.seconds}
    checkpoints.save(place.step, place.state, host)


@jax.jit
def all_finite(tree: PyTree) -> jax.Array:
    """Whether no floating-point array of the tree has a nan or an infinity."""
    floats = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(x)) for x in floats]))


def put(tree: PyTree, mesh: Mesh) -> PyTree:
    """Host values as arrays that every device holds in full."""
    where = sharding.replicated(mesh)
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(where, x), tree)


def is_due(step: int, every: int) -> bool:
    """Whether something done every so many steps is done after this one; every 0 means never."""
    return every > 0 and step % every == 0
