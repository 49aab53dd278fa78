"""Something done to every clip: in this process, in several, or by Apache Beam."""

import concurrent.futures
import importlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from vdd.data.video_folder.clips import Clip
from vdd.errors import UserError

Work = Callable[[Clip], None]


def in_turn(work: Work, clips: Sequence[Clip], advance: Callable[[int], None]) -> None:
    """One clip after another, in this process."""
    for clip in clips:
        work(clip)
        advance(1)


def in_processes(
    work: Work,
    clips: Sequence[Clip],
    count: int,
    advance: Callable[[int], None],
    crashed: Callable[[Clip], None],
) -> None:
    """In `count` processes at once.

    Args:
      work: what to do; it goes to the processes by pickling.
      clips: to what.
      count: number of processes.
      advance: called with 1 for each clip that is done.
      crashed: called with each clip that brought its process down.
    """
    done: set[Clip] = set()
    while waiting := [clip for clip in clips if clip not in done]:
        try:
            _in_pool(work, waiting, count, done, advance)
        except BrokenProcessPool:
            # One of those that were being worked on or about to be: each gets a process of its own.
            waiting = [clip for clip in clips if clip not in done]
            for clip in waiting[: 2 * count + 1]:
                try:
                    _in_pool(work, [clip], 1, done, advance)
                except BrokenProcessPool:
                    crashed(clip)
                    done.add(clip)
                    advance(1)


def _in_pool(
    work: Work, clips: Sequence[Clip], count: int, done: set[Clip], advance: Callable[[int], None]
) -> None:
    # Not forked: a copy of a process with threads, such as JAX's, may stand still for ever.
    context = multiprocessing.get_context("spawn")
    workers = min(count, len(clips))
    with concurrent.futures.ProcessPoolExecutor(workers, context, _start) as pool:
        clip_of = {pool.submit(work, clip): clip for clip in clips}
        try:
            for future in concurrent.futures.as_completed(clip_of):
                future.result()
                done.add(clip_of[future])
                advance(1)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start() -> None:
    """Makes a worker end without a word when its parent is interrupted, or gone."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def in_beam(work: Work, clips: Sequence[Clip], options: str) -> None:
    """As an Apache Beam pipeline, on the runner that the options name.

    Raises:
      UserError: Apache Beam is not installed, or refuses the options.
    """
    beam = import_beam()
    with beam.Pipeline(options=beam_options(options)) as pipeline:
        _ = pipeline | beam.Create(list(clips)) | beam.Reshuffle() | beam.Map(work)


def import_beam() -> Any:
    """Apache Beam.

    Raises:
      UserError: it is not installed.
    """
    try:
        return importlib.import_module("apache_beam")
    except ImportError as error:
        raise UserError("--beam needs Apache Beam: pip install 'vdd-video[beam]'") from error


def beam_options(options: str) -> Any:
    """Pipeline options from "runner=DirectRunner,..."."""
    module = importlib.import_module("apache_beam.options.pipeline_options")
    return module.PipelineOptions([f"--{option}" for option in options.split(",") if option])
