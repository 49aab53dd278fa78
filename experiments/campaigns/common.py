"""What the campaigns share: a world of tiny files, children forked from one process, and a table.

Nothing here may start JAX or TensorFlow in the parent: a fork of a process with threads may stand
still for ever. So whatever computes does so in a child.
"""

import argparse
import atexit
import contextlib
import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vdd import interrupts, markdown

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TINY = HERE / "tiny.py"
_alive: set[int] = set()  # children
_PROGRESS = re.compile(r"|.* \d+/\d+, .* left")


def parser(doc: str | None, count: int) -> argparse.ArgumentParser:
    """The flags of all campaigns."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=count, help=f"how many times ({count})")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, required=True, help="a new folder to work in")
    parser.add_argument("--tiny", action="store_true", help="the short form, for tests")
    return parser


class Ended(NamedTuple):
    """How a child ended: its exit status (a signal is negative), its lines, and the seconds."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def told(self) -> bool:
        """Whether stderr has at most one error, in a line of the tool's, besides its progress."""
        lines = [line for line in self.err.splitlines() if not _PROGRESS.fullmatch(line)]
        errors = [line for line in lines if not line.startswith("vdd: warning: ")]
        return len(errors) <= 1 and all(line.startswith("vdd: ") for line in lines)


class Child:
    """A fork of this process that runs a function; what it prints goes to files."""

    def __init__(self, work: Callable[[], Any], said: Path):
        self._said = [said.with_suffix(".out"), said.with_suffix(".err")]
        self._start, self._ended = time.monotonic(), None
        for path in self._said:  # it may be killed before it has begun
            path.write_text("")
        sys.stdout.flush()
        with _no_interrupt():
            self.pid = os.fork()
            if not self.pid:
                # As where `python -m` starts a program of ours, of which this has loaded a part.
                if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                    signal.signal(signal.SIGINT, interrupts.leave)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
                _run(work, self._said)
        _alive.add(self.pid)

    def kill(self, number: int) -> None:
        """Sends it a signal."""
        os.kill(self.pid, number)

    def wait(self, seconds: float | None = None) -> Ended | None:
        """How it ended; None where it has not after so many seconds (None: however long)."""
        end = None if seconds is None else time.monotonic() + seconds
        while self._ended is None:
            found, status = os.waitpid(self.pid, os.WNOHANG if end is not None else 0)
            if found:
                _alive.discard(self.pid)
                texts = [path.read_text(errors="replace") for path in self._said]
                took = time.monotonic() - self._start
                self._ended = Ended(os.waitstatus_to_exitcode(status), texts[0], texts[1], took)
            elif end is not None and time.monotonic() > end:
                return None
            else:
                time.sleep(0.01)
        return self._ended

    def end(self) -> Ended:
        """How it ended, however long that takes."""
        ended = self.wait()
        assert ended is not None
        return ended


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """In this block ^C waits."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(work: Callable[[], Any], said: list[Path]) -> None:
    status = 1
    try:
        for number, path in zip((1, 2), said):
            file = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
            os.dup2(file, number)
        status = work() or 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


@atexit.register
def _end_children() -> None:
    """No child outlives this process, whatever ends it."""
    for pid in _alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def result_of(work: Callable[[], Any], said: Path) -> Any:
    """What a function gives in a child, as JSON."""
    ended = Child(lambda: print("\n" + json.dumps(work())), said).end()
    if ended.status:
        raise RuntimeError(ended.err[-2000:])
    return json.loads(ended.out.splitlines()[-1])


def use_cache(folder: Path) -> None:
    """Keeps all compiled programs of this child in a folder."""
    import jax

    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def vdd(*arguments: object) -> int:
    """`vdd ARGUMENTS`, in this process: its exit status."""
    from vdd import cli

    sys.argv = ["vdd", *map(str, arguments)]
    return cli.main()


def quick_xla() -> None:
    """Has XLA optimise little: programs are small here, and compiling is most of the time."""
    flags = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    os.environ.setdefault("XLA_FLAGS", flags)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def write_videos(folder: Path, people: int = 4, frames: int = 18, side: int = 32) -> Path:
    """Two clips of each of some people: a square of some colour that moves."""
    import av

    for person in range(people):
        rng = np.random.default_rng(person)
        colour = rng.integers(60, 256, 3)
        for clip in range(2):
            path = folder / f"person{person}" / f"{clip}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            places = np.cumsum(rng.integers(-3, 4, (frames, 2)), axis=0) % (side - 8)
            with av.open(str(path), "w") as container:
                stream: Any = container.add_stream("libx264", rate=25)
                stream.height = stream.width = side
                stream.pix_fmt = "yuv420p"
                for top, left in places:
                    picture = np.full((side, side, 3), 40, np.uint8)
                    picture[top : top + 8, left : left + 8] = colour
                    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                    container.mux(stream.encode(frame))
                container.mux(stream.encode())
    return folder


def random_sprites() -> None:
    """Sprites are random clips of 16 x 16 pixels in this child: drawing the art takes its time."""
    from vdd.data import sprites

    def load_arrays(art: str, split: str, *_: Any) -> Any:
        rng = np.random.default_rng(len(split))
        video = rng.integers(0, 256, (16, 8, 16, 16, 3), np.uint8)
        labels = rng.integers(0, 9, 16, np.int32), rng.integers(0, 6, (16, 4), np.int32)
        return sprites.SpritesArrays(video, *labels)

    sprites.load_arrays = load_arrays


def table(names: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Prints a table in Markdown, each row as soon as it is there."""
    print(markdown.table(names))
    for row in rows:
        print(markdown.row(row), flush=True)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder of this name that was not there; it stays, for whoever wants to look."""
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise SystemExit(
            f"--work {path}: {(error.strerror or 'cannot be made').lower()}; give a new folder"
        ) from error
    yield path


def describe_machine() -> str:
    """This machine in a line; asked in a child, as JAX is."""
    return f"{os.cpu_count()} cores, {_cpu_name()}, Python {sys.version.split()[0]}"


def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "unknown CPU"
