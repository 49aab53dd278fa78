"""^C before a command has begun, while what it needs is imported: no traceback of the imports."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator


def leave(*_: object) -> None:
    """The handler: nothing has been begun, and there is nothing to say."""
    os._exit(130)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """In this block, up to the command's own handler (`vdd.command.run`), ^C ends the process."""
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
