"""^C before a command has begun, while what it needs is imported: no traceback of the imports."""

import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

# What `python -m` starts that hands ^C to `vdd.command.run`.
_PROGRAMS = {"vdd", "vdd.cli", "vdd.main", "vdd.data.prepare"}


def leave(*_: object) -> None:
    """The handler: nothing has been begun, and there is nothing to say."""
    os._exit(130)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """In this block, up to the command's own handler (`vdd.command.run`), ^C ends the process."""
    if not _is_as_python_left_it():
        yield
        return
    signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def quiet_from_here() -> None:
    """The same, up to the command's own handler, where `python -m` starts a program of ours."""
    if module_run(sys.orig_argv) in _PROGRAMS and _is_as_python_left_it():
        signal.signal(signal.SIGINT, leave)


def module_run(command_line: Sequence[str]) -> str | None:
    """The module that `python -m MODULE`, `python -um MODULE` or `python -mMODULE` runs."""
    for i, argument in enumerate(command_line):
        if found := re.fullmatch(r"-[A-Za-ln-z]*m(.*)", argument):
            return found[1] or next(iter(command_line[i + 1 :]), None)
    return None


def _is_as_python_left_it() -> bool:
    """Whether ^C raises KeyboardInterrupt: not ignored, and nobody else has a handler for it."""
    ours = threading.current_thread() is threading.main_thread()
    return ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler
