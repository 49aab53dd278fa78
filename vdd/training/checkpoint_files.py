"""Where the checkpoints of a run lie, and which folders among them are its own."""

import os
import re
from typing import Any

import jax
from etils import epath

from vdd import files
from vdd.errors import UserError

_STEP = re.compile("0|[1-9][0-9]*")  # the name of a checkpoint


def checkpoints_dir(workdir: epath.PathLike) -> epath.Path:
    """The folder of a run's checkpoints, as an absolute path: Orbax writes to no other."""
    text = os.fspath(workdir)
    return epath.Path(text if "://" in text else os.path.abspath(text)) / "checkpoints"


def list_steps(workdir: epath.PathLike) -> list[int]:
    """Steps of the finished checkpoints of a run, ascending; [] where there are none."""
    directory = checkpoints_dir(workdir)
    if not directory.exists():
        return []
    found = [path for path in directory.iterdir() if _STEP.fullmatch(path.name)]
    return sorted(int(path.name) for path in found if (path / "commit_success.txt").exists())


def check(workdir: epath.PathLike, settings: Any) -> None:
    """Raise a UserError where no checkpoint is to be kept, or something else has the place of one.

    Args:
        workdir: the run directory.
        settings: `config.train`.
    """
    if settings.keep < 1:
        raise UserError(f"train.keep={settings.keep}: at least the latest checkpoint must be kept")
    directory, every = checkpoints_dir(workdir), settings.checkpoint_every
    if not directory.is_dir():
        return
    known = {*list_steps(workdir), *own_steps(directory)}
    latest = max(list_steps(workdir), default=0)  # earlier ones are not saved again
    for path in directory.iterdir():
        step = int(path.name) if _STEP.fullmatch(path.name) else 0
        due = step == settings.num_steps or (every > 0 and step % every == 0)
        if step > latest and due and step not in known:
            raise in_the_way(path)


def own_steps(directory: epath.Path) -> list[int]:
    """Steps whose checkpoints were saved by this run, ascending, unfinished or whole."""
    found = directory.iterdir() if directory.is_dir() else ()
    steps = [path for path in found if _STEP.fullmatch(path.name) and not os.path.islink(path)]
    return sorted(int(path.name) for path in steps if files.is_ours(path / files.CHECKSUMS))


def unfinished(workdir: epath.PathLike) -> list[int]:
    """Steps whose checkpoints a stop has left half removed."""
    return sorted(set(own_steps(checkpoints_dir(workdir))) - set(list_steps(workdir)))


def clean(workdir: epath.PathLike) -> None:
    """Removes what a stop has left half written or half removed, in the first process."""
    if jax.process_index() == 0:
        directory = checkpoints_dir(workdir)
        files.remove_unfinished(directory)
        for step in unfinished(workdir):
            files.remove_listed(directory / str(step), files.CHECKSUMS)


def in_the_way(path: epath.Path) -> UserError:
    """The error that something is no checkpoint of this run, and has the place of one."""
    return UserError(f"{path}: not a checkpoint that this run has saved: move it away")


def verify(path: epath.Path) -> None:
    """Compares a checkpoint with its checksums, in the first process."""
    if jax.process_index() == 0:
        files.verify(path)
