"""The command line of `vdd`: what can be said, and how it is told. What is done is in `vdd.cli`."""

import argparse
import importlib.metadata
import math
from collections.abc import Callable, Mapping

from vdd.errors import UserError

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
CLIP is a video (mp4, mov, webm, mkv, avi, ...), a gif or another animation (webp, apng), an npy
(uint8 [frames, height, width, 3]), a picture, or a folder of pictures. What is transparent is laid
on black."""

_NOUNS = f"{_RUN[:-1]} (--run RUN says the same).\n{_CLIP}"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):  # one line, where argparse prints the whole usage
        raise UserError(f"{message} (see {self.prog} --help)")


Commands = Mapping[str, Callable[[argparse.Namespace], None]]


def parser(functions: Commands) -> argparse.ArgumentParser:
    """The parser of the whole command line; `functions` are the commands, by name.

    What it parses has the function to call as `command`.
    """
    root = _Parser(prog="vdd", description="Motion and content of video, taken apart.")
    root.add_argument("--version", action="version", version=f"vdd {_version()}")
    commands = root.add_subparsers(metavar="COMMAND", required=True)

    transfer = _command(
        commands, "transfer", functions, "show one clip's content in another's motion"
    )
    _add_run(transfer)
    transfer.add_argument("--content", required=True, metavar="CLIP", help="who or what is seen")
    transfer.add_argument("--motion", required=True, metavar="CLIP", help="how it moves")
    transfer.add_argument("--out", required=True, metavar="FILE", help=".gif .mp4 .png .npy")
    _add_overwrite(transfer)
    transfer.add_argument("--frames", type=_count, metavar="N", help="read only the first N frames")
    _add_sampler(transfer)
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
        functions,
        "write a clip as content, once, and a few bits of motion a frame",
        f"{_RUN}\n{_CLIP}",
    )
    _add_coded_run(encode)
    encode.add_argument("clip", metavar="CLIP", help="what to encode")
    encode.add_argument("--out", required=True, metavar="FILE", help="a file that ends in .vdd")
    _add_overwrite(encode)
    encode.add_argument(
        "--chunk", type=_count, default=256, metavar="N", help="frames that stand alone (256)"
    )
    encode.add_argument("--frames", type=_count, metavar="N", help="read only the first N frames")
    encode.add_argument("--fps", type=_rate, metavar="F", help="the clip's, else 8")

    decode = _command(commands, "decode", functions, "draw the clip that a .vdd file holds", _RUN)
    _add_coded_run(decode)
    decode.add_argument("clip", metavar="FILE", help="a file that `vdd encode` wrote")
    decode.add_argument("--content", metavar="CLIP", help="who or what is seen instead")
    decode.add_argument("--out", required=True, metavar="FILE", help=".gif .mp4 .png .npy")
    _add_overwrite(decode)
    _add_sampler(decode)
    decode.add_argument("--seed", type=_whole, default=0, metavar="N", help="of the noise (0)")
    decode.add_argument("--fps", type=_rate, metavar="F", help="the file's")

    generate = _command(
        commands, "generate", functions, "show a clip's content in a motion that a prior makes up"
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
    _add_overwrite(generate)
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
    _add_sampler(generate)
    generate.add_argument("--seed", type=_whole, default=0, metavar="N", help="of all chance (0)")
    generate.add_argument("--fps", type=_rate, metavar="F", help="the start's or content's, else 8")

    evaluate = _command(commands, "evaluate", functions, "measure a run; write eval/ and report.md")
    _add_run(evaluate)
    splits = ("train", "fit", "validation", "test")
    split = "the config's, if not given (fit: of Sprites, train without validation)"
    evaluate.add_argument("--split", choices=splits, help=split)
    evaluate.add_argument("--art-dir", metavar="DIR", help="folder of LPC sheets")
    evaluate.add_argument("--data-dir", metavar="DIR", help="what vdd.data.prepare wrote")
    faces = "of videos: identity and landmarks too (extra face)"
    evaluate.add_argument("--faces", action="store_true", help=faces)
    clips = "so many clips or windows of the split, 0 for all, into --out (the config's)"
    evaluate.add_argument("--clips", type=_whole, metavar="N", help=clips)
    evaluate.add_argument("--out", metavar="DIR", help="where it goes (the run directory)")

    examples = _command(
        commands,
        "examples",
        functions,
        "write out clips to try a model on",
        "One of each motion, drawn by this package.",
    )
    examples.add_argument("folder", metavar="FOLDER", help="made if it is not there")

    summary = "write a run with shorter codes, learned on its own swaps"
    compress = _command(commands, "compress", functions, summary, _RUN)
    compress.add_argument("run", metavar="RUN", help="whose content; its training clips are read")
    compress.add_argument("folder", metavar="FOLDER", help="a new folder")
    compress.add_argument("--step", type=_whole, metavar="N", help="which checkpoint (the latest)")
    compress.add_argument("--updates", type=_count, metavar="N", help="steps of learning")
    compress.add_argument("--art-dir", metavar="DIR", help="folder of LPC sheets")

    export = _command(
        commands, "export", functions, "write a run's model alone, for inference", _RUN
    )
    export.add_argument("run", metavar="RUN", help="whose model")
    export.add_argument("folder", metavar="FOLDER", help="a new folder")
    export.add_argument("--step", type=_whole, metavar="N", help="which checkpoint (the latest)")

    info = _command(commands, "info", functions, "what a run, a clip or a .vdd file holds")
    info.add_argument("path", metavar="RUN|CLIP")
    return root


def _version() -> str:
    """Of the distribution, `vdd-video`; the package can also be used without being installed."""
    try:
        return importlib.metadata.version("vdd-video")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _command(
    commands,
    name: str,
    functions: Commands,
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
    parser.set_defaults(command=functions[name])
    debug = "show the traceback of an error that was not foreseen"
    parser.add_argument("--debug", action="store_true", help=debug)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_dir", metavar="RUN", nargs="?", help="whose model to use")
    parser.add_argument("--run", metavar="RUN", help=argparse.SUPPRESS)
    parser.add_argument("--step", type=_whole, metavar="N", help="which checkpoint (the latest)")


def _add_sampler(parser: argparse.ArgumentParser) -> None:
    presets = "`sampler`, the config's default, or `sharp`: a sample with its noise"
    parser.add_argument("--sampler", choices=("sampler", "sharp"), default="sampler", help=presets)
    steps = "sampler steps, 0 for the mean of all samples (the preset's)"
    parser.add_argument("--steps", type=_whole, metavar="N", help=steps)


def _add_overwrite(parser: argparse.ArgumentParser) -> None:
    overwrite = "replace FILE also where vdd did not write it"
    parser.add_argument("--overwrite", action="store_true", help=overwrite)


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
