"""Checksums of files, and lists of them as `sha256sum` writes: `sha256sum -c` reads them, too."""

import hashlib
from typing import IO, Any

from etils import epath

from vdd.errors import UserError

CHECKSUMS = "checksums.txt"  # those of the files of a folder, in it


def digest(path: epath.PathLike) -> str:
    """The SHA-256 of a file, 64 hex digits."""
    with epath.Path(path).open("rb") as file:
        return digest_of(file)


def digest_of(file: IO[bytes]) -> str:
    """The SHA-256 of what follows in an open file."""
    readable: Any = file
    return hashlib.file_digest(readable, "sha256").hexdigest()


def read_list(path: epath.Path) -> dict[str, set[str]]:
    """The checksums that each name of a list has; {} where there is none.

    What stands in a line that is none has the name "".
    """
    names: dict[str, set[str]] = {}
    for line in path.read_bytes().decode(errors="replace").splitlines() if path.is_file() else ():
        value, _, name = line.partition("  ")
        names.setdefault(name, set()).add(value)
    return names


def verify(folder: epath.PathLike) -> None:
    """Compares the files of a folder with their checksums, where it has any.

    Raises:
        UserError: one is missing, or not as it was.
    """
    folder = epath.Path(folder)
    for name, values in read_list(folder / CHECKSUMS).items():
        if not name or not (folder / name).is_file():
            raise UserError(f"{folder / (name or CHECKSUMS)}: missing or damaged")
        if digest(folder / name) not in values:
            raise UserError(f"{folder / name}: damaged, its checksum is another")
