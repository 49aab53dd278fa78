"""Train, evaluate and report: `python -m vdd.main --config=FILE[:variant] [--workdir=DIR]`.

`--data=FOLDER` in place of a config is for your own clips. Without a workdir the run is
`runs/<config>[_<variant>]` or `runs/<folder>`. One training at a time holds a workdir; on gs://
nothing is locked, and it is up to you that no second one is started there.

The same command resumes a run that was interrupted; when training is finished it evaluates what
has not been evaluated. On Cloud TPU, Slurm and Open MPI the processes find each other; elsewhere
set VDD_COORDINATOR (host:port), VDD_NUM_PROCESSES and VDD_PROCESS_ID. Compiled programs are kept in
~/.cache/vdd/xla; JAX_COMPILATION_CACHE_DIR names another place, empty for none. On CPUs freed
memory is kept for the next step; VDD_KEEP_FREED_MEMORY=0 gives it back to the system.
"""

import os
import sys
from collections.abc import Sequence

from absl import app, logging
from ml_collections import ConfigDict

from vdd import command, files, flags
from vdd.errors import UserError
from vdd.memory import keep_freed_memory
from vdd.startup import check_devices, keep_compiled_programs
from vdd.train import default_workdir, evaluate, expand_homes, make_ready, train
from vdd.training.processes import connect_processes, leave, say


def main(argv: Sequence[str]) -> None:
    """Train, then evaluate; SIGTERM or SIGINT save and end it, with status 143 or 130."""
    if argv[1:]:
        raise UserError(f"unexpected argument {argv[1]}: flags begin with --")
    config = flags.CONFIG.value
    if config is None:
        raise UserError("--config or --data is needed: see vdd train --help")
    if not isinstance(config, ConfigDict):
        kind = type(config).__name__
        raise UserError(f"{flags.config_file()}: get_config gives {kind}, not a ConfigDict")
    expand_homes(config)
    workdir = files.expand(flags.WORKDIR.value or default_workdir(flags.config_file()))
    connect_processes(os.environ)
    keep_compiled_programs(os.environ)
    keep_freed_memory()
    check_devices(os.environ)
    if flags.DATA.value is not None:
        make_ready(config, workdir, flags.DATA.value, flags.MINUTES.value)
    if flags.WORKDIR.value is None:
        say(f"the run is {workdir}")
    if stopped := train(config, workdir):
        sys.exit(128 + stopped)  # not 0: a queue of jobs has to start it again
    evaluate(config, workdir)


def program(argv: Sequence[str]) -> int:
    """`vdd train` with these arguments; ends the process."""
    # Libraries log tracebacks of what becomes one line here; --verbosity=0 shows them again.
    logging.set_verbosity(logging.FATAL)
    sys.modules["__main__"].__doc__ = __doc__  # what --help says
    app.run(run, argv=["vdd train", *argv], flags_parser=flags.parse)
    return 0


def run(argv: Sequence[str]) -> None:
    """`main`, with errors told in one line."""
    if status := command.run(lambda: main(argv), "training or evaluating", flags.DEBUG.value):
        leave(status)


if __name__ == "__main__":
    program(sys.argv[1:])
