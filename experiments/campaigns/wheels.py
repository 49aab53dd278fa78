"""Does the wheel work where nothing but what it asks for is installed, on each Python?

    python experiments/campaigns/wheels.py --work DIR [--pythons python3.11 python3.12 ...] [--keep]

The wheel is built once. For each Python a virtual environment is made, the wheel is installed with
the newest versions of its dependencies, and the first commands of README are run far from this
repository: `vdd examples`, `vdd transfer sprites`. What comes out has to be a clip of as many
frames as the motion, of the content's size, in which the content moves. It is compared with that
of the first Python. Packages come from the index that pip is set up for; an environment has 2 to
3 GB, and is removed once it has been looked at (`--keep`: it is not).
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import common
import numpy as np
from PIL import Image, ImageSequence

CONTENT, MOTION = "walk_front.gif", "slash_right.gif"
NAMES = ("Python", "JAX", "NumPy", "install, s", "commands, s", "pixels unlike the first's", "ok")
VERSIONS = """
import importlib.metadata, platform, vdd
print(platform.python_version(), *map(importlib.metadata.version, ("jax", "numpy")), vdd.__file__)
"""


class Tried(NamedTuple):
    """What came of one Python."""

    python: str
    jax: str
    numpy: str
    install: float  # seconds
    commands: float  # seconds, both together
    video: np.ndarray | None  # uint8 [t h w 3]; None where something failed
    fault: str


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="a new folder to work in")
    parser.add_argument("--pythons", nargs="+", default=[sys.executable])
    parser.add_argument("--keep", action="store_true", help="the environments, too")
    parser.add_argument("--tiny", action="store_true", help="with this Python's own packages")
    options = parser.parse_args()
    with common.new_folder(options.work.absolute()) as work:
        wheel = build(work / "dist")
        print(f"{wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB, {common.describe_machine()}")
        tried: list[Tried] = []
        common.table(NAMES, rows(wheel, work, options, tried))
    sys.exit(any(one.fault for one in tried))


def rows(wheel: Path, work: Path, options: Any, tried: list[Tried]) -> Iterator[tuple[str, ...]]:
    """A row for each Python as it is done; `tried` is filled."""
    for i, python in enumerate(options.pythons):
        tried.append(attempt(python, wheel, work / str(i), options.tiny))
        if not options.keep:
            shutil.rmtree(work / str(i) / "venv", ignore_errors=True)
        yield row(tried[-1], tried[0])


def build(folder: Path) -> Path:
    """The wheel of this repository."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    subprocess.run(command, cwd=common.ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def attempt(python: str, wheel: Path, work: Path, tiny: bool) -> Tried:
    """Installs the wheel for a Python, and runs it."""
    venv, home = work / "venv", work / "home"
    home.mkdir(parents=True)
    env = {"HOME": str(home), "PATH": f"{venv / 'bin'}:/usr/bin:/bin", "JAX_PLATFORMS": "cpu"}
    cache = os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
    installing = {name: x for name, x in os.environ.items() if not name.startswith("PYTHON")}
    install = ["-m", "pip", "install", "--quiet", "--prefer-binary", "--no-compile"]
    if tiny:
        env["PYTHONPATH"] = sysconfig.get_path("purelib")
        install.append("--no-deps")
    middle = start = time.monotonic()
    try:
        run([python, "-m", "venv", venv], work, installing)
        run([venv / "bin/python", *install, wheel], work, installing | {"PIP_CACHE_DIR": cache})
        middle = time.monotonic()
        video = first_result(venv / "bin", home, env)
        end = time.monotonic()
        told = run([venv / "bin/python", "-c", VERSIONS], home, env).split()
        version, jax, numpy, place = told
        fault = "" if Path(place).is_relative_to(venv) else f"imports {place}"
        return Tried(version, jax, numpy, middle - start, end - middle, video, fault)
    except (subprocess.CalledProcessError, OSError, ValueError) as error:
        said = getattr(error, "stderr", None) or str(error)
        fault, end = said.strip().splitlines()[-1], time.monotonic()
        return Tried(python, "?", "?", middle - start, end - middle, None, fault)


def run(command: list[object], folder: Path, env: Mapping[str, str]) -> str:
    """What a command prints."""
    words = list(map(str, command))
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout


def first_result(programs: Path, folder: Path, env: Mapping[str, str]) -> np.ndarray:
    """The clip that README's first commands leave, uint8 [t h w 3].

    Raises:
        ValueError: it is not the content in motion.
    """
    clips, out = folder / "clips", folder / "result.gif"
    run([programs / "vdd", "examples", clips], folder, env)
    given = ["--content", clips / CONTENT, "--motion", clips / MOTION, "--out", out]
    run([programs / "vdd", "transfer", "sprites", *given], folder, env)
    video, content, motion = (read(path) for path in (out, clips / CONTENT, clips / MOTION))
    check(video, content, motion)
    return video


def check(video: np.ndarray, content: np.ndarray, motion: np.ndarray) -> None:
    """Raises a ValueError unless the clip is as long as the motion, and shows neither clip."""
    if video.shape != (len(motion), *content.shape[1:]):
        raise ValueError(f"a clip of {video.shape}, of {content.shape} and {motion.shape}")
    if not np.ptp(video.astype(int), axis=0).max():
        raise ValueError("nothing moves")
    for name, other in (("content", content), ("motion", motion)):
        if not np.abs(video[0].astype(int) - other[0]).max() > 32:
            raise ValueError(f"it is the {name}")


def read(path: Path) -> np.ndarray:
    """A GIF as uint8 [t h w 3]."""
    with Image.open(path) as image:
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    return np.stack(frames)


def row(one: Tried, first: Tried) -> tuple[str, ...]:
    """A Python in cells."""
    unlike = "–"
    if one.video is not None and first.video is not None:
        unlike = f"{np.mean(np.any(one.video != first.video, axis=-1)):.2%}"
    seconds = f"{one.install:.0f}", f"{one.commands:.1f}"
    return one.python, one.jax, one.numpy, *seconds, unlike, one.fault or "yes"


if __name__ == "__main__":
    main()
