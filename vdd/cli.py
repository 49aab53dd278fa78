"""The `vdd` command: use a trained run from the shell. Thin, over `vdd.runs` and `vdd.apply`."""

import argparse
import collections
import contextlib
import dataclasses
import importlib.metadata
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

from vdd.errors import UserError

# JAX, Orbax and the models are imported by the commands that need them: help comes at once.

_EXAMPLES = {
    "transfer": "vdd transfer sprites --content ann.gif --motion bob.gif --out swap.gif",
    "encode": "vdd encode sprites bob.gif --out bob.vdd",
    "decode": "vdd decode sprites bob.vdd --content ann.gif --out swap.gif",
    "generate": "vdd generate sprites --content ann.gif --frames 32 --out ann_moves.gif",
    "evaluate": "vdd evaluate runs/sprites --split test",
    "info": "vdd info runs/sprites",
    "examples": "vdd examples clips",
    "compress": "vdd compress runs/sprites sprites_coded",
    "export": "vdd export runs/sprites sprites_small",
}

_MOST_FRAMES = 1_000_000  # that are made up: the codes of all of them are drawn first

_RUN = "RUN is a run directory, or the name of a model that the package ships."

_CLIP = """\
CLIP is a gif, mp4, webm, mov, npy (uint8 [frames, height, width, 3]), a picture, or a folder of
pictures."""

_NOUNS = f"{_RUN[:-1]} (--run RUN says the same).\n{_CLIP}"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0, 2 for what the user can mend, 130 for ^C."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: _complain(f"warning: {message}")
        try:
            arguments = parser().parse_args(argv)
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

    out = video_io.check_output(arguments.out)
    with _working("loading the model"):
        from vdd import runs, streaming
        from vdd.diffusion.samplers import Sampler
        from vdd.startup import keep_compiled_programs

        keep_compiled_programs(os.environ)
        run = runs.load(_run_named(arguments), arguments.step)
    size, overlap = _windows(arguments, run.config)
    height, width, _ = run.model.latents.size
    content = _read_clip(arguments.content, (height, width), min(arguments.frames or size, size))
    _tell_size(arguments.motion, (height, width))
    frames = video_io.iterate_clip(arguments.motion, (height, width))
    options = dict(run.config.eval.sampler)
    sampler = Sampler(**{**options, "steps": arguments.steps or options["steps"]})
    own_fps = video_io.frame_rate(arguments.motion)
    fps = arguments.fps or own_fps or 8.0
    in_time = own_fps is not None and math.isclose(fps, own_fps, rel_tol=1e-3)
    if not in_time and video_writer.has_sound(arguments.motion):
        print(f"{arguments.motion}: its sound is left out, as --fps changes the speed")
    pieces = streaming.transfer(
        run.model, run.params, arguments.seed, content, islice(frames, arguments.frames), sampler,
        size, overlap, arguments.relative,
    )  # fmt: skip
    count = 0
    with (
        _working(f"sampling, {sampler.nfe} passes a window") as tell,
        video_writer.open_clip(out, fps, arguments.motion if in_time else None) as clip,
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
    from vdd.startup import keep_compiled_programs

    with _working("loading the model"):
        from vdd.codec import description, files

        out = files.check_output(arguments.out)
        keep_compiled_programs(os.environ)
        coded_run = files.open_run(arguments.run, arguments.prior, arguments.step)
    with _working("encoding"):
        size = files.encode(
            coded_run,
            arguments.clip,
            out,
            chunk_frames=arguments.chunk,
            max_frames=arguments.frames,
            fps=arguments.fps,
        )
    print(f"{out}: {size.frames} frames, {description.summary(size)}")


def _decode(arguments: argparse.Namespace) -> None:
    from vdd.data import video_io, video_writer
    from vdd.startup import keep_compiled_programs

    out = video_io.check_output(arguments.out)
    with _working("loading the model"):
        from vdd.codec import files
        from vdd.diffusion.samplers import Sampler

        keep_compiled_programs(os.environ)
        coded = arguments.clip
        data = files.read_bytes(coded)
        coded_run = files.open_run(arguments.run, arguments.prior, arguments.step, coded, data)
        decoded = files.decode(coded_run, coded, data)
    options = dict(coded_run.run.config.eval.sampler)
    sampler = Sampler(**{**options, "steps": arguments.steps or options["steps"]})
    pieces = files.draw(coded_run, decoded, arguments.content, sampler, arguments.seed)
    fps, count = arguments.fps or decoded.header.fps, 0
    with (
        _working(f"sampling, {sampler.nfe} passes a window") as tell,
        video_writer.open_clip(out, fps) as clip,
    ):
        for frame in (frame for piece in pieces for frame in piece):
            clip.write(frame)
            count += 1
            tell(f"{count} frames, {count / fps:.1f} seconds")
    height, width, _ = coded_run.run.model.latents.size
    print(f"{out}: {count} frames of {width}x{height} at {fps:g} frames a second")


def _generate(arguments: argparse.Namespace) -> None:
    from vdd.data import video_io, video_writer

    out = video_io.check_output(arguments.out)
    with _working("loading the models"):
        from vdd import priors, runs, streaming
        from vdd.diffusion.samplers import Sampler
        from vdd.startup import keep_compiled_programs

        keep_compiled_programs(os.environ)
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
    options = dict(run.config.eval.sampler)
    sampler = Sampler(**{**options, "steps": arguments.steps or options["steps"]})
    fps = arguments.fps or video_io.frame_rate(arguments.start or arguments.content) or 8.0
    pieces = streaming.generate(
        run.model, run.params, prior.model, prior.params, arguments.seed, content,
        arguments.frames, sampler, start, arguments.temperature, arguments.top_p,
    )  # fmt: skip
    count = 0
    with _working("compiling and sampling") as tell, video_writer.open_clip(out, fps) as clip:
        for frame in (frame for piece in pieces for frame in piece):
            clip.write(frame)
            count += 1
            tell(f"{count} of {arguments.frames} frames")
    print(f"{out}: {count} frames of {width}x{height} at {fps:g} frames a second")


def _evaluate(arguments: argparse.Namespace) -> None:
    from vdd import runs, summary
    from vdd.evaluation.report import json_path
    from vdd.evaluation.run import evaluate_run, place_of
    from vdd.startup import keep_compiled_programs, keep_freed_memory

    keep_compiled_programs(os.environ)
    keep_freed_memory()
    workdir = runs.find(_run_named(arguments))
    out = epath.Path(arguments.out or place_of(workdir))
    report = evaluate_run(
        workdir,
        split=arguments.split,
        step=arguments.step,
        art_dir=arguments.art_dir,
        data_dir=arguments.data_dir,
        faces=arguments.faces,
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

    with _working("drawing"):
        import numpy as np

        clips = sprites.load_arrays("builtin", "test")
    folder = epath.Path(arguments.folder)
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
    from vdd.startup import keep_compiled_programs, keep_freed_memory

    keep_compiled_programs(os.environ)
    keep_freed_memory()
    settings = DEFAULT_SETTINGS
    if arguments.updates:
        settings = dataclasses.replace(settings, num_steps=arguments.updates)
    folder = arguments.folder
    run = compress_run(
        arguments.run, folder, step=arguments.step, art_dir=arguments.art_dir, settings=settings
    )
    print(f"{folder}: step {run.step}; `vdd evaluate {folder}` measures it")


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


# ---- arguments


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):  # one line, where argparse prints the whole usage
        raise UserError(f"{message} (see {self.prog} --help)")


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    root = _Parser(prog="vdd", description="Motion and content of video, taken apart.")
    version = importlib.metadata.version("vdd")
    root.add_argument("--version", action="version", version=f"vdd {version}")
    commands = root.add_subparsers(metavar="COMMAND", required=True)

    transfer = _command(
        commands, "transfer", _transfer, "show one clip's content in another's motion"
    )
    _add_run(transfer)
    transfer.add_argument("--content", required=True, metavar="CLIP", help="who or what is seen")
    transfer.add_argument("--motion", required=True, metavar="CLIP", help="how it moves")
    transfer.add_argument("--out", required=True, metavar="FILE", help=".gif .mp4 .png .npy")
    transfer.add_argument("--frames", type=_count, metavar="N", help="read only the first N frames")
    transfer.add_argument("--steps", type=_count, metavar="N", help="sampler steps (the config's)")
    transfer.add_argument("--seed", type=_whole, default=0, metavar="N", help="of the noise (0)")
    transfer.add_argument("--fps", type=_rate, metavar="F", help="the motion clip's, else 8")
    relative = "begin at the content's own pose, and move from there as the motion clip does"
    transfer.add_argument("--relative", action="store_true", help=relative)
    window = "frames that are read and drawn together (as many as training showed)"
    transfer.add_argument("--window", type=_count, metavar="N", help=window)
    overlap = "frames that a window shares with the one before (an eighth)"
    transfer.add_argument("--overlap", type=_whole, metavar="N", help=overlap)

    encode = _command(
        commands,
        "encode",
        _encode,
        "write a clip as content, once, and a few bits of motion a frame",
        f"{_RUN}\n{_CLIP}",
    )
    _add_coded_run(encode)
    encode.add_argument("clip", metavar="CLIP", help="what to encode")
    encode.add_argument("--out", required=True, metavar="FILE", help="a file that ends in .vdd")
    encode.add_argument(
        "--chunk", type=_count, default=256, metavar="N", help="frames that stand alone (256)"
    )
    encode.add_argument("--frames", type=_count, metavar="N", help="read only the first N frames")
    encode.add_argument("--fps", type=_rate, metavar="F", help="the clip's, else 8")

    decode = _command(commands, "decode", _decode, "draw the clip that a .vdd file holds", _RUN)
    _add_coded_run(decode)
    decode.add_argument("clip", metavar="FILE", help="a file that `vdd encode` wrote")
    decode.add_argument("--content", metavar="CLIP", help="who or what is seen instead")
    decode.add_argument("--out", required=True, metavar="FILE", help=".gif .mp4 .png .npy")
    decode.add_argument("--steps", type=_count, metavar="N", help="sampler steps (the config's)")
    decode.add_argument("--seed", type=_whole, default=0, metavar="N", help="of the noise (0)")
    decode.add_argument("--fps", type=_rate, metavar="F", help="the file's")

    generate = _command(
        commands, "generate", _generate, "show a clip's content in a motion that a prior makes up"
    )
    _add_run(generate)
    generate.add_argument("--content", required=True, metavar="CLIP", help="who or what is seen")
    generate.add_argument(
        "--frames",
        required=True,
        type=_length,
        metavar="N",
        help=f"how many (up to {_MOST_FRAMES:,})",
    )
    generate.add_argument("--out", required=True, metavar="FILE", help=".gif .mp4 .png .npy")
    generate.add_argument(
        "--start", metavar="CLIP", help="how it begins to move: its last frames (made up too)"
    )
    generate.add_argument("--prior", metavar="RUN", help="the prior (RUN/prior, else RUN_prior)")
    generate.add_argument(
        "--temperature", type=_temperature, default=1.0, metavar="X", help="0: the likeliest (1)"
    )
    generate.add_argument(
        "--top-p", type=_share, default=1.0, metavar="X", help="leave out what is unlikely (1)"
    )
    generate.add_argument("--steps", type=_count, metavar="N", help="sampler steps (the config's)")
    generate.add_argument("--seed", type=_whole, default=0, metavar="N", help="of all chance (0)")
    generate.add_argument("--fps", type=_rate, metavar="F", help="the start's or content's, else 8")

    evaluate = _command(commands, "evaluate", _evaluate, "measure a run; write eval/ and report.md")
    _add_run(evaluate)
    splits = ("train", "validation", "test")
    evaluate.add_argument("--split", choices=splits, help="the config's, if not given")
    evaluate.add_argument("--art-dir", metavar="DIR", help="folder of LPC sheets")
    evaluate.add_argument("--data-dir", metavar="DIR", help="what vdd.data.prepare wrote")
    faces = "of videos: identity and landmarks too (extra face)"
    evaluate.add_argument("--faces", action="store_true", help=faces)
    evaluate.add_argument("--out", metavar="DIR", help="where it goes (the run directory)")

    examples = _command(
        commands,
        "examples",
        _examples,
        "write out clips to try a model on",
        "One of each motion, drawn by this package.",
    )
    examples.add_argument("folder", metavar="FOLDER", help="made if it is not there")

    summary = "write a run with shorter codes, learned on its own swaps"
    compress = _command(commands, "compress", _compress, summary, _RUN)
    compress.add_argument("run", metavar="RUN", help="whose content; its training clips are read")
    compress.add_argument("folder", metavar="FOLDER", help="a new folder")
    compress.add_argument("--step", type=_whole, metavar="N", help="which checkpoint (the latest)")
    compress.add_argument("--updates", type=_count, metavar="N", help="steps of learning")
    compress.add_argument("--art-dir", metavar="DIR", help="folder of LPC sheets")

    export = _command(commands, "export", _export, "write a run's model alone, for inference", _RUN)
    export.add_argument("run", metavar="RUN", help="whose model")
    export.add_argument("folder", metavar="FOLDER", help="a new folder")
    export.add_argument("--step", type=_whole, metavar="N", help="which checkpoint (the latest)")

    info = _command(commands, "info", _info, "what a run, a clip or a .vdd file holds")
    info.add_argument("path", metavar="RUN|CLIP")
    return root


def _command(
    commands,
    name: str,
    run: Callable[[argparse.Namespace], None],
    summary: str,
    nouns: str = _NOUNS,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.\n\n{nouns}",
        epilog=f"example:\n  {_EXAMPLES[name]}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=run)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", metavar="RUN", nargs="?", help="whose model to use")
    parser.add_argument("--run", metavar="RUN", help=argparse.SUPPRESS)
    parser.add_argument("--step", type=_whole, metavar="N", help="which checkpoint (the latest)")


def _add_coded_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="whose model to use")
    parser.add_argument(
        "--prior", metavar="PRIOR", help="of the motion codes (the run's own, if any); or none"
    )
    parser.add_argument("--step", type=_whole, metavar="N", help="which checkpoint (the latest)")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _length(text: str) -> int:
    if _count(text) > _MOST_FRAMES:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {_MOST_FRAMES:,}")
    return int(text)


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2^32 - 1")
    return int(text)


def _rate(text: str) -> float:
    return _number(text, 0.1, 240)


def _temperature(text: str) -> float:
    return _number(text, 0, 100)


def _share(text: str) -> float:
    return _number(text, 0.001, 1)


def _number(text: str, low: float, high: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low:g} to {high:g}")
    return number
