"""How many bytes does each device need for a config, with so many devices?

    python experiments/memory.py [--config configs/sprites.py:full] [--devices 1,8,64]
        [--fsdp N] [--frames N] [--tiny]

Counted: parameters, gradients, Adam's moments, averages and the batch, each as it is split over the
mesh, and activations: what the backward pass keeps of the forward pass of a micro-batch
(`residual_bytes`), each device its share. Compiled: what XLA plans for the training step on
as many virtual CPU devices. Shapes alone are used, so that nothing is allocated, however large the
model. On CPUs a convolution takes more scratch memory than elsewhere, and `remat` outside of a loop
is undone by the compiler, so what is compiled is no less than what a GPU or TPU would need.

The batch is the config's, or one clip a device where that is more. Of a training in two runs, the
second one (such as configs/talking_head.py:base_temporal) needs more.
"""

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Var
from throughput import load_config

from vdd import markdown
from vdd.evaluation.report import machine
from vdd.method import step
from vdd.method.disentangler import Disentangler
from vdd.method.objective import Objective, bitrate_controlled_diffusion
from vdd.method.rates import Multipliers, Rates
from vdd.training import compilation, sharding

COUNTED = ("parameters", "gradients", "moments", "averages", "batch", "activations")
COMPILED = ("state and batch", "scratch", "compiled")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", default="configs/sprites.py:full", help="FILE[:variant]")
    parser.add_argument("--devices", default="1,8,64", help="numbers of devices, with commas")
    parser.add_argument("--fsdp", type=int, default=0, help="-1: all devices; 0: the config's")
    parser.add_argument("--frames", type=int, default=8, help="of a clip")
    parser.add_argument("--tiny", action="store_true", help="the smoke config, for tests")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)  # in a process of its own
    options = parser.parse_args(arguments)
    if options.tiny:
        options.config, options.devices, options.fsdp = "configs/sprites.py:smoke", "4", -1
    if options.measure:
        print(json.dumps(measure(options)))
        return
    print(*machine().values(), sep=", ")
    print(f"MiB per device of {options.config} with clips of {options.frames} frames")
    names = ("devices", "data x fsdp", "batch", *COUNTED, "counted", *COMPILED)
    print(markdown.table(names))
    for devices in map(int, options.devices.split(",")):
        found = in_a_process_of_its_own(devices, options)
        found["counted"] = sum(found[name] for name in COUNTED)
        found["compiled"] = found["state and batch"] + found["scratch"]
        texts = [f"{found[n] / 2**20:.1f}" for n in (*COUNTED, "counted", *COMPILED)]
        print(markdown.row((devices, found["mesh"], found["batch size"], *texts)))


def in_a_process_of_its_own(devices: int, options: argparse.Namespace) -> dict[str, Any]:
    """`measure` on so many virtual devices, whose number cannot change within a process."""
    command = [
        sys.executable, __file__, f"--config={options.config}", f"--fsdp={options.fsdp}",
        f"--frames={options.frames}", f"--measure={devices}",
    ]  # fmt: skip
    flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
    flags = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
    env = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Bytes per device on the devices of this process, by name."""
    config = load_config(options.config)
    devices = len(jax.devices())
    fsdp = options.fsdp or config.train.mesh.fsdp
    mesh = sharding.make_mesh(-1, min(devices, devices if fsdp == -1 else fsdp))
    unit = devices * config.train.accumulate
    size = max(config.train.batch_size // unit, 1) * unit
    batch = batch_of(config, size, options.frames, sharding.batch_sharding(mesh))
    training = step.build(step.Recipe.from_config(config))
    prepared = compilation.prepare(training.init, training.step, mesh, config.seed, batch)
    state, planned = prepared.abstract, compilation.compile_step(prepared).memory_analysis()
    return {
        "mesh": f"{mesh.shape['data']} x {mesh.shape['fsdp']}",
        "batch size": size,
        "parameters": bytes_per_device(state.params),
        "gradients": bytes_per_device(state.params),
        "moments": bytes_per_device(state.opt_state),
        "averages": bytes_per_device(state.ema_params),
        "batch": bytes_per_device(batch),
        "activations": activation_bytes(config, state, size, options.frames) / devices,
        "state and batch": planned.argument_size_in_bytes,
        "scratch": planned.temp_size_in_bytes,
    }


def batch_of(config: Any, clips: int, frames: int, where: Any = None) -> dict[str, Any]:
    """The shapes of a batch: of videos, or of latents that were cached."""
    latents = Disentangler.from_config(config.model).latents
    name, shape, dtype = "video", config.model.latents.size, jnp.uint8
    if config.data.get("latents"):
        side, channels = latents.autoencoder.factor, latents.autoencoder.latent_channels
        name, shape, dtype = "latents", (shape[0] // side, shape[1] // side, channels), jnp.float16
    return {name: jax.ShapeDtypeStruct((clips, frames, *shape), dtype, sharding=where)}


def bytes_per_device(tree: Any) -> int:
    """Bytes of the part of these arrays that one device holds."""
    return sum(
        math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves(tree)
    )


def activation_bytes(config: Any, state: Any, clips: int, frames: int) -> int:
    """Bytes that a micro-batch leaves for its backward pass, on all devices together."""
    model, rates = Disentangler.from_config(config.model), Rates(**config.rates)
    objective = Objective.from_config(config.objective)
    objective = objective.for_batches(clips, config.train.accumulate)

    def loss(params: Any, batch: Any, multipliers: Multipliers) -> jax.Array:
        rng = jax.random.key(0)
        terms = bitrate_controlled_diffusion(
            objective, rates, model, params, batch, rng, multipliers
        )
        return terms.total

    batch = batch_of(config, clips // config.train.accumulate, frames)
    return residual_bytes(loss, state.params, batch, state.multipliers)


def residual_bytes(loss: Callable[..., jax.Array], params: Any, *args: Any) -> int:
    """Bytes that `loss(params, *args)` leaves for its gradient in `params`; nothing is run.

    What is an argument already is not counted, nor anything twice. A compiler that fuses may keep
    less; one that cannot see to the end of a loop keeps what is counted here.

    Args:
        loss: traceable by JAX, gives a scalar.
        params: arrays or ShapeDtypeStructs, as are args.
        args: what else the loss needs.
    """

    def kept(params: Any, *args: Any) -> list[jax.Array]:
        _, backward = jax.vjp(lambda p: loss(p, *args), params)
        return jax.tree.leaves(backward)

    traced = jax.make_jaxpr(kept)(params, *args).jaxpr
    found = {x for x in traced.outvars if isinstance(x, Var)} - set(traced.invars)
    avals: list[Any] = [x.aval for x in found]
    return sum(math.prod(aval.shape) * aval.dtype.itemsize for aval in avals)


if __name__ == "__main__":
    main()
