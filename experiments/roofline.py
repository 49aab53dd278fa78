"""How fast can a training step be at most on an accelerator, by calculation?

    python experiments/roofline.py [--configs FILE:VARIANT=DEVICES ...] [--tiny]

A device has a peak of arithmetic and a bandwidth of memory (`DEVICES`). A step takes no less than
its operations at that peak, nor than its bytes at that bandwidth. The larger of the two times is
the bound, `least ms`; nothing is run, and nothing is measured.

Operations: all products and convolutions of a step (`vdd.training.flops`), those that `remat`
repeats included. Bytes of a device, each as it is split over the mesh:

- parameters are read twice, by the forward and the backward pass, in their own type;
- gradients are written and read; parameters, Adam's moments and averages are read and written;
- activations that the backward pass keeps are written and read (`memory.activation_bytes`), those
  of each micro-batch; the batch is read.

Not counted: what is computed and used at once (a compiler fuses some of it, not all), scratch
memory, traffic between devices, whatever a smaller type would save of parameters cast for a
product, random numbers, starting of kernels, the host. All of these make a step slower, so what is
given here is a bound and no forecast. A product in float32 is counted at the peak of bfloat16. What
a compiler need not keep of the activations, since it can compute them again within a fused loop,
would make a step faster where memory is the bound.
"""

import argparse
import math
from typing import Any, NamedTuple

import jax
from budget import step_flops
from memory import activation_bytes, batch_of, bytes_per_device
from throughput import load_config

from vdd import markdown
from vdd.data import sprites
from vdd.evaluation.report import machine
from vdd.method import step
from vdd.training import sharding
from vdd.training.hardware import ACCELERATOR_PEAKS

CONFIGS = (
    "configs/sprites.py:full=1",
    "configs/talking_head.py:base=1",
    "configs/talking_head.py:base_temporal=1",
    "configs/talking_head.py:pod=64",
    "configs/talking_head.py:pod_temporal=64",
)


class Device(NamedTuple):
    """What a vendor states; bytes a second and bytes are of the memory of one device."""

    bandwidth: float
    memory: float
    source: str

    def peak(self, name: str) -> float:
        """Dense operations in bfloat16 a second."""
        return dict(ACCELERATOR_PEAKS)[name]


DEVICES = {
    "H200": Device(4.8e12, 141e9, "https://www.nvidia.com/en-us/data-center/h200/"),
    "TPU v5p": Device(2.765e12, 95e9, "https://docs.cloud.google.com/tpu/docs/v5p"),
}


class Step(NamedTuple):
    """What one device does in a step, and holds at least."""

    flops: float
    moved: float  # bytes
    held: float  # bytes
    clips: int  # of all devices together


class Bound(NamedTuple):
    """What a device makes of a step at most."""

    intensity: float  # operations a byte
    by: str  # "arithmetic" or "memory"
    seconds: float
    mfu: float  # the share of the peak that is reached within this bound


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--configs", nargs="+", default=CONFIGS, help="FILE[:variant]=DEVICES")
    parser.add_argument("--tiny", action="store_true", help="the smoke config, for tests")
    options = parser.parse_args(arguments)
    if options.tiny:
        options.configs = ["configs/sprites.py:smoke=1", "configs/sprites.py:smoke=4"]
    print(*machine().values(), sep=", ")
    for name, device in DEVICES.items():
        numbers = (device.peak(name) / 1e12, device.bandwidth / 1e12, device.memory / 1e9)
        print("{}: {:g} TFLOP/s, {:g} TB/s, {:g} GB ({})".format(name, *numbers, device.source))
    names = (
        "config", "devices", "device", "TFLOP", "GB moved", "FLOP a byte", "bound by", "least ms",
        "steps/s", "examples/s", "MFU", "GB held",
    )  # fmt: skip
    print(f"\n{markdown.table(names)}")
    for text in options.configs:
        config, _, devices = text.rpartition("=")
        print_bounds(config, int(devices))


def print_bounds(name: str, devices: int) -> None:
    """A row for each kind of device; operations and bytes are those of one device."""
    work = work_of(load_config(name), devices)
    for kind in DEVICES:
        found = bound(work, kind)
        cells = (
            name.rpartition("/")[2], devices, kind, f"{work.flops / 1e12:.3g}",
            f"{work.moved / 1e9:.3g}", f"{found.intensity:.3g}", found.by,
            f"{found.seconds * 1e3:.3g}", f"{1 / found.seconds:.3g}",
            f"{work.clips / found.seconds:.3g}", f"{found.mfu:.2f}", f"{work.held / 1e9:.3g}",
        )  # fmt: skip
        print(markdown.row(cells), flush=True)


def bound(work: Step, kind: str) -> Bound:
    """The roofline of a kind of device."""
    device = DEVICES[kind]
    peak = device.peak(kind)
    computing, moving = work.flops / peak, work.moved / device.bandwidth
    by = "arithmetic" if computing >= moving else "memory"
    seconds = max(computing, moving)
    return Bound(work.flops / work.moved, by, seconds, computing / seconds)


def work_of(config: Any, devices: int) -> Step:
    """Operations and bytes of a step of a config on so many devices, of one of them; by shapes.

    Raises:
        UserError: the batch or the mesh of the config does not fit them.
    """
    config, mesh = config.copy_and_resolve_references(), mesh_of(config, devices)
    clips, slices = config.train.batch_size, config.train.accumulate
    sharding.check_batch_size(clips, mesh, slices)
    with config.data.unlocked():
        config.data.frames = config.data.get("frames", sprites.NUM_FRAMES)
    batch = batch_of(config, clips, config.data.frames, sharding.batch_sharding(mesh))
    training = step.build(step.Recipe.from_config(config))
    state: Any = sharding.abstract_sharded(mesh, training.init, jax.random.key(0), batch)
    activations = activation_bytes(config, state, clips, config.data.frames) / devices
    return step_work(state, step_flops(config) / devices, batch, activations, slices)


def step_work(state: Any, flops: float, batch: Any, activations: float, slices: int) -> Step:
    """The same, of counted operations and of activations of one micro-batch."""
    params, moments, averages = map(
        bytes_per_device, (state.params, state.opt_state, state.ema_params)
    )
    fed = bytes_per_device(batch)
    whole = whole_bytes(state.params)  # on every device, for the time of a step
    passes = slices * (2 * whole + 2 * activations) + fed
    update = 2 * params + 2 * (params + moments + averages)  # gradients, and what they change
    clips = jax.tree.leaves(batch)[0].shape[0]
    # Where parameters are split, they are gathered for the time of a step.
    held = 2 * params + moments + averages + (whole - params) + fed + activations
    return Step(flops, passes + update, held, clips)


def whole_bytes(tree: Any) -> int:
    """Bytes of all of these arrays."""
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def mesh_of(config: Any, devices: int) -> Any:
    """The config's mesh over devices that need not be there."""
    fsdp = min(config.train.mesh.fsdp, devices)
    auto = (jax.sharding.AxisType.Auto,) * 2
    return jax.sharding.AbstractMesh((devices // fsdp, fsdp), sharding.AXES, axis_types=auto)


if __name__ == "__main__":
    main()
