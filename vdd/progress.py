"""Progress of a task: a bar with the time left on a terminal, else a line now and then."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

import jax
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

# Seconds between two plain lines where there is no terminal.
PLAIN_LINE_EVERY = 20.0

Advance = Callable[[int], None]


@contextlib.contextmanager
def progress_bar(title: str, total: int, show: bool = True) -> Iterator[Advance]:
    """Shows how far a task is; yields the function that says that so many more units are done."""
    quiet = not show or jax.process_index() > 0
    console = Console(file=sys.stderr, quiet=quiet, highlight=False)
    if not console.is_terminal:
        yield _plain_lines(console, title, total)
        return
    columns = (TextColumn(title), BarColumn(24), MofNCompleteColumn())
    clock = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *clock, console=console) as bar:
        task = bar.add_task(title, total=total)
        yield lambda count: bar.advance(task, count)


def _plain_lines(console: Console, title: str, total: int) -> Advance:
    start = last = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= PLAIN_LINE_EVERY:
            last = now
            left = (now - start) / done * (total - done)
            console.print(f"{title} {done}/{total}, {left:.0f} s left", soft_wrap=True)

    return advance
