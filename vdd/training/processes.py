"""The processes of a run that is spread over several machines, and what the first one says."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import jax

from vdd.errors import UserError


def connect_processes(env: Mapping[str, str]) -> None:
    """Join the other processes of the run, if there are any; before any other use of JAX."""
    manual = ("VDD_COORDINATOR", "VDD_NUM_PROCESSES", "VDD_PROCESS_ID")
    given = [name for name in manual if name in env]
    if given and len(given) < len(manual):
        raise UserError(f"{given[0]} is set: set all of {', '.join(manual)}, or none")
    try:
        if given:
            address, processes, index = (env[name] for name in manual)
            jax.distributed.initialize(address, int(processes), int(index))
        elif in_cluster(env):
            jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        raise UserError(f"cannot connect the processes: {error}") from error


def in_cluster(env: Mapping[str, str]) -> bool:
    """Whether JAX can find the other processes by itself: Slurm's srun, Open MPI, a Cloud TPU."""
    tasks = ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")
    return on_tpu(env) or any(int(env.get(name, "1")) > 1 for name in tasks)


def on_tpu(env: Mapping[str, str]) -> bool:
    """Whether this is a TPU host that JAX is to use: libtpu alone may lie on any machine."""
    wanted = "tpu" in (env.get("JAX_PLATFORMS") or "tpu")
    chips = [*Path("/dev").glob("accel[0-9]*"), *Path("/dev/vfio").glob("[0-9]*")]
    return wanted and importlib.util.find_spec("libtpu") is not None and bool(chips)


def say(text: str) -> None:
    """Print a line, on the first process only."""
    if jax.process_index() == 0:
        print(text, flush=True)
