"""Where the checkpoints of a run lie, and which folders among them are its own."""

import os
import re
from collections.abc import Iterable

import jax
from etils import epath

from vdd import files
from vdd.config import Config
from vdd.errors import UserError

_STEP = re.compile("0|[1-9][0-9]*")  # the name of a checkpoint
WHOLE = "commit_success.txt"  # Orbax writes it last


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
    return sorted(int(path.name) for path in found if (path / WHOLE).exists())


def check(workdir: epath.PathLike, settings: Config) -> None:
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


def begin(path: epath.Path) -> None:
    """Notes that a checkpoint is about to be saved there: should it stay unlisted, it is ours."""
    files.mark(path / WHOLE, files.GROWS)


def left_over(workdir: epath.PathLike, settings: Config) -> list[int]:
    """Steps whose checkpoints a stop has left unlisted, half removed, or not removed yet.

    Args:
        workdir: the run directory.
        settings: `config.train`.
    """
    directory, whole = checkpoints_dir(workdir), list_steps(workdir)
    own = own_steps(directory)
    left = {*_unlisted(directory, whole), *(set(own) - set(whole))}
    return sorted({*left, *_surplus(own, settings.keep, settings.keep_every)})


def clean(workdir: epath.PathLike) -> None:
    """Removes what a stop has left half written or half removed, and lists what it left unlisted.

    The first process does so.
    """
    if jax.process_index() == 0:
        directory, whole = checkpoints_dir(workdir), list_steps(workdir)
        files.remove_unfinished(directory)
        _remove(directory, set(own_steps(directory)) - set(whole))
        for step in _unlisted(directory, whole):
            files.seal(directory / str(step))


def prune(workdir: epath.PathLike, keep: int, keep_every: int) -> None:
    """Removes the checkpoints of this run that are not kept, in the first process."""
    if jax.process_index() == 0:
        directory = checkpoints_dir(workdir)
        _remove(directory, _surplus(own_steps(directory), keep, keep_every))


def _unlisted(directory: epath.Path, whole: Iterable[int]) -> list[int]:
    paths = [directory / str(step) for step in whole]
    return [
        int(path.name)
        for path in paths
        if files.is_ours(path / WHOLE)
        and not (path / files.CHECKSUMS).exists()
        and not os.path.islink(path)
    ]


def _surplus(own: list[int], keep: int, keep_every: int) -> set[int]:
    every = [step for step in own if keep_every and step % keep_every == 0]
    return set(own) - {*own[-keep:], *every}


def _remove(directory: epath.Path, steps: Iterable[int]) -> None:
    for step in steps:
        files.remove_listed(directory / str(step), files.CHECKSUMS)


def in_the_way(path: epath.Path) -> UserError:
    """The error that something is no checkpoint of this run, and has the place of one."""
    return UserError(f"{path}: not a checkpoint that this run has saved: move it away")


def verify(path: epath.Path) -> None:
    """Compares a checkpoint with its checksums, in the first process."""
    if jax.process_index() == 0:
        files.verify(path)
