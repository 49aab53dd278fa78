"""How many clips a second does each data source give, and how many steps wait for it?

    python experiments/input_speed.py [--seconds 20] [--repeats 3] [--steps-per-second 3]
        [--variants 3] [--tiny]

Batches of `configs/sprites.py` on the built-in art, of `in_memory`, `tfdata` and `grain`. Prepared
data lie in a temporary folder. There are as few characters as `--variants` of each of the four
attributes make, so files are small and lie in the cache of the disk. Sources take turns, and each
measurement begins after two batches.

- clips a second: batches are taken as fast as they come, and thrown away;
- steps that waited: a consumer wants a batch `--steps-per-second` times a second and sleeps in
  between, as a host does whose accelerator is at work. It waited where a batch took longer than 5
  ms to come. A training on the same CPUs leaves a source less of them than this.

The last columns are by calculation: the share of steps that would wait at other paces of a step of
as many clips, were the pace the source's only limit.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

from throughput import load_config

from vdd import markdown
from vdd.data import pipeline
from vdd.data.sprites import benchmark
from vdd.evaluation.report import machine

SOURCES = ("in_memory", "tfdata", "grain")
LATE = 0.005  # seconds
PACES = (3, 87, 500)  # steps a second: two CPU cores, `lpc` on one H200, and far more


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps-per-second", type=float, default=3.0)
    parser.add_argument("--variants", type=int, default=3, help="of each attribute, up to 6")
    parser.add_argument("--tiny", action="store_true", help="a few seconds, for tests")
    options = parser.parse_args(arguments)
    if options.tiny:
        options.seconds, options.repeats, options.variants = 0.2, 2, 2
    with tempfile.TemporaryDirectory() as folder, few_characters(options.variants):
        config = load_config("configs/sprites.py")
        config.data.data_dir, size = folder, config.train.batch_size
        opened = {source: open_source(config, source) for source in SOURCES}
        print(
            *machine().values(), f"{usable_cores()} usable, load {os.getloadavg()[0]:.1f}", sep=", "
        )
        found = {source: ([], []) for source in SOURCES}
        for _ in range(options.repeats):
            for source, batches in opened.items():
                found[source][0].append(size * rate(batches, options.seconds))
                late = share_late(batches, options.seconds, options.steps_per_second)
                found[source][1].append(late)
        for batches in opened.values():
            batches.close()
    print(
        f"load {os.getloadavg()[0]:.1f} in the end; {options.repeats} times {options.seconds:g} s"
    )
    print_table(found, size, options.steps_per_second)


def usable_cores() -> int:
    """Of this process."""
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def few_characters(variants: int) -> Iterator[None]:
    """Within it Sprites has characters of the first variants alone."""
    usual = benchmark.split_characters

    def few(*args: Any) -> Any:
        characters = usual(*args)
        return characters[(characters < variants).all(axis=1)]

    with mock.patch.object(benchmark, "split_characters", few):
        yield


def open_source(config: Any, source: str) -> Any:
    """Endless batches, prepared if need be."""
    data = config.data.copy_and_resolve_references()
    data.source = source
    return pipeline.load_source(data, data.split, config.train.batch_size, config.seed)


def rate(batches: Any, seconds: float) -> float:
    """Batches a second, taken as fast as they come."""
    for _ in range(2):
        next(batches)
    start, count = time.perf_counter(), 0
    while (now := time.perf_counter()) - start < seconds:
        next(batches)
        count += 1
    return count / (now - start)


def share_late(batches: Any, seconds: float, pace: float) -> float:
    """The share of steps that waited for their batch, at so many steps a second."""
    for _ in range(2):
        next(batches)
    late = []
    for _ in range(max(round(seconds * pace), 1)):
        time.sleep(1 / pace)
        start = time.perf_counter()
        next(batches)
        late.append(time.perf_counter() - start > LATE)
    return statistics.mean(late)


def waiting(clips_per_second: float, size: int, pace: float) -> float:
    """The share of steps that would wait: of which the source gives no batch in time."""
    return max(0.0, 1 - clips_per_second / (size * pace))


def print_table(found: dict[str, tuple[list[float], list[float]]], size: int, pace: float) -> None:
    """A row a source: the median of its measurements, with the least and the most."""
    names = ["source", "clips a second", f"waited, at {pace:g} steps a second"]
    names += [f"by calculation, at {other}" for other in PACES]
    print(f"\n{markdown.table(names)}")
    for source, (rates, late) in found.items():
        middle = statistics.median(rates)
        cells = [source, f"{middle:.0f} ({min(rates):.0f} to {max(rates):.0f})"]
        cells.append(f"{statistics.median(late):.1%} ({min(late):.1%} to {max(late):.1%})")
        cells += [f"{waiting(middle, size, other):.0%}" for other in PACES]
        print(markdown.row(cells), flush=True)


if __name__ == "__main__":
    main()
