"""Turns a folder of videos into a data set to train on.

    python -m vdd.data.prepare --source=VIDEOS --out=DIR
    python -m vdd.main --config=... --config.data.dataset=video_folder --config.data.data_dir=DIR

Clips are brought to one frame rate by their time stamps, cut to a square, and cut into windows.
What cannot be used is skipped and listed with the reason, in DIR/report.json and on the screen. The
same command goes on after an interruption. While it runs the disk holds the windows up to three
times; afterwards once. `--latents` writes the windows a second time, as latents of a frozen image
autoencoder, beside the pixels: training then reads latents alone, evaluation finds both.
"""

import argparse
import functools
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

from etils import epath

from vdd import command, files
from vdd.data.video_folder import report
from vdd.data.video_folder.clips import Clip, Skipped, find_clips, split_of
from vdd.data.video_folder.examples import group, number, rows_of_splits
from vdd.data.video_folder.prepared import NAME, directory
from vdd.data.video_folder.splits import SPLITS, assign
from vdd.data.video_folder.store import NAMES, Outcome, Settings, Store, check_faces
from vdd.data.video_folder.workers import import_beam, in_beam, in_processes, in_turn
from vdd.data.video_folder.writing import PARTS, write
from vdd.errors import UserError
from vdd.values import Json

# JAX and TFDS are imported where they are needed: worker processes import this module too.

_EXAMPLE = "vdd prepare --source=videos --out=prepared --size=256 --fps=25 --workers=8"
_STORE = ".vdd-decoded"  # the folder in --out that keeps what is decoded, until all is written
_WORK = rf"{NAMES}|{PARTS}[0-9a-f]+|\.vdd-[0-9a-f]+\.part"  # what lies there


def main(argv: Sequence[str] | None = None) -> int:
    """Prepares a data set; the exit status, as `vdd.command.run` has it."""
    given = sys.argv[1:] if argv is None else argv
    return command.run(lambda: prepare(parser().parse_args(given)), "preparing", "--debug" in given)


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    described = (__doc__ or "").partition("\n")[0]
    options = command.Parser("vdd prepare", description=described)
    options.epilog = f"example: {_EXAMPLE}"
    add = options.add_argument
    add("--source", required=True, help="folder of videos, nested or not")
    add("--out", required=True, help="where the data set goes")
    add("--size", type=_whole, default=256, help="pixels of a side (256)")
    add("--fps", type=_rate, default=Fraction(25), help="frames a second (25)")
    add("--frames", type=_whole, default=50, help="frames of a window (50)")
    add("--stride", type=_whole, help="frames from one window to the next (those of a window)")
    add("--every", type=_whole, nargs="+", default=[1], help="windows of each N-th frame (1)")
    add("--face-crop", action="store_true", help="the square follows the face, not the middle")
    add("--latents", action="store_true", help="also write latents of an image autoencoder")
    add("--weights", help="folder of the autoencoder's weights (VDD_WEIGHTS)")
    add("--workers", type=int, default=1, help="processes that decode; 0 is this one (1)")
    add("--beam", nargs="?", const="", metavar="OPTIONS", help="run as an Apache Beam pipeline")
    add("--format", choices=("tfrecord", "array_record"), default="array_record")
    add("--split-by", choices=("identity", "clip", "folder"), default="identity",
        help="folder: as SOURCE's folders train, validation and test say (identity)")  # fmt: skip
    add("--identity", choices=("outer", "inner"), default="outer",
        help="who is seen: the first folder below SOURCE, or the innermost (outer)")  # fmt: skip
    add("--validation", type=float, default=0.1, help="fraction of identities or clips (0.1)")
    add("--test", type=float, default=0.1, help="fraction of identities or clips (0.1)")
    add("--seed", type=int, default=0, help="of the split and of train's order (0)")
    add("--debug", action="store_true", help="show the traceback of an error that is unforeseen")
    return options


def prepare(options: argparse.Namespace) -> None:
    """Finds, decodes, splits, writes, reports.

    Raises:
      UserError: missing source or library, no usable clip, no room, or `out` holds another data
        set.
    """
    start = time.perf_counter()
    options.source, options.out = _folder(options.source), _folder(options.out)
    weights = _check(options)
    stride = options.stride or options.frames
    every = tuple(sorted(set(options.every)))
    settings = Settings(options.size, options.fps, options.frames, stride, options.face_crop, every)
    by_folder = options.split_by == "folder"
    clips, skipped = find_clips(options.source, by_folder, options.identity == "inner")
    if by_folder and not clips:
        raise UserError(
            f"{options.source}: no clips in folders {', '.join(SPLITS)}, as --split-by=folder wants"
        )
    if not clips:
        _refuse_all(options, skipped)
    chosen = _identify(options, settings, clips)
    files.check_folder(options.out)
    if _is_finished(options.out, chosen, weights is not None):
        files.remove_work(options.out / _STORE, _WORK)
        print(f"{options.out} is prepared already")
        return
    if not report.is_of(options.out / report.FILE, chosen):
        files.check(options.out / report.FILE)
    store = Store(str(files.own_work(options.out / _STORE)), str(options.source), settings)
    with files.lock(store.folder):
        _make(options, store, clips, skipped, chosen, weights, start)


def _folder(name: str) -> Path:
    """A folder that is named; an address is refused."""
    path = files.expand(name)
    if files.is_remote(path):
        raise UserError(f"{name}: videos are read, and data sets made, on this machine alone")
    return Path(path)


def _make(
    options: argparse.Namespace,
    store: Store,
    clips: Sequence[Clip],
    skipped: list[Skipped],
    chosen: Json,
    weights: str | None,
    start: float,
) -> None:
    _decode(options, store, clips)
    usable, outcomes = {}, {}
    for clip in clips:
        outcomes[clip] = store.outcome(clip) or Outcome(reason="changed while it was read")
        if outcomes[clip].windows:
            usable[clip] = outcomes[clip]
        else:
            skipped.append(Skipped(clip.path, outcomes[clip].reason or "no windows"))
    skipped.sort()
    decoding = time.perf_counter() - start
    if not usable:
        _refuse_all(options, skipped)
    used = number(usable, _splits(options, usable), options.split_by)
    rows = rows_of_splits(used, options.seed)
    for kind in ("video", "latents") if weights else ("video",):
        of_kind = weights if kind == "latents" else None
        write(options.out, options.format, store, rows, chosen, of_kind, options.beam)
    made = report.report(chosen, used, skipped, outcomes.values(), decoding)
    made["seconds"] = round(time.perf_counter() - start, 1)
    written = (options.out / NAME).rglob("*")
    made["bytes"] = sum(file.stat().st_size for file in written if file.is_file())
    overwrite = report.is_of(options.out / report.FILE, chosen)
    files.write(options.out / report.FILE, report.sealed(made), overwrite)
    files.remove_work(store.folder, _WORK)
    print(report.table(used, skipped))
    print(report.summary(made, options.out))


def _refuse_all(options: argparse.Namespace, skipped: Sequence[Skipped]) -> NoReturn:
    print(report.table([], skipped), flush=True)
    raise UserError(f"{options.source}: no clip gives a window of {options.frames} frames")


def _splits(options: argparse.Namespace, usable: Iterable[Clip]) -> dict[str, str]:
    """The split of each group of clips."""
    groups = [group(clip, options.split_by) for clip in usable]
    if options.split_by == "folder":
        return {path: str(split_of(path)) for path in groups}
    shares = {"validation": options.validation, "test": options.test}
    return assign(groups, shares, options.seed)


def _check(options: argparse.Namespace) -> str | None:
    """Tells before any work what is missing; the folder of weights where they are needed."""
    shares = options.validation, options.test
    if not (min(shares) >= 0 and sum(shares) < 1):
        raise UserError("--validation and --test are fractions from 0 to 1, together less than 1")
    if options.workers < 0:
        raise UserError("--workers is a number of processes, 0 for none")
    if options.beam is not None:
        import_beam()
    if options.format == "tfrecord":
        try:
            import tensorflow  # noqa: F401
        except ImportError as error:
            raise UserError(
                "--format=tfrecord needs TensorFlow: install it or take --format=array_record"
            ) from error
    if options.face_crop:
        check_faces()
    if not options.latents:
        return None
    if options.size % 8:
        raise UserError(f"--latents needs a --size that 8 divides, not {options.size}")
    weights = options.weights or os.environ.get("VDD_WEIGHTS")
    if not weights:
        raise UserError("--latents needs --weights=DIR, the autoencoder's folder, or VDD_WEIGHTS")
    weights = files.expand(weights)
    from vdd.data.video_folder.latents import load_encoder
    from vdd.memory import keep_freed_memory

    keep_freed_memory()
    load_encoder(str(weights))
    return str(weights)


def _identify(options: argparse.Namespace, settings: Settings, clips: Sequence[Clip]) -> Json:
    """What a data set is made from and how: another one has to go elsewhere."""
    found = [(clip, (options.source / clip.path).stat().st_size) for clip in clips]
    return {
        **settings._asdict(),
        "fps": str(settings.fps),
        "every": None if settings.every == (1,) else list(settings.every),
        "format": options.format,
        "split_by": options.split_by,
        "validation": None if options.split_by == "folder" else options.validation,
        "test": None if options.split_by == "folder" else options.test,
        "seed": options.seed,
        "files_sha256": hashlib.sha256(json.dumps(found).encode()).hexdigest(),
    }


def _is_finished(out: Path, chosen: Json, latents: bool) -> bool:
    """Whether all is written already.

    Raises:
      UserError: what is written is another data set.
    """
    kinds = ("video", "latents") if latents else ("video",)
    for kind in ("video", "latents"):
        if not directory(out, kind).exists():
            continue
        try:
            metadata = json.loads((directory(out, kind) / "metadata.json").read_text())
            known: Json = metadata["chosen"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{directory(out, kind)}: already there, and no data set of vdd: give another --out"
            ) from error
        for key in chosen.keys() | known.keys():
            if chosen.get(key) != known.get(key):
                what = f"{key}={known.get(key)}, not {chosen.get(key)}"
                what = "other files" if key == "files_sha256" else what
                raise UserError(
                    f"{out} holds a data set of {what}: give another --out, or delete that folder"
                )
    written = all(directory(out, kind).exists() for kind in kinds)
    return written and (out / report.FILE).exists()


def _decode(options: argparse.Namespace, store: Store, clips: Sequence[Clip]) -> None:
    """Sees to it that the store knows what came of every clip."""
    from vdd.data import decoding
    from vdd.progress import progress_bar

    if any(decoding.is_video(epath.Path(clip.path)) for clip in clips):
        decoding.import_av()
    waiting = [clip for clip in clips if store.outcome(clip) is None]
    with progress_bar("decoding", len(clips)) as advance:
        advance(len(clips) - len(waiting))
        if options.beam is not None:
            in_beam(store.decode, waiting, options.beam)
            advance(len(waiting))
        elif options.workers == 0:
            in_turn(store.decode, waiting, advance)
        else:
            crashed = functools.partial(store.keep, outcome=Outcome(reason="crashes the decoder"))
            in_processes(store.decode, waiting, options.workers, advance, crashed)


def _whole(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1 << 14:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {1 << 14}")
    return int(text)


def _rate(text: str) -> Fraction:
    try:
        value = Fraction(text).limit_denominator(1001)
    except (ValueError, ZeroDivisionError) as error:
        raise argparse.ArgumentTypeError(f"{text} is no frame rate") from error
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1000")
    return value


if __name__ == "__main__":
    sys.exit(main())
