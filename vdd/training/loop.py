"""The training loop: knows steps, hooks, checkpoints and signals; no model, loss or data set.

A step's program is compiled once, ahead of the loop, and cannot be recompiled inside it; a training
in stages (`vdd.training.stages`) is a loop for each, one behind the other in the same run. The
host runs at most two steps ahead of the devices and reads a window's metrics only after the next
step has been queued. Everything that a later step depends on is in the state, the iterator and
the log window, and all three are in the checkpoint: a resumed run equals an uninterrupted one.
"""

import collections
import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from etils import epath
from jax.sharding import Mesh

from vdd.training import sharding, stages, windows
from vdd.training.checkpoints import Checkpoints
from vdd.training.feed import ClipIterator, DeviceBatches
from vdd.training.flops import count_flops
from vdd.training.logging import MetricsLog, Writer
from vdd.training.progress import ProgressLine, duration
from vdd.training.stop import StopRequest
from vdd.training.workdir import check, claim, held

# A hook is called with (step, state) every so many steps (0: never), on all processes; the scalars
# and uint8 images [h w 3] that it returns are logged. State is donated to the next step: copy it.
Hook = tuple[int, Callable[[int, Any], Mapping[str, Any] | None]]
InitFn = Callable[..., Any]  # (rng, batch) -> state
StepFn = Callable[
    [Any, Any], tuple[Any, dict[str, jax.Array]]
]  # (state, batch) -> (state, metrics)

STEPS_AHEAD = 2
# For a program that runs once: on CPUs, optimising many small random draws takes most of a minute.
QUICK_COMPILATION = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
}


class Stage(NamedTuple):
    """What is trained from a step on, until the next stage begins."""

    start: int  # steps done before it
    init_fn: InitFn
    step_fn: StepFn
    hooks: Sequence[Hook] = ()


class Prepared(NamedTuple):
    """A stage, where it ends, and the shapes and names that it needs."""

    stage: Stage
    end: int
    abstract: Any  # its state, with shardings
    names: list[str]  # of its metrics


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended: the step reached, its state, and the signal that stopped it."""

    step: int
    state: Any
    stopped_by: str | None


@dataclasses.dataclass
class Place:
    """Where a run is: all that the next step depends on, besides the data source itself."""

    step: int
    state: Any
    window: windows.Window
    seconds: float  # of training so far


def train(
    config: Any,
    workdir: epath.PathLike,
    iterator: ClipIterator,
    init_fn: InitFn,
    step_fn: StepFn,
    *,
    hooks: Sequence[Hook] = (),
    later: Sequence[Stage] = (),
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
        later: stages after the first one, which the three arguments above are, by start.
        flops_per_step: of the model over the global batch, for the MFU; None counts the step's
            own products and convolutions.

    Raises:
        UserError: workdir of another config, mesh or batch size that does not fit the devices, a
          stage that does not fit the one before it, loss or parameters not finite (the last good
          checkpoint stays), checkpoint not writable.
    """
    settings = config.train
    mesh = sharding.make_mesh(settings.mesh.data, settings.mesh.fsdp)
    sharding.check_batch_size(settings.batch_size, mesh, settings.accumulate)
    check(epath.Path(workdir), config)
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        batches = DeviceBatches(iterator, mesh)
        example = batches.peek()
        plan = [Stage(0, init_fn, step_fn, hooks), *later]
        parts = prepare(plan, settings.num_steps, mesh, config.seed, example)
        # Nothing has been written up to here, and no mistake in the config is left to be told.
        stack.enter_context(held(epath.Path(workdir)))
        if jax.process_index() == 0:
            claim(epath.Path(workdir), config)
        checkpoints = Checkpoints(workdir, settings.keep, settings.keep_every)
        stack.enter_context(checkpoints)
        progress = stack.enter_context(ProgressLine(settings.num_steps))
        place = resume(checkpoints, parts, batches)
        if place is None:
            place = begin(init_fn, config.seed, example, parts[0])
        for part in parts:
            if place.step >= part.end or stop.name:
                continue
            if 0 < part.stage.start == place.step:
                go_over(place, part, config.seed, example)
            where = f"at step {place.step} of {settings.num_steps}, {describe(mesh)}"
            progress.say(f"{where}: compiling")
            start = time.monotonic()
            program = compile_step(part, mesh, example)
            progress.say(f"compiled in {duration(time.monotonic() - start)}")
            flops = flops_per_step or count_flops(part.stage.step_fn, part.abstract, example)
            with Writer(workdir, resumed_at=place.step) as writer:
                sizes = (settings.batch_size, flops)
                log = MetricsLog(writer, progress, place.step, place.seconds, *sizes)
                run_steps(settings, mesh, place, part, program, batches, checkpoints, log, stop)
        return Outcome(place.step, place.state, stop.name)


def prepare(
    plan: Sequence[Stage], num_steps: int, mesh: Mesh, seed: int, example: Any
) -> list[Prepared]:
    """All stages traced before the first one begins, so that it is then that a mistake is told."""
    ends = [*(stage.start for stage in plan[1:]), num_steps]
    parts: list[Prepared] = []
    for stage, end in zip(plan, ends, strict=True):
        # Under `jit` one trace serves for its metrics, its operations and its program.
        stage = stage._replace(step_fn=jax.jit(stage.step_fn))
        abstract = sharding.abstract_sharded(mesh, stage.init_fn, jax.random.key(seed), example)
        if parts:
            stages.check_growth(stage.start, parts[-1].abstract, abstract)
        names = sorted(jax.eval_shape(stage.step_fn, abstract, example)[1])
        parts.append(Prepared(stage, end, abstract, names))
    return parts


def run_steps(
    settings: Any,
    mesh: Mesh,
    place: Place,
    part: Prepared,
    program: Callable[..., Any],
    batches: DeviceBatches,
    checkpoints: Checkpoints,
    log: MetricsLog,
    stop: StopRequest,
) -> None:
    """The loop itself, to the end of a stage; moves `place` on.

    Where several things are due, the order is: log line, hooks, checkpoint. So a checkpoint finds
    all that belongs to its step written, and lines beyond it are dropped on resume.
    """
    fresh = windows.empty(place.window.sums)
    window = put(place.window, mesh)
    running: collections.deque[jax.Array] = collections.deque()
    for step in range(place.step + 1, part.end + 1):
        place.state, window, loss = program(place.state, window, next(batches))
        place.step = step
        log.flush()  # the line of the step before: this step is queued by now
        running.append(loss)
        if len(running) > STEPS_AHEAD:
            running.popleft().block_until_ready()
        last = step == part.end
        if last or is_due(step, settings.log_every):
            log.hold(step, window)
            window = put(fresh, mesh)
        due = [hook for every, hook in part.stage.hooks if is_due(step, every)]
        if due:
            values = log.read()
            log.pause()
            for hook in due:
                values |= hook(step, place.state) or {}
            log.write(step, values)
            log.go_on()
        stopping = stop.reached(step)
        if last or stopping or is_due(step, settings.checkpoint_every):
            log.sync()
            log.pause()
            place.window, place.seconds = jax.device_get(window), log.seconds
            save(checkpoints, place, batches.state)
            log.go_on()
        if stopping:
            return


def begin(init_fn: InitFn, seed: int, example: Any, part: Prepared) -> Place:
    """The start of a run; the state is made where it will live, never whole on one device."""
    shardings = jax.tree.map(lambda x: x.sharding, part.abstract)
    init = jax.jit(init_fn, out_shardings=shardings, compiler_options=_quick_compilation())
    state = init(jax.random.key(seed), example)
    return Place(0, state, windows.empty(part.names), 0.0)


def go_over(place: Place, part: Prepared, seed: int, example: Any) -> None:
    """From the end of a stage to the start of the next: what is new in its state is made."""
    place.state = stages.grow(
        place.state, part.stage.init_fn, part.abstract, jax.random.key(seed), example,
        compiler_options=_quick_compilation(),
    )  # fmt: skip
    place.window = windows.empty(part.names)


def resume(
    checkpoints: Checkpoints, parts: Sequence[Prepared], batches: DeviceBatches
) -> Place | None:
    """The place of the latest checkpoint, the batches moved to it; None if there is none."""

    def part_at(step: int) -> Prepared:
        return next((part for part in parts if step <= part.end), parts[-1])

    restored = checkpoints.restore(lambda step: part_at(step).abstract)
    if restored is None:
        return None
    step, state, host = restored
    batches.move_to(host["iterator"])
    window = windows.from_json(host["window"], part_at(step).names)
    return Place(step, state, window, host["seconds"])


def _quick_compilation() -> dict[str, Any] | None:
    return QUICK_COMPILATION if jax.default_backend() == "cpu" else None


def save(checkpoints: Checkpoints, place: Place, iterator_state: dict[str, Any]) -> None:
    """Save a checkpoint, unless loss or state have become nan or infinite: then a UserError."""
    windows.check_finite(place.window)
    if not all_finite(place.state):
        raise windows.diverged("the state was", place.step)
    window = windows.to_json(place.window)
    host = {"iterator": iterator_state, "window": window, "seconds": place.seconds}
    checkpoints.save(place.step, place.state, host)


def compile_step(part: Prepared, mesh: Mesh, batch: Any) -> Callable[..., Any]:
    """The program of a stage's step, (state, window, batch) -> (state, window, loss).

    State and window are donated. Shardings in equal shardings out, so that one program is enough.
    """
    whole = sharding.replicated(mesh)
    window = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole), windows.empty(part.names)
    )
    jitted = jax.jit(
        windows.accumulating(part.stage.step_fn),
        donate_argnums=(0, 1),
        out_shardings=(jax.tree.map(lambda x: x.sharding, part.abstract), whole, whole),
    )
    return jitted.lower(part.abstract, window, batch).compile()


@jax.jit
def all_finite(tree: Any) -> jax.Array:
    """Whether no floating-point array of the tree has a nan or an infinity."""
    floats = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]
    return jnp.all(jnp.array([jnp.all(jnp.isfinite(x)) for x in floats]))


def put(tree: Any, mesh: Mesh) -> Any:
    """Host values as arrays that every device holds in full."""
    where = sharding.replicated(mesh)
    return jax.tree.map(lambda x: jax.make_array_from_process_local_data(where, x), tree)


def is_due(step: int, every: int) -> bool:
    """Whether something done every so many steps is done after this one; every 0 means never."""
    return every > 0 and step % every == 0


def describe(mesh: Mesh) -> str:
    """Such as "8 TPU v4 devices (data 4 x fsdp 2)"."""
    kind, many = mesh.devices.flat[0].device_kind, "s" if mesh.size > 1 else ""
    return (
        f"{mesh.size} {kind} device{many} (data {mesh.shape['data']} x fsdp {mesh.shape['fsdp']})"
    )
