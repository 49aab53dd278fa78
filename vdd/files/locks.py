"""A lock on a folder, which a crash does not leave behind."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator

from etils import epath

from vdd.errors import UserError
from vdd.files.paths import is_remote, told

LOCK = ".vdd.lock"

_held: set[str] = set()  # folders that this process has locked


@contextlib.contextmanager
def lock(folder: epath.PathLike) -> Iterator[None]:
    """Holds a folder against other processes; the system lets go of it when this one ends.

    On gs:// nothing is locked. Within this process it can be held several times.

    Raises:
        UserError: another process holds it, or it cannot be made.
    """
    folder = epath.Path(folder)
    key = os.path.realpath(folder)
    if is_remote(folder) or key in _held:
        yield
        return
    with told(folder, "be used"):
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK, "a+")  # noqa: SIM115 (closed below)
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            who = file.read(200).strip() or "another process"
            raise UserError(f"{folder} is in use by {who}: wait, or name another folder") from error
        with told(folder / LOCK):
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
        _held.add(key)
        try:
            yield
        finally:
            _held.discard(key)
            file.truncate(0)
