"""The `vdd` command: use a trained run from the shell. Thin, over `vdd.runs` and `vdd.apply`."""

import argparse
import collections
import contextlib
import dataclasses
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from etils import epath
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from vdd import files
from vdd.arguments import parser
from vdd.errors import UserError

# JAX, Orbax and the models are imported by the commands that need them: help comes at once.


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0, 2 for what the user can mend, 130 for ^C."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: _complain(f"warning: {message}")
        try:
            arguments = parser(COMMANDS).parse_args(argv)
            _expand_homes(arguments)
            arguments.command(arguments)
            sys.stdout.flush()
        except UserError as error:
            return _complain(error)
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:  # the reader of our output, `head` say, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except OSError as error:  # no space, no permission, ...
            where = f"{error.filename}: " if error.filename else ""
            return _complain(f"{where}{error.strerror or error}")
        except Exception as error:
            if not _is_out_of_memory(error):
                raise
            return _complain(f"out of memory, of this machine or its accelerator ({error})")
    return 0


def _expand_homes(arguments: argparse.Namespace) -> None:
    """Spells out `~`, which a shell leaves as it is after an equals sign."""
    for name, value in vars(arguments).items():
        if isinstance(value, str) and value.startswith("~"):
            setattr(arguments, name, str(files.expand(value)))


def _is_out_of_memory(error: Exception) -> bool:
    """Told by the name of JAX's error, as JAX is not imported here."""
    by_jax = type(error).__name__ == "JaxRuntimeError" and "RESOURCE_EXHAUSTED" in str(error)
    return by_jax or isinstance(error, MemoryError)


def _complain(message: object) -> int:
    print(f"vdd: {' '.join(str(message).split())}", file=sys.stderr)
    return 2


# ---- commands


def _transfer(arguments: argparse.Namespace) -> None:
    from vdd.data import video_io, video_writer

    inputs = (arguments.content, arguments.motion)
    out = video_io.check_output(arguments.out, inputs, arguments.overwrite)
    with _working("loading the model"):
        from vdd import runs, streaming
        from vdd.diffusion import samplers

        _set_up_jax()
        run = runs.load(_run_named(arguments), arguments.step)
    size, overlap = _windows(arguments, run.config)
    height, width, _ = run.model.latents.size
    content = _read_clip(arguments.content, (height, width), min(arguments.frames or size, size))
    _tell_size(arguments.motion, (height, width))
    frames = video_io.iterate_clip(arguments.motion, (height, width))
    sampler = samplers.choose(run.config.eval, arguments.sampler, arguments.steps)
    own_fps = video_io.frame_rate(arguments.motion)
    fps = arguments.fps or own_fps or 8.0
    in_time = own_fps is not None and math.isclose(fps, own_fps, rel_tol=1e-3)
    if not in_time and video_writer.has_sound(arguments.motion):
        print(f"{arguments.motion}: its sound is left out, as --fps changes the speed")
    sound = arguments.motion if in_time else None
    pieces = streaming.transfer(
        run.model, run.params, arguments.seed, content, islice(frames, arguments.frames), sampler,
        size, overlap, arguments.relative,
    )  # fmt: skip
    count = 0
    with (
        _working(f"sampling, {sampler.nfe} passes a window") as tell,
        video_writer.open_clip(out, fps, sound, arguments.overwrite) as clip,
    ):
        for frame in (frame for piece in pieces for frame in piece):
            clip.write(frame)
            count += 1
            tell(f"{count} frames, {count / fps:.1f} seconds")
    how = f"at {fps:g} frames a second, {sampler.nfe} passes"
    print(f"{out}: {count} frames of {width}x{height} {how}")


def _windows(arguments: argparse.Namespace, config: Any) -> tuple[int, int]:
    """Frames of a window, and how many of them it shares."""
    from vdd import runs

    size = arguments.window or runs.windows(config)[0]
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
        _working(f"sampling, {sampler.nfe} passes a window") as tell,
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
        from vdd import priors, runs, streaming
        from vdd.diffusion import samplers

        _set_up_jax()
        name = _run_named(arguments)
        run = runs.load(name, arguments.step)
        prior = priors.load_prior_of(run, name, arguments.prior)
    height, width, _ = run.model.latents.size
    content = _read_clip(arguments.content, (height, width), runs.windows(run.config)[0])
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

        export = priors.export_prior if priors.is_prior(runs.find(arguments.run)) else runs.export
        run = export(arguments.run, arguments.folder, arguments.step)
        folder = epath.Path(arguments.folder)
        files = (path / name for path, _, names in folder.walk() for name in names)
        size = sum(file.stat().length for file in files)
    print(f"{folder}: step {run.step}, {size / 1e6:.1f} MB; `vdd info {folder}` describes it")


def _compress(arguments: argparse.Namespace) -> None:
    from vdd.compress import DEFAULT_SETTINGS, compress_run

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
    from vdd.startup import keep_compiled_programs, keep_freed_memory

    keep_compiled_programs(os.environ)
    keep_freed_memory()


def _run_named(arguments: argparse.Namespace) -> str:
    """RUN, given by place or by name."""
    if (arguments.run is None) == (arguments.run_dir is None):
        raise UserError("name one run: RUN, or --run RUN")
    return arguments.run or arguments.run_dir


def _read_clip(path: str, size: tuple[int, int], frames: int | None):
    from vdd.data import video_io

    _tell_size(path, size)
    return video_io.read_clip(path, size, max_frames=frames)


def _read_end(path: str, size: tuple[int, int], frames: int):
    """The last frames of a clip of any length."""
    import numpy as np

    from vdd.data import video_io

    _tell_size(path, size)
    count, kept = 0, collections.deque(maxlen=frames)
    for frame in video_io.iterate_clip(path, size):
        kept.append(frame)
        count += 1
    if count > frames:
        print(f"{path}: its last {frames} frames of {count}, as the prior looks back no further")
    return np.stack(kept)


def _tell_size(path: str, size: tuple[int, int]) -> None:
    """Say so where a clip is not of the model's size."""
    from vdd.data import video_io

    height, width, _ = video_io.read_clip(path, max_frames=1)[0].shape
    if (height, width) != size:
        note = f"{width}x{height} scaled and cropped to the model's {size[1]}x{size[0]}"
        print(f"{path}: {note}")


@contextlib.contextmanager
def _working(task: str) -> Iterator[Callable[[str], None]]:
    """A spinner, the task and its seconds on a terminal; elsewhere stderr is for errors alone.

    Gives a function that tells how far the task is.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda progress: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
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
