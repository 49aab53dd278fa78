"""What the devices of a step send each other, by its program."""

import collections
import math
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import common

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
WARNING = "nvoluntary full rematerialization"
_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4}
_RESULT = re.compile(rf"= (.*?) ({'|'.join(COLLECTIVES)})(-start)?\(")
_ARRAY = re.compile(r"(\w+)\[([\d,]*)\]")


@contextmanager
def warnings_of_xla() -> Iterator[list[int]]:
    """How often XLA warned of a full rematerialization meanwhile, on stderr (file number 2)."""
    found, before = [0], os.dup(2)
    with tempfile.TemporaryFile("w+") as file:
        os.dup2(file.fileno(), 2)
        try:
            yield found
        finally:
            os.dup2(before, 2)
            os.close(before)
            file.seek(0)
            found[0] = file.read().count(WARNING)


def traffic(name: str, fsdp: int) -> dict[str, Any]:
    """Bytes by kind in the step of a config, a clip a device or its own batch if that is more."""
    import jax

    sys.path.insert(0, str(common.ROOT / "experiments"))
    from memory import batch_of
    from throughput import load_config

    from vdd.method import step
    from vdd.training import compilation, sharding

    config, devices = load_config(name), len(jax.devices())
    mesh = sharding.make_mesh(-1, min(fsdp, devices))
    size = max(config.train.batch_size // devices, 1) * devices
    example = batch_of(config, size, config.data.get("frames", 8), sharding.batch_sharding(mesh))
    training = step.build(step.Recipe.from_config(config))
    with warnings_of_xla() as warned:
        prepared = compilation.prepare(training.init, training.step, mesh, config.seed, example)
        text = compilation.compile_step(prepared).as_text()
    shape = f"{mesh.shape['data']} x {mesh.shape['fsdp']}"
    return {"mesh": shape, "batch": size, "bytes": moved(text), "warnings": warned[0]}


def moved(hlo: str) -> dict[str, int]:
    """Bytes of the results of all collectives in a program, by kind; of loops a single turn."""
    found: collections.Counter[str] = collections.Counter()
    for line in hlo.splitlines():
        if match := _RESULT.search(line):
            sizes = [
                _BYTES.get(dtype, 4) * math.prod(map(int, filter(None, shape.split(","))))
                for dtype, shape in _ARRAY.findall(match[1])
            ]
            found[match[2]] += sum(sizes) // (2 if match[3] else 1)
    return dict(found)
