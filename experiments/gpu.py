"""What does an accelerator make of the shipped configs? Ten minutes, no data, no TensorFlow.

    python experiments/gpu.py [--configs FILE:VARIANT ...] [--minutes 10] [--out FILE.json] [--tiny]

For each config, in a process of its own and on clips of noise:

- the training step: steps and clips a second; its share of the device's own peak for bfloat16 (MFU)
  where that is known, else of a float32 product; device memory at most; beside them the bound of
  `roofline.py`, on the devices that it knows;
- transfers at batch 1 and 16: frames a second and milliseconds a clip, as the mean frame and by the
  preset `sharp`.

A config that fails is told, and the others go on. Configs with an autoencoder need `$VDD_WEIGHTS`.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import outputs
from roofline import DEVICES, bound, work_of
from throughput import load_config, matmul_flops_per_second, median_seconds, training_step

from vdd import apply, files
from vdd.diffusion import samplers
from vdd.evaluation.report import machine
from vdd.method import step
from vdd.method.disentangler import Disentangler
from vdd.training.hardware import peak_flops

CONFIGS = (
    "configs/sprites.py:lpc",
    "configs/universal_lpc.py:full",
    "configs/sprites.py:full",
    "configs/talking_head.py:small",
    "configs/talking_head.py:base",
)
ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--configs", nargs="+", default=CONFIGS)
    parser.add_argument("--minutes", type=float, default=10.0, help="no config begins after that")
    parser.add_argument("--out", type=outputs.file, default="gpu.json")
    parser.add_argument("--tiny", action="store_true", help="two repeats, for tests")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    repeats = 2 if options.tiny else 20
    if options.one:
        print(json.dumps(measured(options.one, repeats)))
        return 0
    start, found = time.monotonic(), {}
    for name in options.configs:
        left = 60 * options.minutes - (time.monotonic() - start)
        found[name] = measured_apart(name, options.tiny, left)
        print(name, json.dumps(found[name], indent=2), flush=True)
        files.write(options.out, json.dumps(found, indent=2) + "\n")
    return int(all("error" in one for one in found.values()))


def measured_apart(name: str, tiny: bool, seconds: float) -> dict[str, Any]:
    """`measured` in a process of its own, or what went wrong there."""
    if seconds <= 0:
        return {"error": "no time was left"}
    command = [sys.executable, __file__, "--one", name, *(["--tiny"] if tiny else [])]
    try:
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {seconds:.0f} seconds"}
    lines = ended.stdout.splitlines()
    if ended.returncode or not lines:
        return {"error": (ended.stderr.strip().splitlines() or ["no output"])[-1]}
    return json.loads(lines[-1])


def measured(name: str, repeats: int) -> dict[str, Any]:
    """All figures of a config, on the default device."""
    config = load_config(name)
    product = matmul_flops_per_second(4096 if repeats > 2 else 256, min(repeats, 5))
    peak = peak_flops() or product
    train = training_step(config, peak, repeats)
    memory = jax.devices()[0].memory_stats() or {}
    for kind in (known for known in DEVICES if known in jax.devices()[0].device_kind):
        train["steps/s at most, by calculation"] = round(
            1 / bound(work_of(config, 1), kind).seconds, 1
        )
    return {
        **machine(),
        "float32 product, GFLOP/s": round(product / 1e9, 1),
        "peak for MFU, GFLOP/s": round(peak / 1e9, 1),
        "training step": train,
        "device memory at most, MB": round(memory.get("peak_bytes_in_use", 0) / 1e6),
        "transfers": transfers(config, repeats),
    }


def transfers(config: Any, repeats: int) -> dict[str, dict[str, float]]:
    """Speed of drawing clips of one window each."""
    model = Disentangler.from_config(config.model)
    frames = config.model.get("motion_window") or config.data.frames
    size = config.model.latents.size
    clip = np.random.default_rng(0).integers(0, 256, (16, frames, *size), np.uint8)
    functions = step.build(step.Recipe.from_config(config))
    batch = {"video": clip.repeat(2, axis=1)}  # there are two segments in what training sees
    params = jax.jit(functions.init)(jax.random.key(0), batch).params
    found = {}
    for preset in samplers.PRESETS:
        sampler = samplers.choose(config.eval, preset)
        draw = jax.jit(lambda key, x, s=sampler: apply.transfer(model, params, key, x, x, s))
        for count in (1, 16):
            seconds = median_seconds(
                partial(_drawn, draw, jax.random.key(0), jnp.asarray(clip[:count])), repeats
            )
            found[f"{sampler.name}, {sampler.steps} steps, batch {count}"] = {
                "frames/s": round(count * frames / seconds, 1),
                "ms a clip": round(1e3 * seconds / count, 2),
            }
    return found


def _drawn(draw: Callable[..., jax.Array], key: jax.Array, clip: jax.Array) -> None:
    draw(key, clip).block_until_ready()


if __name__ == "__main__":
    sys.exit(main())
