"""Checks before any work: whether a file or folder may and can be written."""

import os
import tempfile
from collections.abc import Iterable

from etils import epath

from vdd.errors import UserError
from vdd.files.marks import LIST, refuse
from vdd.files.paths import check_is_folder, exists, expand, is_remote, is_same, place_of, told


def check(
    path: epath.PathLike, inputs: Iterable[epath.PathLike | None] = (), overwrite: bool = False
) -> epath.Path:
    """Tells before any work whether a file can be written; the path, with `~` spelled out.

    Args:
        path: the file.
        inputs: what is read meanwhile.
        overwrite: somebody else's file may be replaced.

    Raises:
        UserError: an input is not there; it is an input, a folder, somebody else's; there is no
          right or room to write it.
    """
    path = expand(path)
    for other in filter(None, inputs):
        # An address is looked at by whoever reads it.
        if "://" not in os.fspath(other) and not exists(epath.Path(other)):
            raise UserError(f"{other}: no such file or folder")
        if is_same(path, other):
            raise UserError(f"{path}: is read, and cannot be written too: name another file")
    if path.is_dir():
        raise UserError(f"{path}: is a folder, not a file to write")
    if not overwrite:
        refuse(path, ", or say --overwrite")
    with told(path):
        _check_place(place_of(path))
    return path


def check_folder(folder: epath.PathLike, *names: str) -> epath.Path:
    """Tells before any work whether these files can be written below a folder.

    Args:
        folder: need not be there.
        names: of files, or patterns of names.

    Raises:
        UserError: it is no folder, cannot be written, or has such a file that is not ours.
    """
    folder = expand(folder)
    check_is_folder(folder)
    with told(folder):
        _check_place(folder / LIST)
    for name in names if folder.exists() else ():
        if "/" in name:
            check_is_folder(folder / name.partition("/")[0])
        for path in sorted(folder.glob(name)):
            refuse(path)
    return folder


def _check_place(path: epath.Path) -> None:
    """Raises an OSError where a file of that name cannot be made."""
    if is_remote(path):
        return
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    missing = path.absolute().relative_to(folder.absolute())
    for part in missing.parts:  # each may be too long
        exists(folder / part)
    with tempfile.TemporaryFile(dir=folder):
        pass


def check_outside(path: epath.PathLike, folder: epath.PathLike) -> None:
    """Raise a UserError for a place in a folder in which nothing is to be written."""
    where, within = expand(path), os.path.realpath(folder)
    if not is_remote(where) and os.path.commonpath([os.path.realpath(where), within]) == within:
        raise UserError(f"{path}: lies in {folder}, where nothing is written: name another one")
