"""The `vdd` command: use a trained run from the shell. Thin, over `vdd.runs` and `vdd.apply`."""

import argparse
import collections
import contextlib
import dataclasses
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from etils import epath
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import vdd
from vdd import command, files
from vdd.arguments import parser
from vdd.errors import UserError, check_address

# JAX, Orbax and the models are imported by the commands that need them: help comes at once.


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status, as `vdd.command.run` has it."""
    given = sys.argv[1:] if argv is None else list(argv)

    def parse_and_run() -> None:
        arguments = parser(COMMANDS).parse_args(given)
        _expand_homes(arguments)
        arguments.command(arguments)

    task = f"running {' '.join(['vdd', *given[:1]])}"
    return command.run(parse_and_run, task, debug="--debug" in given)


def _expand_homes(arguments: argparse.Namespace) -> None:
    """Spells out `~`, which a shell leaves as it is after an equals sign."""
    for name, value in vars(arguments).items():
        if isinstance(value, str) and value.startswith("~"):
            setattr(arguments, name, str(files.expand(value)))


# ---- commands


def _transfer(arguments: argparse.Namespace) -> None:
    from vdd.data import video_io, video_writer

    inputs = (arguments.content, arguments.motion)
    out = video_io.check_output(arguments.out, inputs, arguments.overwrite)
    with _working("loading the model"):
        from vdd import streaming
        from vdd.diffusion import samplers

        _set_up_jax()
        run = vdd.load(_run_named(arguments), arguments.step)
    size, overlap = _windows(arguments, run)
    height, width, _ = run.model.latents.size
    content = _read_clip(arguments.content, (height, width), min(arguments.frames or size, size))
    sampler = samplers.choose(run.config.eval, arguments.sampler, arguments.steps)
    count = 0
    with _open_clip(arguments.motion, (height, width)) as motion:
        fps = arguments.fps or motion.fps or 8.0
        in_time = motion.fps is not None and math.isclose(fps, motion.fps, rel_tol=1e-3)
        if not in_time and motion.sound:
            print(f"{arguments.motion}: its sound is left out, as --fps changes the speed")
        sound = motion.sound if in_time else None
        frames = islice(motion.frames, arguments.frames)
        pieces = streaming.transfer(
            run.model, run.params, arguments.seed, content, frames, sampler, size, overlap,
            arguments.relative,
        )  # fmt: skip
        with (
            _working(f"drawing, {sampler.told} a window") as tell,
            video_writer.open_clip(out, fps, sound, arguments.overwrite) as clip,
        ):
            for frame in (frame for piece in pieces for frame in piece):
                clip.write(frame)
                count += 1
                tell(f"{count} frames, {count / fps:.1f} seconds")
    how = f"at {fps:g} frames a second, {sampler.told}"
    print(f"{out}: {count} frames of {width}x{height} {how}")


def _windows(arguments: argparse.Namespace, run: Any) -> tuple[int, int]:
    """Frames of a window, and how many of them it shares."""
    size = arguments.window or run.windows[0]
    overlap = arguments.overlap
    overlap = size // 8 if overlap is None else overlap
    if overlap >= size:
        raise UserError(f"--overlap {overlap} does not fit windows of {size} frames")
    return size, overlap


def _encode(arguments: argparse.Namespace) -> None:
    with _working("loading the model"):
        from vdd.codec import description
        from vdd.codec import files as coded_files

        out = coded_files.check_output(arguments.out, [arguments.clip], arguments.overwrite)
        _set_up_jax()
        coded_run = coded_files.open_run(arguments.run, arguments.prior, arguments.step)
    with _working("encoding"):
        size = coded_files.encode(
            coded_run,
            arguments.clip,
            out,
            chunk_frames=arguments.chunk,
            max_frames=arguments.frames,
            fps=arguments.fps,
            overwrite=arguments.overwrite,
        )
    print(f"{out}: {size.frames} frames, {description.summary(size)}")


def _decode(arguments: argparse.Namespace) -> None:
    from vdd.data import video_io, video_writer

    inputs = (arguments.clip, arguments.content)
    out = video_io.check_output(arguments.out, inputs, arguments.overwrite)
    with _working("loading the model"):
        from vdd.codec import files as coded_files
        from vdd.diffusion import samplers

        _set_up_jax()
        coded = arguments.clip
        data = coded_files.read_bytes(coded)
        coded_run = coded_files.open_run(
            arguments.run, arguments.prior, arguments.step, coded, data
        )
        decoded = coded_files.decode(coded_run, coded, data)
    sampler = samplers.choose(coded_run.run.config.eval, arguments.sampler, arguments.steps)
    pieces = coded_files.draw(coded_run, decoded, arguments.content, sampler, arguments.seed)
    fps, count = arguments.fps or decoded.header.fps, 0
    with (
        _working(f"drawing, {sampler.told} a window") as tell,
        video_writer.open_clip(out, fps, overwrite=arguments.overwrite) as clip,
    ):
        for frame in (frame for piece in pieces for frame in piece):
            clip.write(frame)
            count += 1
            tell(f"{count} frames, {count / fps:.1f} seconds")
    height, width, _ = coded_run.run.model.latents.size
    print(f"{out}: {count} frames of {width}x{height} at {fps:g} frames a second")


def _generate(arguments: argparse.Namespace) -> None:
    from vdd.data import video_io, video_writer

    inputs = (arguments.content, arguments.start)
    out = video_io.check_output(arguments.out, inputs, arguments.overwrite)
    with _working("loading the models"):
        from vdd import priors, streaming
        from vdd.diffusion import samplers

        _set_up_jax()
        name = _run_named(arguments)
        run = vdd.load(name, arguments.step)
        prior = priors.load_prior_of(run, name, arguments.prior)
    height, width, _ = run.model.latents.size
    content = _read_clip(arguments.content, (height, width), run.windows[0])
    start = None
    if arguments.start:
        start = _read_end(arguments.start, (height, width), prior.model.window)
        if len(start) >= arguments.frames:
            raise UserError(
                f"{arguments.start} gives {len(start)} frames: --frames, of which they are the"
                f" first, must be more than that, not {arguments.frames}"
            )
    sampler = samplers.choose(run.config.eval, arguments.sampler, arguments.steps)
    fps = arguments.fps or video_io.frame_rate(arguments.start or arguments.content) or 8.0
    pieces = streaming.generate(
        run.model, run.params, prior.model, prior.params, arguments.seed, content,
        arguments.frames, sampler, start, arguments.temperature, arguments.top_p,
    )  # fmt: skip
    count = 0
    with (
        _working("compiling and sampling") as tell,
        video_writer.open_clip(out, fps, overwrite=arguments.overwrite) as clip,
    ):
        for frame in (frame for piece in pieces for frame in piece):
            clip.write(frame)
            count += 1
            tell(f"{count} of {arguments.frames} frames")
    print(f"{out}: {count} frames of {width}x{height} at {fps:g} frames a second")


def _evaluate(arguments: argparse.Namespace) -> None:
    from vdd import runs, summary
    from vdd.evaluation.report import json_path
    from vdd.evaluation.run import evaluate_run, place_of

    _set_up_jax()
    workdir = runs.find(_run_named(arguments))
    out = epath.Path(arguments.out or place_of(workdir))
    report = evaluate_run(
        workdir,
        split=arguments.split,
        step=arguments.step,
        art_dir=arguments.art_dir,
        data_dir=arguments.data_dir,
        faces=arguments.faces,
        clips=arguments.clips,
        out=out,
    )
    print("\n".join(summary.figures(report)))
    split = runs.load_config(workdir).eval.split
    page = f", {out / 'report.md'}" if report["split"] == split else ""
    print(f"{json_path(out, report, split)}{page}")


def _info(arguments: argparse.Namespace) -> None:
    from vdd.codec import description
    from vdd.data import video_io

    check_address(arguments.path)
    path = epath.Path(arguments.path)
    if description.is_coded_clip(path):
        print("\n".join(description.describe(path)))
        return
    is_run = (path / "config.json").exists()
    if path.is_dir() and not is_run and not video_io.list_pictures(path):
        from vdd import runs  # not sooner: it takes seconds

        is_run = arguments.path in runs.pretrained()
        if not is_run:
            raise UserError(f"{path}: neither a run (no config.json) nor a folder of pictures")
    if not is_run and (path.exists() or path.suffix.lower() in video_io.INPUT_ENDINGS):
        clip = video_io.probe_clip(path)
        fps = f" at {clip.fps:.3g} frames a second" if clip.fps else ""
        print(f"{path}: {clip.frames} frames of {clip.width}x{clip.height}{fps}")
        return
    with _working("reading the run"):
        from vdd import summary

        lines = summary.describe(arguments.path)
    print("\n".join(lines))


def _examples(arguments: argparse.Namespace) -> None:
    from vdd.data import sprites, video_io

    folder = files.check_folder(arguments.folder, *(f"{name}.gif" for name in sprites.MOTIONS))
    with _working("drawing"):
        import numpy as np

        clips = sprites.load_arrays("builtin", "test")
    names = []
    for motion, name in enumerate(sprites.MOTIONS):
        # Another character in each motion, none of which a model was trained on.
        row = int(np.flatnonzero(clips.motion == motion)[motion])
        names.append(str(folder / f"{name}.gif"))
        video_io.write_clip(names[-1], clips.video[row], fps=8)
    print(f"wrote {len(names)} clips; try:")
    print(f"  vdd transfer sprites --content {names[0]} --motion {names[-1]} --out swap.gif")


def _export(arguments: argparse.Namespace) -> None:
    with _working("reading and writing"):
        from vdd import priors, runs
        from vdd.run import export

        is_prior = priors.is_prior(runs.find(arguments.run))
        run = (priors.export_prior if is_prior else export)(
            arguments.run, arguments.folder, arguments.step
        )
        folder = epath.Path(arguments.folder)
        files = (path / name for path, _, names in folder.walk() for name in names)
        size = sum(file.stat().length for file in files)
    print(f"{folder}: step {run.step}, {size / 1e6:.1f} MB; `vdd info {folder}` describes it")


def _compress(arguments: argparse.Namespace) -> None:
    from vdd.compression.compress import DEFAULT_SETTINGS, compress_run

    _set_up_jax()
    settings = DEFAULT_SETTINGS
    if arguments.updates:
        settings = dataclasses.replace(settings, num_steps=arguments.updates)
    folder = arguments.folder
    run = compress_run(
        arguments.run, folder, step=arguments.step, art_dir=arguments.art_dir, settings=settings
    )
    print(f"{folder}: step {run.step}; `vdd evaluate {folder}` measures it")


def _set_up_jax() -> None:
    from vdd.startup import check_devices, keep_compiled_programs, keep_freed_memory

    keep_compiled_programs(os.environ)
    keep_freed_memory()
    check_devices(os.environ)


def _run_named(arguments: argparse.Namespace) -> str:
    """RUN, given by place or by name."""
    if (arguments.run is None) == (arguments.run_dir is None):
        raise UserError("name one run: RUN, or --run RUN")
    return arguments.run or arguments.run_dir


def _read_clip(path: str, size: tuple[int, int], frames: int | None):
    """The first frames of a clip."""
    import numpy as np

    with _open_clip(path, size) as clip:
        return np.stack(list(islice(clip.frames, frames)))


def _read_end(path: str, size: tuple[int, int], frames: int):
    """The last frames of a clip of any length."""
    import numpy as np

    count, kept = 0, collections.deque(maxlen=frames)
    with _open_clip(path, size) as clip:
        for frame in clip.frames:
            kept.append(frame)
            count += 1
    if count > frames:
        print(f"{path}: its last {frames} frames of {count}, as the prior looks back no further")
    return np.stack(kept)


@contextlib.contextmanager
def _open_clip(path: str, size: tuple[int, int]) -> Iterator[Any]:
    """A clip at the model's size; says so where it is not of that size."""
    from vdd.data import video_io

    with video_io.open_clip(path, size) as clip:
        if clip.size != size:
            note = f"scaled and cropped to the model's {size[1]}x{size[0]}"
            print(f"{path}: {clip.size[1]}x{clip.size[0]} {note}")
        yield clip


@contextlib.contextmanager
def _working(task: str) -> Iterator[Callable[[str], None]]:
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


COMMANDS = {
    "transfer": _transfer,
    "encode": _encode,
    "decode": _decode,
    "generate": _generate,
    "evaluate": _evaluate,
    "examples": _examples,
    "compress": _compress,
    "export": _export,
    "info": _info,
}
