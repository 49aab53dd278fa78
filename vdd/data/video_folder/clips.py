"""Which files of a folder are clips, and whose; what is no clip is listed with the reason."""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vdd.data import decoding
from vdd.data.video_folder.splits import SPLITS
from vdd.errors import UserError

ENDINGS = (*decoding.VIDEO_ENDINGS, *decoding.ANIMATED_ENDINGS)
_PERHAPS = (".png", ".webp", ".avif")  # of animations, and of pictures, which are no clips


class Clip(NamedTuple):
    """A file to be decoded: its path under the source, and the person or thing it shows."""

    path: str
    identity: str


class Skipped(NamedTuple):
    """A file that gives no windows, and why."""

    path: str
    reason: str


class Found(NamedTuple):
    """All files under a folder, in the order of their paths."""

    clips: list[Clip]
    skipped: list[Skipped]


def find_clips(source: Path, in_splits: bool = False, innermost: bool = False) -> Found:
    """Walks a folder, links included, for files with one of `ENDINGS`, and animated pictures.

    A clip's identity is the folder that it lies in directly under the source, however deep; or the
    innermost one, by its own name, wherever it lies. A clip that lies in the source itself is an
    identity of its own. With `in_splits` that holds within the
    folders train, validation and test of the source, beside which nothing is a clip. Of files with
    the same bytes the first alone is taken, or a clip might be in two splits.

    Raises:
      UserError: there is no such folder, or nothing of it can be read.
    """
    if not source.is_dir():
        raise UserError(f"{source}: {'not a folder' if source.exists() else 'no such folder'}")
    if not os.access(source, os.R_OK | os.X_OK):
        raise UserError(f"{source}: Permission denied")
    found, readable = Found([], []), []
    for path in sorted(_walk(source, found.skipped)):
        name = path.relative_to(source).as_posix()
        reason = _why_not(path, name)
        if not reason and in_splits and split_of(name) is None:
            reason = f"in none of the folders {', '.join(SPLITS)}"
        if reason:
            found.skipped.append(Skipped(_printable(name), reason))
        else:
            readable.append((name, path))
    first_of = _first_of_equals(readable)
    for name, _ in readable:
        if first_of[name] == name:
            *folders, file = name.split("/")[in_splits:]
            own = os.path.splitext(file)[0]
            found.clips.append(Clip(name, [*folders, own][max(len(folders) - 1, 0) * innermost]))
        else:
            found.skipped.append(Skipped(name, f"the same bytes as {first_of[name]}"))
    return Found(found.clips, sorted(found.skipped))


def split_of(path: str) -> str | None:
    """The split that the first folder of a path under the source names, if it names one."""
    folder, _, rest = path.partition("/")
    return folder if rest and folder in SPLITS else None


def _walk(source: Path, skipped: list[Skipped]) -> Iterator[Path]:
    """Everything under `source` that is named like a clip; each folder once, links or not."""

    def unreadable(error: OSError) -> None:
        where = os.path.relpath(error.filename, source)
        skipped.append(Skipped(_printable(where), f"a folder: {error.strerror}"))

    seen = set()
    for folder, folders, files in os.walk(source, onerror=unreadable, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            where = _printable(os.path.relpath(folder, source))
            skipped.append(Skipped(where, "a link to a folder that is read already"))
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        for name in (*files, *folders):
            ending = os.path.splitext(name)[1].lower()
            if ending in ENDINGS or (ending in _PERHAPS and decoding.moves(Path(folder, name))):
                yield Path(folder, name)


def _why_not(path: Path, name: str) -> str | None:
    if path.name.startswith("."):
        return "a hidden file"
    if name != _printable(name):
        return "its name is not UTF-8, or holds control characters"
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return "a folder named like a clip"
        if not stat.S_ISREG(status.st_mode):
            return "not a regular file"
        if not status.st_size:
            return "an empty file"
        path.open("rb").close()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def _first_of_equals(files: list[tuple[str, Path]]) -> dict[str, str]:
    """For each file the first one with the same bytes; only files of one size are compared."""
    sizes = {name: path.stat().st_size for name, path in files}
    alike = Counter(sizes.values())
    first: dict[tuple[int, str], str] = {}
    first_of = {}
    for name, path in files:
        digest = _digest(path) if alike[sizes[name]] > 1 else ""
        first_of[name] = first.setdefault((sizes[name], digest), name)
    return first_of


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:  # read no further, it is like no other; decoding it tells why
        return str(path)
