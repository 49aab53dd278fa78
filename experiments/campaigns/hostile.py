"""Reads thousands of damaged files of all kinds: each is read, or refused in one line.

    python experiments/campaigns/hostile.py --work DIR [--count 10000] [--slow 200] [--seed 0]

Clips of every container and codec that can be written here, animations, pictures and arrays
(`--count` in all), and codec files, as many as of one kind of clip; then `--slow` each of damaged
config.json, checkpoints (with and without their checksums) and prepared data. They are read in
children, each with an address space of a few GiB and 20 seconds of CPU time for a file. A child
that is brought down is counted: readers of strangers' files live in a process of their own
(vdd/serve/reading.py). All else than a clip or a UserError of one line is a fault.
"""

import argparse
import collections
import contextlib
import itertools
import json
import resource
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import common
import numpy as np
from damage import FRAMES, SIDE, mutated, originals

SECONDS = 20
LIGHT, HEAVY = 2 << 30, 12 << 30  # bytes of address space, of which JAX reserves a lot

Read = Callable[[Path], object]


def read_clip(path: Path) -> object:
    """All that a command does with a clip."""
    from vdd.data import video_io

    with video_io.open_clip(path, SIDE) as clip:
        return sum(frame.size for frame in itertools.islice(clip.frames, 4 * FRAMES))


def read_codes(path: Path) -> object:
    """A codec file, to its codes."""
    import clips  # pyright: ignore[reportMissingImports]  # of tests/codec

    from vdd.codec import container
    from vdd.codec.clip import read_motion

    return read_motion(container.read(path.read_bytes()), clips.MODEL)


def read_run(path: Path) -> object:
    """A run directory."""
    from vdd.run import load

    return load(path)


def read_prepared(path: Path) -> object:
    """A prepared data set."""
    from vdd.data import video_folder

    return [video_folder.load_windows(path, split) for split in video_folder.SPLITS]


def outcome(read: Read, path: Path) -> str:
    """What comes of a file: "read", "refused", or in words what should not be."""
    from vdd.errors import UserError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read(path)
        except UserError as error:
            return "refused" if "\n" not in str(error) else f"fault: two lines: {str(error)[:200]}"
        except MemoryError:
            return "no memory"
        except Exception as error:
            return f"fault: {type(error).__name__}: {str(error)[:200]}"
    return "read"


class Children:
    """Reads files in children; one that is brought down costs one file."""

    def __init__(self, work: Path, memory: int):
        self._work, self._memory = work, memory

    def outcomes(self, name: str, make: Callable[[int], Path], read: Read, count: int) -> list[str]:
        """Of files 0 to count; `make` writes one and gives its place."""
        found: list[str] = []
        while len(found) < count:
            first = len(found)
            child = common.Child(
                lambda first=first: self._read(make, read, first, count), self._work / "said"
            )
            ended = child.end()
            found += [line[4:] for line in ended.out.splitlines() if line.startswith("at: ")]
            if len(found) < count:
                known = signal.Signals(-ended.status).name if ended.status < 0 else "an exit"
                word = "too long" if ended.status == -signal.SIGPROF else f"down by {known}"
                keep = self._work / "down" / f"{name.replace(' ', '_')}-{len(found)}"
                keep.parent.mkdir(exist_ok=True)
                with contextlib.suppress(OSError):
                    copy = shutil.copytree if make(len(found)).is_dir() else shutil.copyfile
                    copy(make(len(found)), keep)
                found.append(word)
        return found

    def _read(self, make: Callable[[int], Path], read: Read, first: int, count: int) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (self._memory, self._memory))
        for index in range(first, count):
            path = make(index)
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            told = outcome(read, path)
            signal.setitimer(signal.ITIMER_PROF, 0)
            print(f"at: {' '.join(told.split())}", flush=True)


def damaged_file(folder: Path, data: bytes, ending: str, seed: int) -> Callable[[int], Path]:
    """Writes the i-th damaged copy of a file; the first one is whole."""

    def make(index: int) -> Path:
        path = folder / f"clip.{ending}"
        path.write_bytes(mutated(np.random.default_rng((seed, index)), data) if index else data)
        return path

    return make


def damaged_folder(
    whole: Path, pattern: str, seed: int, unlisted: bool = False
) -> Callable[[int], Path]:
    """Writes the i-th copy of a folder, a file of which is damaged; the first one is whole."""
    files = sorted(path for path in whole.rglob(pattern) if path.is_file())

    def make(index: int) -> Path:
        copy, rng = whole.with_name("damaged"), np.random.default_rng((seed, index))
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(whole, copy)
        if unlisted:
            for path in copy.rglob("checksums.txt"):
                path.unlink()
        if index:
            path = copy / files[rng.integers(len(files))].relative_to(whole)
            if path.exists():
                path.write_bytes(mutated(rng, path.read_bytes()))
        return copy

    return make


def main() -> None:
    parser = common.parser(__doc__, 10_000)
    parser.add_argument("--slow", type=int, default=200, help="of each kind of folder (200)")
    options = parser.parse_args()
    common.quick_xla()
    sys.path.insert(0, str(common.ROOT / "tests" / "codec"))
    import clips  # noqa: F401  # pyright: ignore[reportMissingImports]  # of tests/codec
    import kill  # noqa: F401

    import vdd.codec.clip
    import vdd.data.prepare
    import vdd.data.video_io
    import vdd.run  # noqa: F401 (once, for all children)

    start, rows = time.monotonic(), []
    names = ("kind", "files", "read", "refused", "no memory", "decoder down", "too long", "faults")
    with common.new_folder(options.work.absolute()) as work:
        found = itertools.chain(of_files(work, options), of_folders(work, options))
        # Row by row, as they come: all of them may take hours.
        common.table(names, (rows.append(row := count(*kind)) or row for kind in found))
    print(f"seed {options.seed}, {time.monotonic() - start:.0f} s, {common.describe_machine()}")
    print("together", sum(row[1] for row in rows))
    sys.exit(any(row[-1] or row[-2] for row in rows))


def count(name: str, outcomes: list[str]) -> list[Any]:
    """A row of the table; faults are told."""
    assert outcomes[0] == "read", (name, outcomes[0])
    faults = [text for text in outcomes if text.startswith(("fault", "too long"))]
    for text in sorted(set(faults))[:5]:
        print(f"FAULT {name}: {text}", file=sys.stderr, flush=True)
    seen = collections.Counter(text.partition(" by ")[0].partition(":")[0] for text in outcomes)
    kinds = ("read", "refused", "no memory", "down", "too long", "fault")
    return [name, len(outcomes), *(seen[kind] for kind in kinds)]


def of_files(work: Path, options: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """What comes of the files of each kind."""
    import clips  # pyright: ignore[reportMissingImports]  # of tests/codec

    children = Children(work, LIGHT)
    common.Child(lambda: save_originals(work), work / "originals-said").end()
    known = json.loads((work / "originals.json").read_text())
    each = -(-options.count // len(known))
    for name, file in known.items():
        data = (work / file).read_bytes()
        make = damaged_file(work, data, file.rpartition(".")[2], options.seed)
        yield name, children.outcomes(name, make, read_clip, each)
    make = damaged_file(work, clips.write(clips.random_codes()), "vdd", options.seed)
    yield "vdd", children.outcomes("vdd", make, read_codes, each)


def of_folders(work: Path, options: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """What comes of runs and data sets, a file of which is damaged."""
    import kill

    if not options.slow:
        return
    children = Children(work, HEAVY)
    common.Child(lambda: kill.save_run(work / "run"), work / "run-said").end()
    world = kill.World(work, np.random.default_rng(0))
    prepare = common.Child(lambda: world.command("prepare", work / "data"), work / "data-said")
    assert not prepare.end().status
    for name, folder, pattern, unlisted, read in (
        ("config.json", "run", "config.json", False, read_run),
        ("checkpoint", "run/checkpoints", "*", False, read_run),
        ("checkpoint, checksums gone", "run/checkpoints", "*", True, read_run),
        ("prepared data", "data", "*", False, read_prepared),
    ):
        top = work / folder.partition("/")[0]
        make = damaged_folder(top, pattern, options.seed, unlisted)
        yield name, children.outcomes(name, make, read, options.slow)


def save_originals(work: Path) -> None:
    """Writes a file of each kind, clips to prepare, and a list of what there is."""
    known = {}
    for i, (name, (ending, data)) in enumerate(originals().items()):
        file = f"original{i}.{ending}"
        (work / file).write_bytes(data)
        known[name] = file
    (work / "originals.json").write_text(json.dumps(known))
    common.write_videos(work / "clips")


if __name__ == "__main__":
    main()
