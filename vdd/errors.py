"""The one exception that ends in a clear line instead of a traceback."""

import os
import re


class UserError(Exception):
    """A mistake that the person at the keyboard can mend.

    `vdd.command` prints its text as one line on stderr and ends with status 2.
    """


def check_address(path: str | os.PathLike[str]) -> None:
    """Refuses what looks like an address, but for gs://, which is read and written like a folder.

    Raises:
      UserError: with what to do instead.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", os.fspath(path))
    if scheme is None or scheme[1].lower() == "gs":
        return
    if scheme[1].lower() == "file":
        raise UserError(f"{path}: name the file by its path, without file://")
    raise UserError(
        f"{path}: {scheme[1]}:// is not read or written here: copy it to this machine (gs:// works)"
    )
