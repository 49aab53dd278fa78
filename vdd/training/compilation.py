"""The program of a training step, compiled once, ahead of the loop."""

import time
from typing import NamedTuple

import jax
from jax.sharding import Mesh
from jaxtyping import PyTree

from vdd.memory import give_back_freed_memory
from vdd.training import sharding, windows
from vdd.training.progress import ProgressLine, duration
from vdd.training.update import InitFn, StepFn


class Prepared(NamedTuple):
    """A training, traced on a mesh; nothing has been computed for it."""

    init_fn: InitFn
    step_fn: StepFn  # under `jit`: one trace serves for its metrics, operations and program
    mesh: Mesh
    example: PyTree  # a batch, or its shapes
    abstract: PyTree  # the state, with shardings
    names: list[str]  # of the metrics


def prepare(init_fn: InitFn, step_fn: StepFn, mesh: Mesh, seed: int, example: PyTree) -> Prepared:
    """Trace a training; `example` is a batch, or its shapes with shardings."""
    step_fn = jax.jit(sharding.tracing_on(mesh, step_fn))
    abstract = sharding.abstract_sharded(mesh, init_fn, jax.random.key(seed), example)
    names = sorted(jax.eval_shape(step_fn, abstract, example)[1])
    return Prepared(init_fn, step_fn, mesh, example, abstract, names)


def compile_visibly(
    training: Prepared, step: int, progress: ProgressLine, num_steps: int
) -> windows.Program:
    """`compile_step`, told before and after."""
    progress.say(
        f"at step {step} of {num_steps}, {describe(training.mesh)}: compiling, for a minute or more"
    )
    start = time.monotonic()
    program = compile_step(training)
    give_back_freed_memory()
    progress.say(f"compiled in {duration(time.monotonic() - start)}")
    return program


def compile_step(training: Prepared) -> windows.Program:
    """The program of a step, (state, window, batch) -> (state, window, loss).

    State and window are donated. Shardings in equal shardings out, so that one program is enough.
    """
    whole = sharding.replicated(training.mesh)
    window = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole),
        windows.empty(training.names),
    )
    jitted = jax.jit(
        windows.accumulating(training.step_fn),
        donate_argnums=(0, 1),
        out_shardings=(jax.tree.map(lambda x: x.sharding, training.abstract), whole, whole),
    )
    return jitted.lower(training.abstract, window, training.example).compile()


def describe(mesh: Mesh) -> str:
    """Such as "8 TPU v4 devices (data 4 x fsdp 2)"."""
    kind, many = mesh.devices.flat[0].device_kind, "s" if mesh.size > 1 else ""
    return (
        f"{mesh.size} {kind} device{many} (data {mesh.shape['data']} x fsdp {mesh.shape['fsdp']})"
    )
