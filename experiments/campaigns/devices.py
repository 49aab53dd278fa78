"""Does a training give the same on every number of devices, and what do devices tell each other?

    python experiments/campaigns/devices.py --work DIR [--variants videos,videos_dit_temporal,...]
        [--devices 1,2,4,8] [--steps 20] [--processes 2,4]
    python experiments/campaigns/devices.py --work DIR --traffic 8,64,256 [--config FILE:variant]

The tiny config (`tiny.py`), on virtual devices of this CPU, in every split of them in data x fsdp:
losses of all steps, and all parameters at the end, beside those on one device. Each mesh's state
at half of the steps is saved, and restored on the next mesh, which goes on from there to the same
end. Then the same devices are those of several processes, which find each other on the loopback;
one device restores what they saved. Counted are XLA's warnings of an "involuntary full
rematerialization". `--traffic` counts instead the bytes that a device gets by collectives in the
compiled step, by kind.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import common
import numpy as np
from traffic import _BYTES, COLLECTIVES, traffic, warnings_of_xla

VARIANTS = ("videos", "videos_temporal", "videos_dit", "videos_dit_temporal")
_BYTES |= {"s64": 8, "u64": 8, "f64": 8}
BATCH = 16


def main() -> None:
    parser = common.parser(__doc__, 1)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--devices", default="1,2,4,8")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--processes", default="2,4", help="that share the devices ('': none)")
    parser.add_argument("--traffic", help="numbers of devices whose collectives are counted")
    parser.add_argument("--config", default="configs/sprites.py:smoke", help="FILE[:variant]")
    parser.add_argument("--fsdp", type=int, default=4, help="with --traffic")
    parser.add_argument("--part", help=argparse.SUPPRESS)  # in a process of its own
    options = parser.parse_args()
    if options.part:
        work, config = options.part.split(" ")
        if work == "traffic":
            found: Any = traffic(config, options.fsdp)
        else:
            found = (equality if work == "equality" else as_process)(config, options)
        print(json.dumps(found))
        return
    start = time.monotonic()
    options.work.mkdir(parents=True)
    good = tell_traffic(options) if options.traffic else tell_equality(options)
    print(f"{time.monotonic() - start:.0f} s, {common.describe_machine()}")
    sys.exit(not good)


def begun(work: str, devices: int, **env: str) -> subprocess.Popen:
    """A part, begun in a process of its own on so many virtual devices."""
    command = [sys.executable, __file__, *sys.argv[1:], "--part", work]
    flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
    flags += " --xla_llvm_disable_expensive_passes=true"
    env |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "TF_CPP_MIN_LOG_LEVEL": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=os.environ | env, stdout=pipe, stderr=pipe, text=True)


def apart(options: argparse.Namespace, work: str, devices: int) -> Any:
    """What a part gives, in a process of its own."""
    return given(begun(work, devices))


def given(process: subprocess.Popen) -> Any:
    """What a part has given; the end of all where it failed."""
    out, err = process.communicate()
    if process.returncode:
        raise SystemExit(err[-3000:])
    return json.loads(out.splitlines()[-1])


def tell_equality(options: argparse.Namespace) -> bool:
    """The table of all variants and splits, as they come; whether all are equal."""
    names = ("config", "data x fsdp", "arrays split", "largest difference of a loss")
    names += ("of a parameter", "restored on the next", "full rematerializations")
    rows: list[tuple] = []
    common.table(names, (rows.append(row) or row for row in rows_of(options)))
    differences = [float(x) for row in rows for x in row[3:6] if x != "-"]
    return max(differences) < 1e-5 and not any(row[6] for row in rows)


def rows_of(options: argparse.Namespace) -> Iterator[tuple]:
    """A row for each variant and split, and for the processes that share the devices."""
    most = max(map(int, options.devices.split(",")))
    for variant in options.variants.split(","):
        for row in apart(options, f"equality {variant}", most):
            yield (variant, *row)
        *_, (data, fsdp) = splits([most])
        before = f"{data}x{fsdp}"
        for count in (*map(int, filter(None, options.processes.split(","))), 1):
            row = together(f"process {variant}", count, most if count > 1 else 1, before)
            yield (variant, *row)
            before = f"processes{count}"


def together(work: str, count: int, devices: int, before: str) -> list[Any]:
    """A row of so many processes that share the devices, and restore what `before` has saved."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    env = {"CAMPAIGN_BEFORE": before}
    if count > 1:
        env |= {"VDD_COORDINATOR": f"localhost:{port}", "VDD_NUM_PROCESSES": str(count)}
    each = [{**env, "VDD_PROCESS_ID": str(i)} if count > 1 else env for i in range(count)]
    processes = [begun(work, devices // count, **added) for added in each]
    first, *_ = [given(process) for process in processes]
    return first


def as_process(variant: str, options: argparse.Namespace) -> list[Any]:
    """The row of this process and those that it is connected to."""
    import jax
    from etils import epath

    from vdd.training import checkpoints, processes, sharding

    processes.connect_processes(os.environ)
    devices, count = len(jax.devices()), jax.process_count()
    data = 2 if devices > 2 else 1
    folder = epath.Path(options.work) / variant
    with warnings_of_xla() as warned:
        losses, (half, last), abstract, go_on = train(
            config_of(variant, options), data, devices // data
        )
    with checkpoints.Checkpoints(folder / os.environ["CAMPAIGN_BEFORE"]) as saved:
        found = saved.restore(abstract)
    with checkpoints.Checkpoints(folder / f"processes{count}") as saved:
        saved.save(options.steps // 2, half, {})
    assert found is not None
    params, again = (sharding.local_copy(x.params) for x in (last, go_on(found[1])))
    with np.load(folder / "alone.npz") as alone:
        names = [name for name in alone if name != "losses"]
        apart = float(np.max(np.abs(alone["losses"] - losses)))
        off = [
            max(float(np.max(np.abs(flat(x)[name] - alone[name]))) for name in names)
            for x in (params, again)
        ]
    split = sum("fsdp" in str(x.sharding.spec) for x in jax.tree.leaves(abstract.params))
    place = f"{data} x {devices // data}" + f", {count} processes" * (count > 1)
    return [place, split, f"{apart:.1e}", *(f"{x:.1e}" for x in off), warned[0]]


def flat(tree: Any) -> dict[str, np.ndarray]:
    """The arrays of a tree by path."""
    import jax

    found = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): np.asarray(x) for path, x in found}


def config_of(variant: str, options: argparse.Namespace) -> Any:
    """The tiny config, with arrays so large that some are split."""
    import tiny

    config = tiny.get_config(variant)
    config.train.update(batch_size=BATCH, num_steps=options.steps)
    config.objective.update(noisy_segments=2 * BATCH)
    config.model.denoiser.readout.update(tile_width=32)
    return config


def equality(variant: str, options: argparse.Namespace) -> list[list[Any]]:
    """A row for each split: differences from one device, and warnings."""
    import jax
    from etils import epath

    from vdd.training import checkpoints

    config = config_of(variant, options)
    folder = Path(options.work) / variant
    rows, alone, before = [], None, None
    for data, fsdp in splits(map(int, options.devices.split(","))):
        with warnings_of_xla() as warned:
            losses, states, abstract, go_on = train(config, data, fsdp)
        half, last = states
        if alone is None:
            alone = losses, last
            folder.mkdir(parents=True)
            arrays: Any = {"losses": losses, **flat(last.params)}
            np.savez(folder / "alone.npz", **arrays)
        restored = "-"
        if before is not None:
            with checkpoints.Checkpoints(epath.Path(before)) as saved:
                found = saved.restore(abstract)
            assert found is not None
            restored = f"{difference(go_on(found[1]), last):.1e}"
        before = folder / f"{data}x{fsdp}"
        with checkpoints.Checkpoints(epath.Path(before)) as saved:
            saved.save(options.steps // 2, half, {})
        split = sum("fsdp" in str(x.sharding.spec) for x in jax.tree.leaves(abstract.params))
        apart = max(abs(a - b) for a, b in zip(losses, alone[0], strict=True))
        parameters = difference(last, alone[1])
        rows.append([f"{data} x {fsdp}", split, f"{apart:.1e}", f"{parameters:.1e}", restored])
        rows[-1].append(warned[0])
    return rows


def splits(numbers: Any) -> Iterator[tuple[int, int]]:
    """Every (data, fsdp) of these numbers of devices."""
    for number in numbers:
        for data in range(number, 0, -1):
            if number % data == 0:
                yield data, number // data


def train(config: Any, data: int, fsdp: int) -> Any:
    """Losses, the states at half of the steps and at the end, and how to go on from the half."""
    import jax

    from vdd.method import step
    from vdd.training import compilation, loop, sharding, windows

    steps = config.train.num_steps
    mesh = sharding.make_mesh(data, fsdp, jax.devices()[: data * fsdp])
    place = sharding.batch_sharding(mesh)
    training = step.build(step.Recipe.from_config(config))
    prepared = compilation.prepare(
        training.init, training.step, mesh, config.seed, batch(config, 0, place)
    )
    program = compilation.compile_step(prepared)

    def advance(state: Any, first: int, last: int) -> tuple[Any, list[float]]:
        losses = []
        for i in range(first, last):
            window = loop.put(windows.empty(prepared.names), mesh)
            state, window, loss = program(state, window, batch(config, i, place))
            losses.append(float(loss))
        return state, losses

    state, losses = advance(loop.begin(prepared, config.seed).state, 0, steps // 2)
    half = jax.tree.map(lambda x: x.copy(), state)
    state, more = advance(state, steps // 2, steps)
    return (
        losses + more,
        (half, state),
        prepared.abstract,
        lambda s: advance(s, steps // 2, steps)[0],
    )


def batch(config: Any, index: int, place: Any) -> dict[str, Any]:
    """Batch i of random clips, of which each process has its part."""
    import jax

    from vdd.training import sharding

    rng, count = np.random.default_rng((config.seed, index)), BATCH // jax.process_count()
    video = rng.integers(0, 256, (BATCH, 8, *config.model.latents.size), np.uint8)
    video = video[jax.process_index() * count :][:count]
    return sharding.global_batch({"video": video}, place)


def difference(a: Any, b: Any) -> float:
    """The largest difference of a parameter of two states."""
    import jax

    pairs = zip(jax.tree.leaves(a.params), jax.tree.leaves(b.params), strict=True)
    return max(float(np.max(np.abs(np.asarray(x) - np.asarray(y)))) for x, y in pairs)


def tell_traffic(options: argparse.Namespace) -> bool:
    """The table of bytes moved; whether XLA had nothing to warn of."""
    rows, warned = [], 0
    for devices in map(int, options.traffic.split(",")):
        found = apart(options, f"traffic {options.config}", devices)
        warned += found["warnings"]
        told = [f"{found['bytes'].get(kind, 0) / 2**20:.2f}" for kind in COLLECTIVES]
        total = f"{sum(found['bytes'].values()) / 2**20:.2f}"
        rows.append([devices, found["mesh"], found["batch"], *told, total, found["warnings"]])
    print(f"MiB that a device gets in a step of {options.config}, by what each collective gives it")
    names = ("devices", "data x fsdp", "batch", *COLLECTIVES, "together")
    common.table((*names, "full rematerializations"), rows)
    return not warned


if __name__ == "__main__":
    main()
