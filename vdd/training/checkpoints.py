"""Checkpoints of a run: asynchronous, atomic, and readable on any number of devices.

`<workdir>/checkpoints/<step>/` holds `state` (the train state's arrays) and `host` (one JSON file
a process: the data iterator's place and the open log window). A step's folder appears only
when it is complete; one that cannot be read any more is set aside and the one before it is used.
"""

import concurrent.futures
import json
import time
import types
from collections.abc import Sequence
from typing import Any

import jax
from etils import epath
from jax.experimental import multihost_utils
from jaxtyping import PyTree
from orbax.checkpoint import v1 as ocp

from vdd import files
from vdd.errors import UserError
from vdd.training.checkpoint_files import (
    begin,
    checkpoints_dir,
    clean,
    in_the_way,
    list_steps,
    prune,
    verify,
)
from vdd.training.parameters import latest_readable, reason
from vdd.training.processes import LostProcessError
from vdd.values import Json

_HOST_FILE = "process_{}.json"


class HostState:
    """A JSON-able dict per process, saved and loaded beside the arrays (Orbax's protocol)."""

    def __init__(self, value: Json | None = None):
        self.value = value

    async def save(self, directory: Any):
        """Take the snapshot now; write it in the background."""
        text, name = json.dumps(self.value), _HOST_FILE.format(jax.process_index())

        async def write() -> None:
            path = await directory.await_creation()
            (path / name).write_text(text)

        return write()

    async def load(self, directory: Any):
        """Read this process's file, or the first one's when there were fewer processes."""

        async def read() -> None:
            path = directory / _HOST_FILE.format(jax.process_index())
            path = path if path.exists() else directory / _HOST_FILE.format(0)
            self.value = json.loads(path.read_text())

        return read()


class Checkpoints:
    """The checkpoints of one run, for the training loop (all processes call it alike).

    Args:
        workdir: the run directory.
        keep: how many of the latest checkpoints stay.
        keep_every: checkpoints at multiples of this step stay as well (0: none).
    """

    def __init__(self, workdir: epath.PathLike, keep: int = 3, keep_every: int = 0):
        if keep < 1:
            raise UserError(f"train.keep={keep}: at least the latest checkpoint must be kept")
        self._directory = checkpoints_dir(workdir)
        self._saving: tuple[int, concurrent.futures.Future[None] | None] | None = None
        self._finishing = concurrent.futures.ThreadPoolExecutor(1, "vdd-checkpoints")
        self._keep, self._keep_every = keep, keep_every
        if jax.process_index() == 0:
            files.own(self._directory.parent)
        clean(workdir)
        try:
            # It keeps all: which of them may be removed is not for it to know.
            self._checkpointer = ocp.training.Checkpointer(self._directory)
        except OSError as error:
            raise UserError(f"cannot use {self._directory}: {reason(error)}") from error

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        failed = kind is not None
        if kind is LostProcessError:  # what is being saved waits for that one
            return
        try:
            self.wait()
        except UserError:
            failed = True
            raise
        finally:
            self._finishing.shutdown()
            try:
                self._checkpointer.close()
            except Exception:  # says again, at length, what has been said
                if not failed:
                    raise

    def steps(self) -> list[int]:
        """Steps of all finished checkpoints, ascending."""
        return list_steps(self._directory.parent)

    def save(self, step: int, state: PyTree, host: Json) -> None:
        """Save in the background; the values are those at the time of the call.

        Waits for the save before this one. A step that has its checkpoint is not saved again.

        Raises:
            UserError: this or the save before it failed (disk full, folder gone, ...).
        """
        self.wait()
        if step in self.steps():
            return
        if (self._directory / str(step)).exists():
            raise in_the_way(self._directory / str(step))
        self._saving = (step, None)
        try:
            if jax.process_index() == 0:
                begin(self._directory / str(step))
            items = {"state": state, "host": HostState(host)}
            response = self._checkpointer.save_checkpointables_async(step, items, force=True)
        except Exception as error:
            raise self._failed(error) from error
        self._saving = (step, self._finishing.submit(self._finish, step, response))

    def wait(self) -> None:
        """Block until nothing is being written.

        Raises:
            UserError: the save in progress failed; earlier checkpoints are untouched.
        """
        if self._saving is None or self._saving[1] is None:
            return
        try:
            self._saving[1].result()
        except Exception as error:
            raise self._failed(error) from error
        self._saving = None

    def _finish(self, step: int, response: ocp.AsyncResponse[bool] | None) -> None:
        """Waits for a checkpoint, lists its checksums, and removes those that are not kept."""
        assert response is not None  # the save was forced
        response.result()
        if jax.process_index() == 0:
            files.seal(self._directory / str(step))
            prune(self._directory.parent, self._keep, self._keep_every)

    def restore(self, abstract: PyTree) -> tuple[int, PyTree, Json] | None:
        """Load the latest checkpoint that can be read.

        Args:
            abstract: the state as a tree of ShapeDtypeStructs with the shardings wanted, of any
                topology.

        Returns:
            (step, state, host dict), or None where no checkpoint has been saved.

        Raises:
            UserError: there are checkpoints and none can be read.
        """

        def load(step: int) -> tuple[int, PyTree, Json]:
            host = HostState()
            items = {"state": abstract, "host": host}
            verify(self._directory / str(step))
            loaded = self._checkpointer.load_checkpointables(step, items)
            assert host.value is not None
            return step, loaded["state"], host.value

        steps = self.steps()
        if not steps:
            return None
        restored = latest_readable(self._directory, steps, load)
        self._set_aside([step for step in steps if step > restored[0]])
        return restored

    def _set_aside(self, steps: Sequence[int]) -> None:
        """Rename unreadable checkpoints, so that they neither count as latest nor block a save."""
        if steps and jax.process_index() == 0:
            for step in steps:
                path = self._directory / str(step)
                if not files.is_ours(path / files.CHECKSUMS):
                    raise in_the_way(path)
                files.move(path, self._directory / f"{step}.damaged-{int(time.time())}")
        if steps:
            multihost_utils.sync_global_devices("vdd_set_aside")
            self._checkpointer.reload()

    def _failed(self, error: Exception) -> UserError:
        step = self._saving[0] if self._saving else None
        self._saving = None
        return UserError(
            f"cannot save the checkpoint of step {step} in {self._directory}: {reason(error)}; "
            "earlier checkpoints are whole: mend that and run the same command again"
        )
