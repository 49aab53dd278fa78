"""What a killed process left in its folders, and small disks for it."""

import contextlib
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

# Lists and locks of this tool: they tell how a folder came to be.
OURS = (".vdd.sha256", ".vdd.lock", "checksums.txt")
# Parts of reports and logs that tell of the time or the machine, or are of those that do.
TIMES = (
    "seconds", "steps_per_second", "examples_per_second", "mfu", "process_seconds",
    "frames_per_process_second", "sha256",
)  # fmt: skip


def contents(folder: Path) -> dict[str, str]:
    """A digest of each thing in a run directory or a data set, by name."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        in_checkpoint = name.startswith("checkpoints/") and name.count("/") > 1
        if path.is_file() and not in_checkpoint and path.name not in OURS and "events" not in name:
            found[name] = hashlib.sha256(without_times(path)).hexdigest()
    for path in (folder / "checkpoints").glob("*"):
        if not (path / "commit_success.txt").exists():
            found[f"{path.name}, unfinished"] = ""
            continue
        for key, x in arrays(path):
            found[f"{path.name}{key}"] = hashlib.sha256(x.tobytes()).hexdigest()
    return found


def step_of(name: str) -> str:
    """The step of a name in `contents` that is of a checkpoint's array, else nothing."""
    return name.partition("[")[0] if "[" in name else ""


def steps_of(found: dict[str, str]) -> set[str]:
    """The steps that checkpoints are kept of."""
    return {step_of(name) for name in found} - {""}


def arrays(checkpoint: Path) -> list[tuple[str, np.ndarray]]:
    """The arrays of a checkpoint, by path."""
    import jax
    from etils import epath
    from orbax.checkpoint import v1 as ocp

    shapes: Any = ocp.metadata(epath.Path(checkpoint), "state").metadata
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), shapes)
    state = ocp.load(epath.Path(checkpoint), like, checkpointable_name="state")
    found = jax.tree_util.tree_leaves_with_path(state)
    return [(jax.tree_util.keystr(path), np.asarray(x)) for path, x in found]


def without_times(path: Path) -> bytes:
    """What is in a file, less what tells of time and machine."""
    if path.name in ("curves.png", "report.md"):  # seconds are drawn there
        return b"there"
    if path.name not in ("metrics.jsonl", "report.json"):
        return path.read_bytes()
    text = path.read_text()
    values = map(json.loads, text.splitlines() if path.suffix == ".jsonl" else [text])
    return json.dumps([stripped(value) for value in values], sort_keys=True).encode()


def stripped(value: Any) -> Any:
    """A JSON value without times."""
    if isinstance(value, dict):
        return {k: stripped(v) for k, v in value.items() if k not in TIMES}
    return [stripped(v) for v in value] if isinstance(value, list) else value


@contextlib.contextmanager
def tmpfs(folder: Path, size: int) -> Iterator[Callable[[], object]]:
    """A disk of so many bytes; what is given makes it large."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "vdd", folder], check=True)
    try:
        grow = ["mount", "-o", "remount,size=1g", folder]
        yield lambda: bool(subprocess.run(grow, check=True))
    finally:
        subprocess.run(["umount", folder], check=True)


def can_mount(folder: Path) -> bool:
    """Whether this user may mount a disk in memory."""
    try:
        with tmpfs(folder, 1 << 20):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
