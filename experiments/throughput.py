"""How fast does a training step run, and where does PyTorch stand with the same model?

    python experiments/throughput.py [--config configs/sprites.py:lpc ...] [--repeats 15] [--eager]
        [--tiny]

The whole training step on a batch of noise, float32: random numbers, encoder, bottlenecks,
re-reading of swaps, read-out, UNet, losses, clipping, Adam, moving average. Beside it, where
PyTorch is installed (extra `bench`), the same step there (`torch_step.py`): eager, in both memory
layouts, and with loss and gradient compiled (`--eager` leaves that out: it compiles for minutes).
That it is the same is seen at once: by the same random numbers the first step has the same loss.
Steps alternate in one process. Then the parts of a step, each alone, forward and backward.

Times are medians with quartiles. Beside them is processor time, which others at work on the
machine lengthen less. A ratio is that of steps that followed one another.
"""

import argparse
import importlib.util
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vdd import markdown
from vdd.data import sprites
from vdd.evaluation.report import machine
from vdd.memory import keep_freed_memory
from vdd.method import step
from vdd.startup import keep_compiled_programs
from vdd.training.flops import count_flops

ROOT = Path(__file__).resolve().parents[1]
PAUSE = 0.02  # seconds between calls, in which the threads of the last one fall asleep
Call = Callable[[], Any]


class Times(NamedTuple):
    """Seconds of each call."""

    wall: list[float]
    processor: list[float]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", nargs="+", default=["configs/sprites.py:lpc"])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    parser.add_argument("--tiny", action="store_true", help="a few seconds, for tests")
    options = parser.parse_args(arguments)
    keep_freed_memory()  # as a training does, and to the good of PyTorch too
    if options.tiny:
        options.config, options.repeats, options.eager = ["configs/sprites.py:smoke"], 2, True
    else:
        keep_compiled_programs(os.environ)
    print(*machine().values(), f"load {os.getloadavg()[0]:.1f}", sep=", ")
    size = 256 if options.tiny else 2048
    peak = matmul_flops_per_second(size, options.repeats)
    print(f"a float32 product of {size} x {size} in JAX: {peak / 1e9:.1f} GFLOP/s")
    for name in options.config:
        compare(name, load_config(name), peak, options.repeats, not options.eager)


def compare(name: str, config: Any, peak: float, repeats: int, compiled: bool) -> None:
    """Prints the tables of one config."""
    recipe, video = step.Recipe.from_config(config), noise(config)
    run, flops, states = jax_step(config, video)
    state = jax.tree.map(np.array, states[0])  # a copy: the other one is donated
    calls: dict[str, Call] = {"JAX": run}
    in_torch: dict[str, Call] = {}
    print(f"\n{name}: {len(video)} clips and {flops / 1e9:.2f} GFLOP a step")
    print(f"loss of the first step, by the same random numbers: JAX {run()['loss']:.6f}", end="")
    if importlib.util.find_spec("torch"):
        sys.path.insert(0, str(Path(__file__).parent))
        import torch_timing

        calls |= torch_timing.steps(recipe, state, video, compiled)
        in_torch = torch_timing.parts(recipe, state, video)
    else:
        print("\nPyTorch is not installed: its columns are left out")
    whole = alternating(calls, repeats)
    table("training step", whole)
    rate = flops / statistics.median(whole["JAX"].wall)
    print(f"\nof the product's GFLOP/s, in JAX: {rate / peak:.3f}\n")
    from step_parts import jax_parts

    ours, rows = jax_parts(recipe, state, video), {}
    for part, call in ours.items():
        pair = {"JAX": call} | ({"PyTorch": in_torch[part]} if in_torch else {})
        rows[part] = alternating(pair, repeats)
    parts_table(rows, whole)


def load_config(name: str) -> Any:
    """The config of FILE[:variant]."""
    file, _, variant = name.partition(":")
    spec = importlib.util.spec_from_file_location("config", ROOT / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(variant)


def alternating(calls: Mapping[str, Call], repeats: int) -> dict[str, Times]:
    """Times of calls that take turns, after two turns to warm up; each waits for its result."""
    times = {name: Times([], []) for name in calls}
    for i in range(repeats + 2):
        for name, call in calls.items():
            time.sleep(PAUSE)
            wall, processor = time.perf_counter(), time.process_time()
            call()
            if i >= 2:
                times[name].wall.append(time.perf_counter() - wall)
                times[name].processor.append(time.process_time() - processor)
    return times


def table(what: str, times: Mapping[str, Times]) -> None:
    """Prints a row for each, with the ratio to the first."""
    print("\n" + markdown.table((what, "ms", "processor ms", "ratio", "of processor time")))
    first = next(iter(times.values()))
    for name, spent in times.items():
        ratios = (
            spread([a / max(b, 1e-9) for a, b in zip(one, other, strict=True)], 1.0, 2)
            for one, other in zip(spent, first, strict=True)
        )
        cells = (spread(seconds, 1e3, 1) for seconds in spent)
        print(markdown.row((name, *cells, *ratios)), flush=True)


def parts_table(rows: Mapping[str, Mapping[str, Times]], whole: Mapping[str, Times]) -> None:
    """Prints medians of the parts, and what is left of whole steps, of PyTorch's eager ones."""
    names = list(next(iter(rows.values())))
    head = [f"{name} {what}" for what in ("ms", "processor ms") for name in names]
    print(markdown.table(("part", *head)))
    steps = list(whole.values())[: len(names)]
    total = np.array([_medians(spent) for spent in steps])
    left = total.copy()
    for part, times in rows.items():
        found = np.array([_medians(times[name]) for name in names])
        left -= found
        _row(part, found)
    _row("the rest", left)
    _row("the whole step", total)


def _medians(times: Times) -> list[float]:
    return [1e3 * statistics.median(seconds) for seconds in times]


def _row(name: str, numbers: np.ndarray) -> None:
    print(markdown.row((name, *(f"{x:.1f}" for x in numbers.T.reshape(-1)))), flush=True)


def spread(values: Sequence[float], scale: float, digits: int) -> str:
    """Median and quartiles."""
    low, middle, high = scale * np.quantile(values, (0.25, 0.5, 0.75))
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def median_seconds(call: Call, repeats: int) -> float:
    """Median time of `call`, after two calls to warm up; `call` waits for its own result."""
    return statistics.median(alternating({"": call}, repeats)[""].wall)


def matmul_flops_per_second(size: int, repeats: int) -> float:
    """What a square float32 product reaches in JAX on the default device."""
    x = jnp.ones((size, size), jnp.float32)
    product = jax.jit(jnp.matmul)
    return 2 * size**3 / median_seconds(lambda: product(x, x).block_until_ready(), repeats)


def noise(config: Any) -> np.ndarray:
    """A batch of clips, uint8 [b t h w c]."""
    frames = config.data.get("frames", sprites.NUM_FRAMES)
    shape = (config.train.batch_size, frames, *config.model.latents.size)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def jax_step(config: Any, video: np.ndarray) -> tuple[Call, float, list[step.TrainState]]:
    """A call that makes one more step, state donated, as the loop runs it, and gives its metrics.

    Besides the floating-point operations of a step, and a list of the state that it starts from.
    """
    functions = step.build(step.Recipe.from_config(config))
    batch = jax.device_put({"video": video})  # as the feed has it
    state = jax.jit(functions.init)(jax.random.key(0), batch)
    flops = count_flops(functions.step, state, batch)
    run = jax.jit(functions.step, donate_argnums=0)
    holder = [state]

    def call() -> Any:
        holder[0], metrics = jax.block_until_ready(run(holder[0], batch))
        return metrics

    return call, flops, holder


def training_step(config: Any, peak: float, repeats: int) -> dict[str, float]:
    """The step of `vdd.method.step` alone."""
    video = noise(config)
    call, flops, _ = jax_step(config, video)
    seconds = median_seconds(call, repeats)
    return {
        "steps/s": round(1 / seconds, 3),
        "examples/s": round(len(video) / seconds, 1),
        "GFLOP a step": round(flops / 1e9, 2),
        "GFLOP/s": round(flops / seconds / 1e9, 1),
        "share of matmul peak": round(flops / seconds / peak, 3),
    }


if __name__ == "__main__":
    main()
