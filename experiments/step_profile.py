"""Where does a training step in JAX leave a core idle, and where does PyTorch spend its time?

    OMP_WAIT_POLICY=PASSIVE python experiments/step_profile.py [--config configs/sprites.py:lpc]
        [--steps 5]

The steps of `throughput.py`, each traced. Others at work on the machine lengthen a step, so the
fastest one is told, by kind of operation. In JAX a thread is busy while it runs an operation, or
a task that one has put into the pool: also while the machine lets it wait for a core. In PyTorch,
where installed, times are those of the calling threads: what its pool does is not traced. On a
busy machine its threads must not spin while they wait, hence the variable.
"""

import argparse
import importlib.util
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from throughput import load_config, noise
from xla_trace import WHOLE, Event, busy, by_one_thread, read_hlo, read_trace, spent_by_name

from vdd import markdown
from vdd.evaluation.report import machine
from vdd.memory import keep_freed_memory
from vdd.method import step
from vdd.startup import keep_compiled_programs

HEAD = (
    "kind", "operations", "threads busy", "ms", "ms alone", "thread ms", "of these by one thread"
)  # fmt: skip
# Kinds in PyTorch by a part of the name; the first that is found holds.
TORCH_KINDS = {
    "convolution": "conv",
    "matrix product": "mm|bmm|einsum|linear$",
    "random numbers": "rand|normal_|uniform|exponential_|bernoulli",
    "optimizer": "adam|foreach|vector_norm|optimizer",
    "reduction": "sum|mean|norm|softmax|max$|amax|argm|reduc|bincount",
    "gather, scatter": "index|gather|scatter|embedding",
    "concatenation, padding": "cat|pad|stack",
    "copy, transposition": "copy|clone|contiguous|fill_|zero_|flip|roll",
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", default="configs/sprites.py:lpc")
    parser.add_argument("--steps", type=int, default=5)
    options = parser.parse_args(arguments)
    keep_freed_memory()
    keep_compiled_programs(os.environ)
    print(*machine().values(), f"load {os.getloadavg()[0]:.1f}", sep=", ")
    recipe = step.Recipe.from_config(load_config(options.config))
    video = noise(recipe.config)
    state = in_jax(recipe, video, options.steps)
    if importlib.util.find_spec("torch"):
        in_torch(recipe, state, video, options.steps)


def in_jax(recipe: step.Recipe, video: np.ndarray, steps: int) -> step.TrainState:
    """Prints the tables of the fastest step; gives the state before the first one."""
    functions, batch = step.build(recipe), {"video": video}
    state = jax.jit(functions.init)(jax.random.key(0), batch)
    first = jax.tree.map(np.array, state)  # a copy: the other one is donated
    run = jax.jit(functions.step, donate_argnums=0).lower(state, batch).compile()
    state, _ = jax.block_until_ready(run(state, batch))
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        with jax.profiler.trace(folder, profiler_options=options):
            for _ in range(steps):
                state, _ = jax.block_until_ready(run(state, batch))
            spent = time.process_time() - start
        (file,) = Path(folder).rglob("*.xplane.pb")
        threads = read_trace(jax.profiler.ProfileData.from_file(str(file)))
    print(f"\nJAX: processor time of a step {1e3 * spent / steps:.0f} ms", end="; ")
    print_jax(threads, *read_hlo(run.as_text() or ""))
    return first


def print_jax(
    threads: Sequence[Sequence[Event]], kinds: Mapping[str, str], sources: Mapping[str, str]
) -> None:
    """Kinds of operations in the fastest step, and which operations kept a core idle longest."""
    wholes = [(e.start, e.end) for events in threads for e in events if e.name == WHOLE]
    start, end = min(wholes, key=lambda x: x[1] - x[0])
    spans = [x for x in busy(threads) if start <= x.start and x.end <= end]
    print(f"the fastest took {(end - start) / 1e6:.0f} ms\n")
    alike = [x._replace(name=kinds.get(x.name, "other")) for x in spans]
    one = by_one_thread(spans)
    counts = Counter(kinds.get(name, "other") for name in one)
    single = [y for x, y in zip(spans, alike, strict=True) if one[x.name]]
    found, total = spent_by_name(alike), [x._replace(name="all") for x in spans]
    found |= spent_by_name(total)
    counts["all"], single = len(one), [*single, *(x._replace(name="all") for x in single)]
    print(markdown.table(HEAD))
    for kind, x in sorted(found.items(), key=lambda item: item[1].alone):
        work, at_one = (
            sum(y.end - y.start for y in given if y.name == kind) / 1e6
            for given in ([*alike, *total], single)
        )
        cells = (f"{ms:.1f}" for ms in (x.wall, x.alone, work, at_one))
        print(markdown.row((kind, counts[kind], f"{x.threads:.2f}", *cells)))
    print("\n" + markdown.table(("alone longest", "kind", "ms alone", "of")))
    longest = sorted(spent_by_name(spans).items(), key=lambda item: -item[1].alone)
    for name, x in longest[:12]:
        row = (name, kinds.get(name, "other"), f"{x.alone:.1f}", sources.get(name, ""))
        print(markdown.row(row))


def torch_kind(name: str) -> str:
    """The kind of an operation of PyTorch."""
    name = name.rpartition("::")[2].rpartition(": ")[2].lower()
    kinds = (kind for kind, signs in TORCH_KINDS.items() if re.search(signs, name))
    return next(kinds, "elementwise, other")


def in_torch(recipe: step.Recipe, state: Any, video: np.ndarray, steps: int) -> None:
    """Prints the table of the fastest step."""
    import torch_timing
    from torch.profiler import profile  # pyright: ignore[reportMissingImports]

    print("\nloss of the first step", end="")
    call = torch_timing.steps(recipe, state, video, False)["PyTorch eager, contiguous"]
    call()
    tried = []
    for _ in range(steps):
        with profile() as profiler:
            start = time.perf_counter(), time.process_time()
            call()
            wall, processor = time.perf_counter() - start[0], time.process_time() - start[1]
        tried.append((wall, processor, profiler.key_averages()))
    wall, processor, events = min(tried, key=lambda x: x[0])
    counts, spent = Counter(), Counter()
    for e in events:
        counts[torch_kind(e.key)] += e.count
        spent[torch_kind(e.key)] += e.self_cpu_time_total / 1e3
    print(f"the fastest took {1e3 * wall:.0f} ms, and of processors {1e3 * processor:.0f}\n")
    print(markdown.table(("kind", "operations", "ms")))
    for kind, ms in spent.most_common():
        print(markdown.row((kind, counts[kind], f"{ms:.1f}")))


if __name__ == "__main__":
    main()
