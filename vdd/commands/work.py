"""What commands do alike: set JAX up, read clips, show that they are at work."""

import argparse
import collections
import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from etils import epath
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from vdd import command
from vdd.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from vdd.data.sheet_files import Layout
    from vdd.data.sound import Sound
    from vdd.data.video_io import Clip
    from vdd.run import Run


def set_up_jax() -> None:
    """Before the first use of JAX: its caches, its memory, its devices."""
    from vdd.memory import keep_freed_memory
    from vdd.startup import check_devices, keep_compiled_programs

    keep_compiled_programs(os.environ)
    keep_freed_memory()
    check_devices(os.environ)


def run_named(arguments: argparse.Namespace) -> str:
    """RUN, given by place or by name."""
    if (arguments.run is None) == (arguments.run_dir is None):
        raise UserError("name one run: RUN, or --run RUN")
    return arguments.run or arguments.run_dir


def layout(arguments: argparse.Namespace) -> "Layout | None":
    """The layout of the sheet that --content is; None where it is none."""
    from vdd.data import sheet_files

    if arguments.layout:
        if not arguments.content:
            raise UserError("--layout is that of --content: give that, too")
        return sheet_files.parse(arguments.layout)
    is_sheet = arguments.content and sheet_files.is_lpc(arguments.content)
    return sheet_files.LPC if is_sheet else None


def read_content(
    run: "Run", path: str, layout: "Layout | None", frames: int | None
) -> "tuple[np.ndarray, float | None]":
    """The first frames of a clip, or of a sheet of that layout cells from all over it; their rate.

    The rate is in frames a second, None where there is no clock.
    """
    import numpy as np

    from vdd.data import sheet_files

    if layout is None:
        with open_fitted(run, path) as clip:
            return np.stack(list(islice(clip.frames, frames))), clip.fps
    size = run.model.latents.size[:2]
    video, told = sheet_files.read_clip(path, size, run.ground, layout, frames)
    print(f"{path}: {told}")
    return video, None


def read_end(run: "Run", path: str, frames: int) -> "tuple[np.ndarray, float | None]":
    """The last frames of a clip of any length, and their rate as `read_content` has it."""
    import numpy as np

    count, kept = 0, collections.deque(maxlen=frames)
    with open_fitted(run, path) as clip:
        for frame in clip.frames:
            kept.append(frame)
            count += 1
        fps = clip.fps
    if count > frames:
        print(f"{path}: its last {frames} frames of {count}, as the prior looks back no further")
    return np.stack(kept), fps


@contextlib.contextmanager
def open_fitted(run: "Run", path: str) -> "Iterator[Clip]":
    """A clip as the model reads it; says so where it is not of its size."""
    from vdd.data import video_io

    size = run.model.latents.size[:2]
    with video_io.open_clip(path, size, run.ground) as clip:
        if clip.size != size:
            note = f"scaled and cropped to the model's {size[1]}x{size[0]}"
            if clip.size[0] % size[0] == clip.size[1] % size[1] == 0:
                cells = f"{clip.size[1] // size[1]}x{clip.size[0] // size[0]}"
                note += f"; of a sheet of cells say --layout {cells}"
            print(f"{path}: {clip.size[1]}x{clip.size[0]} {note}")
        yield clip


def write_frames(
    out: epath.PathLike,
    pieces: "Iterable[Iterable[np.ndarray]]",
    fps: float,
    task: str,
    sound: "Sound | None" = None,
    overwrite: bool = False,
    comment: str | None = None,
) -> str:
    """Writes the frames of pieces of a clip as they are drawn; says how many, and of what size."""
    from vdd.data import video_writer

    drawn = None
    writing = video_writer.writing_clip(out, fps, sound, overwrite, comment)
    with working(task) as tell, writing as clip:
        for frame in (frame for piece in pieces for frame in piece):
            clip.write(frame)
            drawn = frame.shape[:2]
            tell(f"{clip.count} frames, {clip.count / fps:.1f} seconds")
    height, width = clip.size
    grown = "" if clip.size == drawn else ", as the sides of an mp4 are even,"
    return f"{clip.count} frames of {width}x{height}{grown} at {fps:g} frames a second"


def mark(arguments: argparse.Namespace, run: "Run") -> str | None:
    """The comment on a clip that a run has drawn; None where it needs none, or none is wanted."""
    from vdd.data import synthetic

    return None if arguments.no_mark else synthetic.mark(run.config.data)


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
