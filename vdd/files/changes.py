"""Writing, moving and removing: nothing else in this package does so."""

import contextlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO

from etils import epath

from vdd.errors import UserError
from vdd.files.checksums import CHECKSUMS, digest, digest_of, read_list
from vdd.files.locks import LOCK
from vdd.files.marks import (
    GROWS,
    LIST,
    append_line,
    is_ours,
    is_work,
    mark,
    name_in,
    owner_of,
    refuse,
)
from vdd.files.paths import exists, is_remote, place_of, told

_UNFINISHED = re.compile(r"\d+\.orbax-checkpoint-tmp(-\d+)?")  # Orbax's own marks
_WHOLE = "commit_success.txt"


def write(path: epath.PathLike, data: bytes | str, overwrite: bool = False) -> epath.Path:
    """Writes a file in one step, so that a reader or a crash never sees half of it, and marks it.

    Args:
        path: where to; folders are made if they are missing.
        data: all of it.
        overwrite: replace somebody else's file.

    Raises:
        UserError: there is somebody else's file, or it cannot be written; the old one is then
          untouched.
    """
    with writing(path, overwrite) as file:
        file.write(data.encode() if isinstance(data, str) else data)
    return epath.Path(path)


@contextlib.contextmanager
def writing(path: epath.PathLike, overwrite: bool = False) -> Iterator[IO[bytes]]:
    """As `write`, of a file that is written piece by piece; it can be read and sought in, too.

    After an error the old file is untouched.
    """
    path = epath.Path(path)
    if not overwrite:
        refuse(path)
    with (_in_bucket if is_remote(path) else _beside)(path) as file:
        yield file


@contextlib.contextmanager
def _beside(path: epath.Path) -> Iterator[IO[bytes]]:
    """A file on the same disk, which takes the place of `path`, or what it links to, in the end."""
    target = place_of(path)
    part = target.with_name(f".vdd-{secrets.token_hex(8)}.part")
    with told(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "x+b") as file:
                yield file
                file.seek(0)
                value = digest_of(file)
            # Before it is replaced: a crash in between leaves a file that is marked, old or new.
            mark(path if owner_of(path) else part, value)
            os.replace(part, target)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(part)


@contextlib.contextmanager
def _in_bucket(path: epath.Path) -> Iterator[IO[bytes]]:
    """A temporary file, which is copied to `path` in the end; a full disk is that of such files."""
    with told("temporary files (TMPDIR)"):
        place = f"{tempfile.gettempdir()}, for temporary files (TMPDIR)"
    with told(place), tempfile.TemporaryFile() as file:
        yield file
        file.seek(0)
        value = digest_of(file)
        file.seek(0)
        with told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            mark(path, value)
            with path.open("wb") as target:
                shutil.copyfileobj(file, target)


def append(path: epath.PathLike, text: str) -> None:
    """Adds to a file of ours that grows, or begins it; not on gs://, which cannot append.

    Raises:
        UserError: it is somebody else's, or cannot be written.
    """
    path = epath.Path(path)
    refuse(path)
    if not path.exists():
        # In a folder of ours it is marked first: a stop in between leaves no file without a mark.
        if owner_of(path):
            mark(path, GROWS)
        append_line(path, "")
        mark(path, GROWS)
    append_line(path, text)


def move(source: epath.PathLike, target: epath.PathLike) -> None:
    """Moves what this tool has made to a place where nothing is.

    Raises:
        UserError: there is something, or it cannot be moved.
    """
    source, target = epath.Path(source), epath.Path(target)
    if exists(target):
        raise UserError(f"{target}: already there: move it away")
    with told(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)


def remove(path: epath.PathLike) -> None:
    """Removes a file that is ours; leaves any other."""
    if is_ours(path):
        epath.Path(path).unlink()


def remove_listed(folder: epath.PathLike, list_name: str = CHECKSUMS) -> None:
    """Removes what the list of a folder names, the list, and folders that are empty then.

    Whatever else lies there stays, and so does the folder then. What is not there is passed over,
    and so is what a link puts elsewhere.
    """
    folder = epath.Path(folder)
    below = {folder}
    for name in read_list(folder / list_name):
        path = folder / name
        if name and _is_inside(path, folder):
            if path.is_file():
                path.unlink()
            below |= {parent for parent in path.parents if parent.is_relative_to(folder)}
    _remove_empty(below - {folder})
    (folder / list_name).unlink(missing_ok=True)
    _remove_empty({folder})


def remove_work(folder: epath.PathLike, names: str) -> None:
    """Removes a folder that `own_work` has made; what somebody else has put there stays.

    Args:
        folder: need not be there.
        names: a regular expression, of what this tool puts there.
    """
    folder = epath.Path(folder)
    if not is_work(folder):
        return
    for path in folder.iterdir():
        if _is_inside(path, folder) and re.fullmatch(names, path.name):
            path.rmtree() if path.is_dir() else path.unlink()
    for name in (LOCK, LIST):
        (folder / name).unlink(missing_ok=True)
    _remove_empty({folder})


def _remove_empty(folders: set[epath.Path]) -> None:
    for folder in sorted(folders, reverse=True):
        with contextlib.suppress(OSError, ValueError):  # it is not empty
            folder.rmdir()


def remove_unfinished(folder: epath.PathLike) -> None:
    """Removes the checkpoints that Orbax has begun in a folder of ours, and not finished."""
    folder = epath.Path(folder)
    if owner_of(folder) is None or not folder.is_dir():
        return
    for path in folder.iterdir():
        if _UNFINISHED.fullmatch(path.name) and path.is_dir() and _is_inside(path, folder):
            path.rmtree()


def seal(folder: epath.PathLike) -> None:
    """Lists the files of a folder with their checksums, in `checksums.txt` there.

    Raises:
        UserError: it cannot be read or written.
    """
    folder = epath.Path(folder)
    with told(folder / CHECKSUMS):
        files = [parent / name for parent, _, names in folder.walk() for name in names]
        # They are removed in this order: first what says that a checkpoint is whole.
        files.sort(key=lambda file: (len(file.parts), file.name != _WHOLE, file))
        lines = [f"{digest(f)}  {name_in(f, folder)}\n" for f in files if f.name != CHECKSUMS]
    write(folder / CHECKSUMS, "".join(lines))


def _is_inside(path: epath.Path, folder: epath.Path) -> bool:
    """Whether a path below a folder is no link, and its name leads nowhere else."""
    if is_remote(folder):
        return ".." not in path.parts
    if not path.is_relative_to(folder):
        return False
    place = os.path.join(os.path.realpath(folder), path.relative_to(folder))
    return os.path.realpath(path) == place
