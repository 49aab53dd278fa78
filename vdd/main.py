"""Train, evaluate and report: `python -m vdd.main --config=FILE[:variant] [--workdir=DIR]`.

Without a workdir the run is `runs/<config>[_<variant>]`. One training at a time holds a workdir; on
gs:// nothing is locked, and it is up to you that no second one is started there.

The same command resumes a run that was interrupted; when training is finished it evaluates what
has not been evaluated. On Cloud TPU, Slurm and Open MPI the processes find each other; elsewhere
set VDD_COORDINATOR (host:port), VDD_NUM_PROCESSES and VDD_PROCESS_ID. Compiled programs are kept in
~/.cache/vdd/xla; JAX_COMPILATION_CACHE_DIR names another place, empty for none. On CPUs freed
memory is kept for the next step; VDD_KEEP_FREED_MEMORY=0 gives it back to the system.
"""

import importlib.util
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import jax
from absl import app, flags, logging
from etils import epath
from ml_collections import ConfigDict, config_flags

from vdd import command, files, runs, tasks
from vdd.errors import UserError
from vdd.startup import check_devices, keep_compiled_programs, keep_freed_memory
from vdd.training import checkpoints, loop, sharding
from vdd.training.update import Training
from vdd.training.workdir import check, held

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "File of the run's config, a variant after a colon.", lock_config=True
)
_DEBUG = flags.DEFINE_bool("debug", False, "Show the traceback of an error not foreseen.")
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of the run; may be gs:// (runs/<config>[_<variant>])."
)


def main(argv: Sequence[str]) -> None:
    """Train up to `train.num_steps`, then evaluate; SIGTERM or SIGINT save and end the training."""
    if argv[1:]:
        raise UserError(f"unexpected argument {argv[1]}: flags begin with --")
    config = _CONFIG.value
    if config is None:
        raise UserError("--config is needed: see python -m vdd.main --help")
    expand_homes(config)
    named = config_flags.get_config_filename(flags.FLAGS["config"])
    workdir = files.expand(_WORKDIR.value or default_workdir(named))
    connect_processes(os.environ)
    keep_compiled_programs(os.environ)
    keep_freed_memory()
    check_devices(os.environ)
    if _WORKDIR.value is None:
        say(f"the run is {workdir}")
    if train(config, workdir):
        evaluate(config, workdir)


def default_workdir(named: str) -> epath.Path:
    """Where a run goes if nobody says: runs/sprites_smoke for configs/sprites.py:smoke."""
    file, _, variant = named.partition(":")
    words = [Path(file).stem, *re.findall("[A-Za-z0-9.-]+", variant)]
    return epath.Path("runs") / "_".join(words)


def expand_homes(config: Any) -> None:
    """Spells out `~` in the paths of a config, which a shell leaves as it is."""
    for key, value in list(config.items()):
        if isinstance(value, ConfigDict):
            expand_homes(value)
        elif isinstance(value, str) and value.startswith("~"):
            config[key] = str(files.expand(value))


def train(config: Any, workdir: epath.Path) -> bool:
    """Train or resume; whether `train.num_steps` has been reached."""
    check(workdir, config)
    steps, last = checkpoints.list_steps(workdir), config.train.num_steps
    # The last checkpoint has to be readable too: otherwise training goes on from the one before.
    if steps and steps[-1] >= last and checkpoints.load_params(workdir)[0] >= last:
        say(f"{workdir} is trained to step {steps[-1]} already")
        return True
    # What a run began with is in its checkpoints: the other run may be gone by now.
    earlier = None if steps or not config.train.init_from else runs.find(config.train.init_from)
    task = tasks.find(config.task)
    settled = task.settle(config, workdir)  # config.json keeps what was asked for
    training = build(settled)
    with held(workdir):
        iterator = task.batches(settled, jax.process_index(), jax.process_count())
        hooks = task.hooks(settled, workdir)
        outcome = loop.train(config, workdir, iterator, *training, hooks=hooks, earlier=earlier)
    if outcome.stopped_by:
        say(f"{outcome.stopped_by}: saved at step {outcome.step}; the same command goes on there")
    return outcome.step >= config.train.num_steps


def build(config: Any) -> Training:
    """The functions of the training, before anything is read or written for it.

    Raises:
      UserError: the config asks for what there is not.
    """
    mesh = sharding.make_mesh(config.train.mesh.data, config.train.mesh.fsdp)
    sharding.check_batch_size(config.train.batch_size, mesh, config.train.accumulate)
    for key in ("num_steps", "log_every"):
        if config.train[key] < 1:
            raise UserError(f"train.{key}={config.train[key]}: it must be at least 1")
    try:
        return tasks.find(config.task).build(config)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"the config cannot be built: {error}") from error


def evaluate(config: Any, workdir: epath.Path) -> None:
    """Evaluate the latest checkpoint, unless its report is there."""
    report = workdir / "eval" / f"{checkpoints.list_steps(workdir)[-1]}.json"
    if report.exists():
        say(f"{report} is there already")
    else:
        with held(workdir):
            step = tasks.find(config.task).evaluate(workdir)
        say(f"wrote {report.with_name(f'{step}.json')} and {workdir / 'report.md'}")


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


def cli(argv: Sequence[str]) -> None:
    """`main`, with errors told in one line."""
    status = command.run(lambda: main(argv), "training or evaluating", _DEBUG.value)
    if status:
        sys.exit(status)


def parse_flags(argv: Sequence[str]) -> list[str]:
    """absl's parser, with a mistake in the flags or in the config's own code told in one line."""
    try:
        rest = flags.FLAGS(argv)
        given = _CONFIG.present
        file = config_flags.get_config_filename(flags.FLAGS["config"]) if given else ""
    except (AttributeError, KeyError) as error:  # its text comes quoted twice
        text = str(error.args[0]).replace("\\n", "\n").replace("\n", ": ")
        fail(f"unknown config key {re.sub('[^A-Za-z0-9_.:? ]', '', text)}")
    except Exception as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        fail(line.removeprefix("ValueError: "))
    file = file.partition(":")[0]
    if file and not epath.Path(file).exists():
        fail(f"no config file {file}")
    return rest


def fail(text: str) -> NoReturn:
    """One line on stderr, exit status 2."""
    sys.exit(command.complain(text))


if __name__ == "__main__":
    # Libraries log tracebacks of what becomes one line here; --verbosity=0 shows them again.
    logging.set_verbosity(logging.FATAL)
    app.run(cli, flags_parser=parse_flags)
