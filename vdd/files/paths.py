"""Paths: what `~` stands for, what is in a bucket, what a failure is called."""

import contextlib
import os
from collections.abc import Iterator

from etils import epath

from vdd.errors import UserError, check_address


def expand(path: epath.PathLike) -> epath.Path:
    """The path with `~` and `~NAME` spelled out.

    Raises:
        UserError: nobody knows where that home is, or it is an address (`check_address`).
    """
    check_address(path)
    text = os.fspath(path)
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise UserError(f"{text}: there is no such home (HOME is not set?); write the path in full")
    return epath.Path(expanded)


def cache_dir() -> epath.Path | None:
    """~/.cache/vdd, None where there is no home, or none that can be written."""
    with contextlib.suppress(UserError, OSError):
        cache = place = expand("~/.cache/vdd")
        while not exists(place):
            place = place.parent
        return cache if place.is_dir() and os.access(place, os.W_OK) else None
    return None


def is_remote(path: epath.PathLike) -> bool:
    """Whether a path is in a bucket (gs://)."""
    return "://" in os.fspath(path)


def size_of(path: epath.Path) -> int:
    """Bytes of a file. `path.stat()` also asks whose it is, and fails where that has no name.

    So it does in a container that runs as the user's number, and on a share of other machines.

    Raises:
        OSError: it cannot be asked.
    """
    return path.stat().length if is_remote(path) else os.stat(path).st_size


def exists(path: epath.Path) -> bool:
    """Whether there is anything of that name, a link to nowhere too."""
    if is_remote(path):
        return path.exists()
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def place_of(path: epath.Path) -> epath.Path:
    """Where a file of that name lies: elsewhere, if the name is a link."""
    return epath.Path(os.path.realpath(path)) if os.path.islink(path) else path


def check_is_folder(path: epath.Path) -> None:
    """Raise a UserError for something that is there, and is no folder."""
    if exists(path) and not path.is_dir():
        raise UserError(f"{path}: Not a directory, but a file")


def is_same(path: epath.Path, other: epath.PathLike) -> bool:
    """Whether two paths are of one file, also by links."""
    if is_remote(path) or is_remote(other):
        return os.fspath(path) == os.fspath(other)
    with contextlib.suppress(OSError):
        return os.path.samefile(path, other)
    return os.path.abspath(path) == os.path.abspath(other)


@contextlib.contextmanager
def told(path: epath.PathLike, what: str = "be written") -> Iterator[None]:
    """An error of the file system as one of the user's."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot {what} ({error.strerror or error})") from error
