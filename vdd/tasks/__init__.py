"""What can be trained, one file each: what `vdd.main` needs to know of it.

A config names its task as `config.task`. To add one, write a module with the functions of `Task`
and list it in `TASKS`.
"""

import importlib
from typing import Protocol, cast

from etils import epath

from vdd.config import Config
from vdd.data.batches import ClipIterator
from vdd.errors import UserError
from vdd.training.loop import Hook
from vdd.training.update import Training

TASKS = ("autoencoder", "disentangler", "prior")


class Task(Protocol):
    """The functions of a task's module."""

    def settle(self, config: Config, workdir: epath.Path) -> Config:
        """The config with what it leaves open, and may change meanwhile, as `workdir` began."""
        ...

    def build(self, config: Config) -> Training:
        """The functions of the training; ValueError, TypeError or UserError for a wrong config."""
        ...

    def batches(self, config: Config, process: int, processes: int) -> ClipIterator:
        """The batches of one process, each a function of (seed, step)."""
        ...

    def hooks(self, config: Config, workdir: epath.Path) -> list[Hook]:
        """What is done during the training every so many steps."""
        ...

    def evaluate(self, workdir: epath.Path) -> int:
        """Measure the latest checkpoint, write `eval/<step>.json` and `report.md`; its step."""
        ...


def find(name: str) -> Task:
    """The task of that name.

    Raises:
      UserError: there is none.
    """
    if name not in TASKS:
        raise UserError(f"unknown task {name!r}: config.task is one of {', '.join(TASKS)}")
    return cast(Task, importlib.import_module(f"vdd.tasks.{name}"))
