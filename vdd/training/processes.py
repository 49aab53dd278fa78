"""The processes of a run that is spread over several machines, and what the first one says."""

import atexit
import contextlib
import ctypes
import importlib.util
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import jax
from jax._src import distributed  # what it has of the service is nowhere public

from vdd.command import complain
from vdd.errors import UserError

# Seconds after which a process that says nothing counts as lost, and that the others wait for it.
_HEARTBEAT, _SHUTDOWN = 40, 20
# The key by which a process tells the others that it ends, and seconds from look to look.
_ENDED, _EACH = "vdd/ended", 0.5
# What JAX's errors say where another process was lost: gloo's on CPUs, NCCL's, the service's.
_LOST = ("Gloo", "NCCL", "UNAVAILABLE", "heartbeat", "peer", "tasks are unhealthy")

_ending = threading.Event()  # this process ends by itself, or has said why


class LostProcessError(UserError):
    """Another process of the run has ended, or cannot be reached."""


def connect_processes(env: Mapping[str, str]) -> None:
    """Join the other processes of the run, if there are any; before any other use of JAX."""
    manual = ("VDD_COORDINATOR", "VDD_NUM_PROCESSES", "VDD_PROCESS_ID")
    given = [name for name in manual if name in env]
    if given and len(given) < len(manual):
        raise UserError(f"{given[0]} is set: set all of {', '.join(manual)}, or none")
    patience: Any = {
        "heartbeat_timeout_seconds": _HEARTBEAT,
        "shutdown_timeout_seconds": _SHUTDOWN,
    }
    try:
        if given:
            address, processes, index = (env[name] for name in manual)
            jax.distributed.initialize(address, int(processes), int(index), **patience)
        elif in_cluster(env):
            jax.distributed.initialize(**patience)
        else:
            return
    except (ValueError, RuntimeError) as error:
        raise UserError(f"cannot connect the processes: {error}") from error
    ctypes.CDLL(None).signal(signal.SIGABRT, _end_as_aborted)
    watching = threading.Thread(target=_end_with_others, daemon=True)
    watching.start()
    atexit.register(_stop, watching)  # before JAX disconnects: the last one comes first


def _end_with_others() -> None:
    """Ends this process in one line when another says that it ends, or the service is gone.

    A collective that waits for a lost process may do so for long, and cannot be interrupted.
    """
    client = distributed.global_state.client
    while client is not None and not _ending.wait(_EACH):
        try:
            client.key_value_try_get(_ENDED)
        except jax.errors.JaxRuntimeError as error:
            if "NOT_FOUND" in str(error):
                continue
        _end("as others of them say")


@ctypes.CFUNCTYPE(None, ctypes.c_int)
def _end_as_aborted(_: int) -> None:
    """Ends this process in a line of ours where JAX aborts it, from a thread of its own.

    It does so, after a trace on stderr, as soon as the first process is gone, by which all are
    connected. Python's own handlers of signals never run in an abort.
    """
    _end("JAX aborted this one, as a rule for that; if it names another reason above, that is it")
    os._exit(2)


def _end(why: str) -> None:
    """Ends this process in one line, unless it is ending by itself or has said why."""
    if not _ending.is_set():
        _ending.set()
        complain(_lost(why))
        sys.stderr.flush()
        os._exit(2)


def _stop(watching: threading.Thread) -> None:
    """Waits for a thread: one that comes back from JAX while Python ends aborts the process."""
    _ending.set()
    watching.join(_SHUTDOWN)


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


@contextlib.contextmanager
def noticing_losses() -> Iterator[None]:
    """What JAX raises here where another process was lost is a `LostProcessError`."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() > 1 and any(word in str(error) for word in _LOST):
            raise LostProcessError(_lost(str(error).splitlines()[0][:200])) from error
        raise


def _lost(why: str) -> str:
    return (
        "another process of this training has ended: see what it said, then start all of them "
        f"again; the checkpoints are whole ({why})"
    )


def leave(status: int) -> NoReturn:
    """Ends this process after an error; at once where there are others.

    They are told. An orderly end would wait for them, and they for us.
    """
    client = distributed.global_state.client
    if client is not None:
        _ending.set()  # why has been said
        sys.stdout.flush()
        sys.stderr.flush()
        with contextlib.suppress(Exception):
            client.key_value_set(_ENDED, "", allow_overwrite=True)
        os._exit(status)
    sys.exit(status)
