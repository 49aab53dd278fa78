"""Files of this tool: what it wrote, and the one place where files are replaced and removed.

Nothing is replaced or removed that is not marked as ours (`marks`). Whatever writes for a long
time asks first whether it may (`checks`). All else is in `changes`, `checksums` and `locks`.
"""

from vdd.files.changes import (
    append,
    move,
    remove,
    remove_listed,
    remove_unfinished,
    remove_work,
    seal,
    write,
    writing,
)
from vdd.files.checks import check, check_folder, check_outside
from vdd.files.checksums import CHECKSUMS, verify
from vdd.files.locks import lock
from vdd.files.marks import GROWS, LIST, is_ours, mark, own, own_work
from vdd.files.paths import cache_dir, expand, is_remote, is_same, size_of

__all__ = [
    "CHECKSUMS",
    "GROWS",
    "LIST",
    "append",
    "cache_dir",
    "check",
    "check_folder",
    "check_outside",
    "expand",
    "is_ours",
    "is_remote",
    "is_same",
    "lock",
    "mark",
    "move",
    "own",
    "own_work",
    "remove",
    "remove_listed",
    "remove_unfinished",
    "remove_work",
    "seal",
    "size_of",
    "verify",
    "write",
    "writing",
]
