"""What a run says: metrics.jsonl always, TensorBoard events where they can be written.

Only the first process writes. metrics.jsonl has one object per logged step; apart from `TIMINGS`
its values depend on config and step alone, so that a resumed run leaves the same file.
"""

import contextlib
import json
import math
import time
from collections.abc import Iterator

import jax
import numpy as np
from etils import epath
from jax.typing import ArrayLike

from vdd import files
from vdd.errors import UserError
from vdd.training import hardware, windows
from vdd.training.progress import ProgressLine
from vdd.training.tensorboard import SummaryWriter, tensorboard_writer
from vdd.values import Figures, Report

# Keys of metrics.jsonl that tell of the machine: seconds of training (hooks and saves excluded,
# earlier parts of a resumed run included), rates since the line before, model FLOPs utilisation.
TIMINGS = ("seconds", "steps_per_second", "examples_per_second", "mfu")


class Writer:
    """Writes scalars and images of a run; does nothing except in the first process.

    Args:
        workdir: the run directory.
        resumed_at: lines and half lines of metrics.jsonl beyond this step are dropped.
    """

    def __init__(self, workdir: epath.PathLike, resumed_at: int = 0):
        self._path = epath.Path(workdir) / "metrics.jsonl"
        self._active = jax.process_index() == 0
        self._tensorboard: SummaryWriter | None = None
        self._lines: Lines | None = None
        if self._active:
            with _user_error(self._path.parent):
                drop_lines_after(self._path, resumed_at)
                self._lines = Lines(self._path)
                self._tensorboard = tensorboard_writer(workdir)
            if self._tensorboard is None:
                print("no TensorBoard events: the tensorboard package is not installed")

    def write(self, step: int, values: Report) -> None:
        """Scalars become one line and one event, uint8 images [h w 3] go to TensorBoard.

        A scalar that is None or not finite is null in metrics.jsonl and absent from TensorBoard.

        Raises:
            UserError: the directory cannot be written (any more).
        """
        if self._lines is None:
            return
        images = {k: np.asarray(v)[None] for k, v in values.items() if np.ndim(v) == 3}
        scalars = {k: _number(v) for k, v in values.items() if k not in images}
        with _user_error(self._path.parent):
            if scalars:
                self._lines.add(json.dumps({"step": step} | scalars))
            if self._tensorboard is not None:
                known = {k: v for k, v in scalars.items() if v is not None}
                self._tensorboard.write_scalars(step, known)
                if images:
                    self._tensorboard.write_images(step, images)
                self._tensorboard.flush()

    def flush(self) -> None:
        """See to it that all lines are in the file, before a checkpoint.

        Raises:
            UserError: the directory cannot be written (any more).
        """
        if self._lines is not None:
            with _user_error(self._path.parent):
                self._lines.flush()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(UserError):
            self.flush()
        if self._tensorboard is not None:
            with contextlib.suppress(OSError):  # each write was flushed, or its failure was told
                self._tensorboard.close()


class MetricsLog:
    """Turns log windows into lines: holds one until the step after it is queued, then reads it.

    Args:
        writer: where lines go.
        progress: shows them.
        step: the step that the run starts from.
        seconds: what earlier parts of the run took.
        batch_size: clips a step, over all devices.
        flops_per_step: of the model over the global batch.
    """

    def __init__(
        self,
        writer: Writer,
        progress: ProgressLine,
        step: int,
        seconds: float,
        batch_size: int,
        flops_per_step: float,
    ):
        self._writer, self._progress = writer, progress
        self._batch_size, self._flops = batch_size, flops_per_step
        self._peak = hardware.peak_flops()
        self._pending: tuple[int, windows.Window] | None = None
        self._step, self._line_seconds, self.seconds = step, seconds, seconds
        self._mark = time.monotonic()  # up to where `seconds` counts

    def hold(self, step: int, window: windows.Window) -> None:
        """Keep the window that ends with this step; nothing is read from the device yet."""
        self._pending = (step, window)

    def read(self) -> Figures:
        """Wait for the held window, and give its line; {} where none is held.

        Raises:
            UserError: the loss was not finite in it.
        """
        if self._pending is None:
            return {}
        (step, window), self._pending = self._pending, None
        window = jax.device_get(window)
        windows.check_finite(window)
        self.pause()
        steps, seconds = step - self._step, max(self.seconds - self._line_seconds, 1e-9)
        self._step, self._line_seconds = step, self.seconds
        rate = steps / seconds
        return {
            **windows.means(window),
            "seconds": round(self.seconds, 3),
            "steps_per_second": _round(rate),
            "examples_per_second": _round(rate * self._batch_size),
            "mfu": _round(rate * self._flops / self._peak) if self._peak else None,
        }

    def write(self, step: int, values: Report) -> None:
        """Log a line, if there is anything in it; one of hooks' values alone is not shown."""
        if values:
            self._writer.write(step, values)
        if "loss" in values:
            self._progress.update(step, values)

    def flush(self) -> None:
        """Read the held window and write its line."""
        if self._pending is not None:
            step, _ = self._pending
            self.write(step, self.read())

    def sync(self) -> None:
        """See to it that all lines are in their file."""
        self.flush()
        self._writer.flush()

    def pause(self) -> None:
        """Count the time up to here as training; what follows, up to `go_on`, as something else."""
        now = time.monotonic()
        self.seconds += now - self._mark
        self._mark = now

    def go_on(self) -> None:
        """Training goes on."""
        self._mark = time.monotonic()


class Lines:
    """A file that lines are added to. Object stores cannot append: there it is written on `flush`.

    What was added since is lost in a crash, and so is the training since: a checkpoint flushes.
    """

    def __init__(self, path: epath.Path):
        self._path, self._remote = path, files.is_remote(path)
        self._written = path.read_text() if self._remote and path.exists() else ""
        self._held: list[str] = []

    def add(self, line: str) -> None:
        """Add a line."""
        if self._remote:
            self._held.append(line + "\n")
        else:
            files.append(self._path, line + "\n")

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            self._written += "".join(self._held)
            self._held.clear()
            files.write(self._path, self._written)


def drop_lines_after(path: epath.Path, step: int) -> None:
    """Keep the lines of metrics.jsonl up to a step, in one atomic replacement."""
    if not path.exists():
        return
    lines = path.read_text().splitlines()
    kept = [line for line in lines if _step_of(line) <= step]
    if kept != lines:
        files.write(path, "".join(line + "\n" for line in kept))


@contextlib.contextmanager
def _user_error(directory: epath.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write logs to {directory}: {error.strerror or error}") from error


def _number(value: ArrayLike | None) -> float | int | None:
    """A JSON number: float32 in its shortest exact form, null for None, nan and infinities."""
    if value is None or isinstance(value, int):
        return value
    value = np.asarray(value)
    if not np.isfinite(value):
        return None
    if value.dtype == np.float32:
        return float(str(value))
    return value.item()


def _round(value: float) -> float:
    return float(f"{value:.4g}")


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):  # the half line of a process that was killed
        return math.inf
