"""What commands do alike: set JAX up, read clips, show that they are at work."""

import argparse
import collections
import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from vdd import command
from vdd.errors import UserError


def set_up_jax() -> None:
    """Before the first use of JAX: its caches, its memory, its devices."""
    from vdd.startup import check_devices, keep_compiled_programs, keep_freed_memory

    keep_compiled_programs(os.environ)
    keep_freed_memory()
    check_devices(os.environ)


def run_named(arguments: argparse.Namespace) -> str:
    """RUN, given by place or by name."""
    if (arguments.run is None) == (arguments.run_dir is None):
        raise UserError("name one run: RUN, or --run RUN")
    return arguments.run or arguments.run_dir


def read_clip(path: str, size: tuple[int, int, int], frames: int | None):
    """The first frames of a clip, as `open_clip` has them."""
    import numpy as np

    with open_clip(path, size) as clip:
        return np.stack(list(islice(clip.frames, frames)))


def read_end(path: str, size: tuple[int, int, int], frames: int):
    """The last frames of a clip of any length, as `open_clip` has them."""
    import numpy as np

    count, kept = 0, collections.deque(maxlen=frames)
    with open_clip(path, size) as clip:
        for frame in clip.frames:
            kept.append(frame)
            count += 1
    if count > frames:
        print(f"{path}: its last {frames} frames of {count}, as the prior looks back no further")
    return np.stack(kept)


@contextlib.contextmanager
def open_clip(path: str, size: tuple[int, int, int]) -> Iterator[Any]:
    """A clip at the model's size h w c; says so where it is not of that height and width."""
    from vdd.data import video_io

    with video_io.open_clip(path, size[:2], alpha=size[2] == 4) as clip:
        if clip.size != size[:2]:
            note = f"scaled and cropped to the model's {size[1]}x{size[0]}"
            print(f"{path}: {clip.size[1]}x{clip.size[0]} {note}")
        yield clip


def write_frames(
    out: Any,
    pieces: Iterable[Any],
    fps: float,
    task: str,
    sound: Any = None,
    overwrite: bool = False,
) -> int:
    """Writes the frames of pieces of a clip as they are drawn; how many there were."""
    from vdd.data import video_writer

    count = 0
    with working(task) as tell, video_writer.open_clip(out, fps, sound, overwrite) as clip:
        for frame in (frame for piece in pieces for frame in piece):
            clip.write(frame)
            count += 1
            tell(f"{count} frames, {count / fps:.1f} seconds")
    return count


@contextlib.contextmanager
def working(task: str) -> Iterator[Callable[[str], None]]:
    """A spinner, the task and its seconds on a terminal; elsewhere stderr is for errors alone.

    Gives a function that tells how far the task is.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        with command.doing(task):
            yield lambda progress: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with command.doing(task), Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task(task, total=None)
        yield lambda text: progress.update(bar, description=f"{task}: {text}")
