"""Whose a file is.

A folder of ours (a run, a data set) has a list, `.vdd.sha256`, of what was written below it, as
`sha256sum` writes one; a file anywhere else bears its checksum as the extended attribute
`user.vdd.sha256`. A file that was changed since is not ours any more. In a list a dash stands for
the checksum of a file that grows, or is yet to be written, and the name `./` for all that lies in
a folder of work, which goes when the work is done. Lines are only ever added, so that several
processes can.
"""

import contextlib
import functools
import os
import re
from collections.abc import Mapping

from etils import epath

from vdd.errors import UserError
from vdd.files.checksums import digest, read_list
from vdd.files.paths import check_is_folder, exists, is_remote, size_of, told

LIST = ".vdd.sha256"
GROWS = "-"
_ALL = "./"
_BEGINS = re.compile(rb"([0-9a-f]{64}|-)  .|([0-9a-f]{0,64}|-) {0,2}\Z", re.DOTALL)
_ATTRIBUTE = "user.vdd.sha256"


def own(folder: epath.PathLike) -> epath.Path:
    """Makes a folder and gives it a list, if they are not there: what is written there is listed.

    Raises:
        UserError: it cannot be made.
    """
    folder = epath.Path(folder)
    check_is_folder(folder)
    with told(folder, "be made"):
        folder.mkdir(parents=True, exist_ok=True)
        if not exists(folder / LIST):
            (folder / LIST).write_text("")
    if not _is_list(folder / LIST):
        raise UserError(f"{folder / LIST}: already there, and not made by vdd: move it away")
    return folder


def own_work(folder: epath.PathLike) -> epath.Path:
    """Makes a folder of work, or takes up one that was left: all that is in it is ours.

    Raises:
        UserError: there is something else of that name, or it cannot be made.
    """
    folder = epath.Path(folder)
    if exists(folder) and not is_work(folder) and not _is_bare(folder):
        raise UserError(f"{folder}: already there, and not made by vdd: move it away")
    if not is_work(folder):
        append_line(own(folder) / LIST, f"{GROWS}  {_ALL}\n")
    return folder


def is_work(folder: epath.Path) -> bool:
    """Whether a folder is one that `own_work` has made."""
    return _ALL in read_list(folder / LIST) and not os.path.islink(folder)


def _is_bare(folder: epath.Path) -> bool:
    """Whether a folder holds nothing yet, as a stop leaves it that comes before the first line."""
    if os.path.islink(folder) or not folder.is_dir():
        return False
    return all(p.name == LIST and p.is_file() and not size_of(p) for p in folder.iterdir())


def is_ours(path: epath.PathLike) -> bool:
    """Whether a file is one that this tool has written, and as it was written; a link never is."""
    path = epath.Path(path)
    if not path.is_file() or (not is_remote(path) and os.path.islink(path)):
        return False
    marks = _marks(path)
    return bool(marks) and (GROWS in marks or digest(path) in marks)


def mark(path: epath.PathLike, value: str | None = None) -> None:
    """Marks a file as written by this tool; `value` is its checksum if that is known."""
    path = epath.Path(path)
    value = value or digest(path)
    if owner := owner_of(path):
        if not _marks(path) & {value, GROWS}:
            append_line(owner / LIST, f"{value}  {name_in(path, owner)}\n")
    elif not is_remote(path):
        # Where the file system has no attributes, the file can be replaced only if that is asked.
        with contextlib.suppress(OSError, AttributeError):
            os.setxattr(path, _ATTRIBUTE, value.encode())


def refuse(path: epath.Path, or_else: str = "") -> None:
    """Raise a UserError where there is something that is not ours; `or_else` is one more remedy."""
    if exists(path) and not is_ours(path):
        raise UserError(
            f"{path}: already there, and not as vdd wrote it: move it away, or name another place"
            f"{or_else}"
        )


def owner_of(path: epath.Path) -> epath.Path | None:
    """The nearest folder above that has a list."""
    parents = path.parents if is_remote(path) else path.absolute().parents
    return next((parent for parent in parents if _is_list(parent / LIST)), None)


def _is_list(path: epath.Path) -> bool:
    """Whether a file is a list, and not somebody else's of that name: by how it begins.

    A stop may have left it empty, or with a part of its first line.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return bool(_BEGINS.match(file.read(66)))


def name_in(path: epath.Path, owner: epath.Path) -> str:
    """The name of a path below a folder, as a list has it: in one line."""
    if not is_remote(path):
        path, owner = path.absolute(), owner.absolute()
    return path.relative_to(owner).as_posix().replace("\n", "\\n")


def _marks(path: epath.Path) -> set[str]:
    """All marks that a file bears."""
    marks = set()
    if not is_remote(path):
        with contextlib.suppress(OSError, AttributeError):
            marks.add(os.getxattr(path, _ATTRIBUTE).decode())
    if owner := owner_of(path):
        names = _listed(owner / LIST)
        marks |= names.get(name_in(path, owner), set()) | ({GROWS} if _ALL in names else set())
    return marks


def _listed(path: epath.Path) -> Mapping[str, set[str]]:
    """What a list has; read again only where it has changed, as a long training asks so often."""
    if is_remote(path):
        return read_list(path)
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return {}
    return _read(path, (status.st_ino, status.st_mtime_ns, status.st_size))


@functools.lru_cache(maxsize=8)
def _read(path: epath.Path, status: tuple[int, ...]) -> Mapping[str, set[str]]:
    del status
    return read_list(path)


def append_line(path: epath.Path, text: str) -> None:
    """Adds to a file; an object store, which cannot append, gets all of it again.

    Raises:
        UserError: it cannot be written.
    """
    with told(path):
        if is_remote(path):
            path.write_text((path.read_text() if path.exists() else "") + text)
            return
        with open(path, "a") as file:
            file.write(text)
