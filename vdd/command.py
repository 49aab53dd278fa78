"""How every command ends: an exit status, and one line on stderr where something went wrong."""

import argparse
import contextlib
import io
import os
import re
import secrets
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from etils import epath

from vdd import files, interrupts
from vdd.errors import UserError


class Parser(argparse.ArgumentParser):
    """Arguments of a command; a mistake in them is a UserError, in one line."""

    def error(self, message: str):
        """Raise it, where argparse prints the whole usage and ends the process."""
        raise UserError(f"{message} (see {self.prog} --help)")


def run(command: Callable[[], object], task: str, debug: bool = False) -> int:
    """Runs a command and tells its errors and warnings, each in one line on stderr.

    Args:
      command: what to run.
      task: what it does, "preparing" say; `doing` tells more exactly.
      debug: print the traceback of an error that nobody foresaw, instead of writing it to a file.

    Returns:
      The exit status: 0; 2 for what the user can mend; 130 for ^C; 1 for what nobody foresaw.
    """
    _prepare_streams()
    _quieten_tensorflow()
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: complain(f"warning: {message}")
        try:
            with _interruptible():
                command()
            sys.stdout.flush()
        except UserError as error:
            return complain(error)
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as error:  # no space, no permission, ...
            return complain(f"{error.filename or _unnamed(task)}: {error.strerror or error}")
        except Exception as error:
            if place := _unreached(error):
                hint = "is there a network, and such a bucket, open to you?"
                return complain(f"{place}: cannot be reached: {hint}")
            if _is_out_of_memory(error):
                return complain(f"out of memory, of this machine or its accelerator ({error})")
            return _tell_unforeseen(error, task, debug)
    return 0


def _unnamed(task: str) -> str:
    """What was written when an error came that names no file: the output, if that takes no more."""
    try:
        print(flush=True)  # it may keep nothing of what it could not write
    except OSError:
        # Else Python tries again at its end, and complains in its own words.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return "what is printed (stdout)"
    return f"while {task}"


def _unreached(error: Exception) -> str | None:
    """The place in a bucket of which TensorFlow, which reads gs://, tells that it gave up."""
    text = str(error)
    if not type(error).__module__.startswith("tensorflow.") or "libcurl" not in text:
        return None
    found = re.search(r"gs://[^\s'\",;]+", text)
    return found[0] if found else "gs://"


def _prepare_streams() -> None:
    """Makes both streams take whatever is said, and be there: a service may have closed them."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        elif isinstance(stream, io.TextIOWrapper):  # not every terminal shows all names of files
            stream.reconfigure(errors="backslashreplace")


def _quieten_tensorflow() -> None:
    """What TensorFlow logs as it is imported is about arithmetic; here it only moves data."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # whose notice heeds no level


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """^C is a KeyboardInterrupt wherever the command is.

    What is raised in a callback of the garbage collector, of which JAX has one, or in a finalizer
    Python only reports: here it is raised again. With Python's own handler an event loop, such as
    that in which Orbax reads, makes a cancellation of it, which its tasks may pass over.
    """
    ours = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if not ours or before not in (signal.default_int_handler, interrupts.leave):
        yield
        return
    report = sys.unraisablehook

    def raise_again(what: "sys.UnraisableHookArgs") -> None:
        if what.exc_type is not KeyboardInterrupt:
            report(what)
            return
        # When the callback is over; a signal also ends a wait.
        again = (threading.main_thread().ident, signal.SIGINT)
        later = threading.Timer(0.02, signal.pthread_kill, again)
        later.daemon = True
        later.start()

    sys.unraisablehook = raise_again
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        sys.unraisablehook = report


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def doing(task: str) -> Iterator[None]:
    """What is done in this block, to be told if an error that nobody foresaw ends it."""
    try:
        yield
    except Exception as error:
        error.add_note(task)
        raise


def complain(message: object) -> int:
    """One line on stderr; the exit status of what the user can mend."""
    print(f"vdd: {' '.join(str(message).split())}", file=sys.stderr)
    return 2


def _tell_unforeseen(error: Exception, task: str, debug: bool) -> int:
    what = " ".join([type(error).__name__, *str(error).split()])[:300]
    task = next(iter(getattr(error, "__notes__", [])), task)
    text = "".join(traceback.format_exception(error))
    place = None if debug else _write(text)
    if place is None:
        sys.stderr.write(text)
    where = f"; the traceback is in {place}, --debug prints it" if place else ""
    complain(f"an error that was not foreseen, while {task}: {what}{where}")
    return 1


def _write(text: str) -> epath.Path | None:
    """Writes a file where it may lie; None where there is no room."""
    data = text.encode("utf-8", "backslashreplace")
    for folder in (tempfile.gettempdir, Path.home, Path.cwd):
        # Full, or there is no such place.
        with contextlib.suppress(OSError, RuntimeError, UserError):
            return files.write(Path(folder(), f"vdd-error-{secrets.token_hex(4)}.txt"), data)
    return None


def _is_out_of_memory(error: Exception) -> bool:
    """Told by the name of JAX's error, as JAX is not imported here."""
    by_jax = type(error).__name__ == "JaxRuntimeError" and "RESOURCE_EXHAUSTED" in str(error)
    return by_jax or isinstance(error, MemoryError)
