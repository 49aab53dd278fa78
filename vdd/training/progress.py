"""The progress line: one live line on a terminal, elsewhere a plain line now and then."""

import math
import sys
import time

import jax
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TaskID, TextColumn

from vdd.progress import PLAIN_LINE_EVERY
from vdd.values import Report

_LOGGED_ALONE = ("examples_per_second", "mfu")  # where there is a live line


class ProgressLine:
    """One live line on a terminal; elsewhere a plain line now and then.

    Args:
        num_steps: where the run ends.
        console: where to; default stdout, and nothing except in the first process.
    """

    def __init__(self, num_steps: int, console: Console | None = None):
        quiet = jax.process_index() != 0
        self._console = console or Console(file=sys.stdout, quiet=quiet, highlight=False)
        self._num_steps = num_steps
        self._last_line = -math.inf
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if self._console.is_terminal:
            columns = MofNCompleteColumn(), TextColumn("{task.description}")
            self._bar = Progress(*columns, console=self._console, refresh_per_second=2)
            self._task = self._bar.add_task("", total=num_steps)

    def __enter__(self) -> "ProgressLine":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Print a line of its own."""
        self._console.print(text, soft_wrap=True)

    def update(self, step: int, values: Report) -> None:
        """Show a logged step: loss, bits per frame, rates, and the time left at this rate."""
        if self._bar is not None:  # of 80 columns
            few = {name: x for name, x in values.items() if name not in _LOGGED_ALONE}
            text = summary(step, self._num_steps, few)
            self._bar.update(self._task, completed=step, description=text)
            return
        text = summary(step, self._num_steps, values)
        now = time.monotonic()
        if now - self._last_line >= PLAIN_LINE_EVERY or step == self._num_steps:
            self._last_line = now
            self.say(f"step {step}/{self._num_steps}  {text}")


def summary(step: int, num_steps: int, values: Report) -> str:
    """The progress line's text; what was not measured is left out."""
    shown = (
        ("loss", "loss {:.4f}"),
        ("bits_per_frame", "{:.2f} bits/frame"),
        ("steps_per_second", "{:,.4g} steps/s"),
        ("examples_per_second", "{:,.0f} examples/s"),
        ("mfu", "MFU {:.1%}"),
    )
    values = {name: value for name, value in values.items() if value is not None}
    parts = [form.format(values[name]) for name, form in shown if name in values]
    rate = values.get("steps_per_second")
    if rate:
        parts.append(f"ETA {duration((num_steps - step) / rate)}")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """A span of time as a person says it: 45 s, 12 min, 3 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
