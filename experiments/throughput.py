"""How fast does a training step run, and where does PyTorch stand on the same shapes?

    python experiments/throughput.py [--config configs/sprites.py:quick] [--tiny]

Prints the machine, its measured matmul peak, the whole training step (steps/s, examples/s, analytic
GFLOP/s, share of the peak) and the denoiser's training step (forward, backward, clipping, Adam,
EMA) in JAX and, where PyTorch is installed (extra `bench`), in PyTorch eager float32 in both memory
layouts, one after the other in the same process. All times are medians.
"""

import argparse
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vdd.data import sprites
from vdd.evaluation.report import machine
from vdd.memory import keep_freed_memory
from vdd.method import step
from vdd.method.disentangler import Disentangler
from vdd.training.flops import count_flops

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", default="configs/sprites.py:quick")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--tiny", action="store_true", help="a few seconds, for tests")
    options = parser.parse_args(arguments)
    keep_freed_memory()  # as a training does, and to the good of PyTorch too
    if options.tiny:
        options.config, options.repeats = "configs/sprites.py:smoke", 2
    config = load_config(options.config)
    size = 256 if options.tiny else 2048
    peak = matmul_flops_per_second(size, options.repeats)
    report: dict[str, Any] = {**machine(), "config": options.config}
    report["matmul GFLOP/s"] = {"jax": round(peak / 1e9, 1)}
    report["training step"] = training_step(config, peak, options.repeats)
    report["denoiser step"] = denoiser_steps(config, options.repeats, report)
    print(json.dumps(report, indent=2))


def load_config(name: str) -> Any:
    """The config of FILE[:variant]."""
    file, _, variant = name.partition(":")
    spec = importlib.util.spec_from_file_location("config", ROOT / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(variant)


def median_seconds(call: Callable[[], Any], repeats: int) -> float:
    """Median time of `call`, after two calls to warm up; `call` waits for its own result."""
    times = []
    for i in range(repeats + 2):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
        if i < 2:
            times.clear()
    return statistics.median(times)


def matmul_flops_per_second(size: int, repeats: int) -> float:
    """What a square float32 product reaches in JAX on the default device."""
    x = jnp.ones((size, size), jnp.float32)
    product = jax.jit(jnp.matmul)
    return 2 * size**3 / median_seconds(lambda: product(x, x).block_until_ready(), repeats)


def training_step(config: Any, peak: float, repeats: int) -> dict[str, float]:
    """The step of `vdd.method.step`, state donated, as the loop runs it."""
    functions = step.build(step.Recipe.from_config(config))
    rng = np.random.default_rng(0)
    frames = config.data.get("frames", sprites.NUM_FRAMES)
    shape = (config.train.batch_size, frames, *config.model.latents.size)
    video = rng.integers(0, 256, shape, np.uint8)
    batch = {"video": video}
    state = jax.jit(functions.init)(jax.random.key(0), batch)
    flops = count_flops(functions.step, state, batch)
    run = jax.jit(functions.step, donate_argnums=0)
    holder = [state]

    def call() -> None:
        holder[0], metrics = run(holder[0], batch)
        jax.block_until_ready(metrics)

    seconds = median_seconds(call, repeats)
    return {
        "steps/s": round(1 / seconds, 3),
        "examples/s": round(len(video) / seconds, 1),
        "GFLOP a step": round(flops / 1e9, 2),
        "GFLOP/s": round(flops / seconds / 1e9, 1),
        "share of matmul peak": round(flops / seconds / peak, 3),
    }


def denoiser_steps(config: Any, repeats: int, report: dict[str, Any]) -> dict[str, Any]:
    """One step on the denoiser's network alone, on as many frames as a training step gives it."""
    settings = config.model.denoiser.network
    frames = config.objective.noisy_segments * config.objective.noisy_frames
    model = Disentangler.from_config(config.model)
    book = model.quantizer.codebook
    tokens = (config.model.encoder.num_content_tokens, config.model.content.dim)
    rng = np.random.default_rng(0)
    inputs = [
        rng.normal(size=size).astype(np.float32)
        for size in (
            (frames, 1, *model.latents.shape),
            (frames, 1),
            (frames, *tokens),
            (frames, 1, book.num_groups * book.code_dim),
        )
    ]
    jax_call, flops = jax_denoiser_step(model.denoiser.network.clone(outputs=1), inputs)
    seconds = {"jax": median_seconds(jax_call, repeats)}
    if importlib.util.find_spec("torch"):
        sys.path.insert(0, str(Path(__file__).parent))
        from torch_unet import torch_denoiser_step, torch_matmul

        size = 2048 if repeats > 2 else 256
        torch_peak = 2 * size**3 / median_seconds(torch_matmul(size), repeats)
        report["matmul GFLOP/s"]["torch"] = round(torch_peak / 1e9, 1)
        for layout in ("contiguous", "channels_last"):
            call = torch_denoiser_step(dict(settings), inputs, layout)
            seconds[f"torch eager, {layout}"] = median_seconds(call, repeats)
    return {
        "frames": frames,
        "GFLOP": round(flops / 1e9, 2),
        **{f"{name}: seconds": round(value, 4) for name, value in seconds.items()},
        **{f"{name}: GFLOP/s": round(flops / value / 1e9, 1) for name, value in seconds.items()},
        **{
            f"jax speed over {name}": round(value / seconds["jax"], 2)
            for name, value in seconds.items()
            if name != "jax"
        },
    }


def jax_denoiser_step(denoiser: Any, inputs: list[np.ndarray]) -> tuple[Callable[[], None], float]:
    """A call that makes one optimiser step on a squared loss, and its floating-point operations."""
    x, noise, content, motion = map(jnp.asarray, inputs)
    params = jax.jit(denoiser.init)(jax.random.key(0), x, noise, content, motion, x)["params"]
    transform = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))

    def update(state: Any) -> Any:
        params, average, moments = state

        def loss(params: Any) -> jax.Array:
            y = denoiser.apply({"params": params}, x, noise, content, motion, x)
            return jnp.mean(jnp.square(y - x))

        updates, moments = transform.update(jax.grad(loss)(params), moments, params)
        params = optax.apply_updates(params, updates)
        return params, optax.incremental_update(params, average, 0.01), moments

    holder = [(params, jax.tree.map(jnp.copy, params), transform.init(params))]
    flops = count_flops(update, holder[0])
    run = jax.jit(update, donate_argnums=0)

    def call() -> None:
        holder[0] = jax.block_until_ready(run(holder[0]))

    return call, flops


if __name__ == "__main__":
    main()
