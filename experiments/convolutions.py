"""How fast is a 3 x 3 convolution, forward and backward, with the kernel's gradient as we have it?

    python experiments/convolutions.py [--tiny]

Median times of the forward pass alone, and of value and both gradients by XLA's own convolutions
and by `vdd.models.convolution`, one after the other in one process; GFLOP/s and ratios.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vdd import markdown
from vdd.evaluation.report import machine
from vdd.memory import keep_freed_memory
from vdd.models.convolution import convolve

# Frames, side, channels in and out: shapes of the denoisers and the autoencoder.
SHAPES = (
    (16, 16, 64, 64),
    (16, 16, 128, 128),
    (16, 8, 192, 192),
    (64, 8, 128, 128),
    (16, 32, 64, 64),
    (4, 128, 64, 64),
)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--tiny", action="store_true", help="for tests")
    options = parser.parse_args(arguments)
    keep_freed_memory()
    print(*machine().values(), sep=", ")
    print("GFLOP/s")
    names = ("frames, side, channels", "forward", "XLA, forward and backward", "ours", "ratio")
    print(markdown.table(names))
    for shape in ((2, 4, 3, 3),) if options.tiny else SHAPES:
        frames, side, inputs, outputs = shape
        rng = np.random.default_rng(0)
        x = jnp.asarray(rng.normal(size=(frames, side, side, inputs)), jnp.float32)
        kernel = jnp.asarray(rng.normal(size=(3, 3, inputs, outputs)), jnp.float32)
        gflop = 2e-9 * frames * side**2 * 9 * inputs * outputs
        forward = gflop / seconds(jax.jit(by_xla), options.repeats, x, kernel)
        both = [
            3 * gflop / seconds(with_gradients(function), options.repeats, x, kernel)
            for function in (by_xla, convolve)
        ]
        cells = [f"{rate:.0f}" for rate in (forward, *both)] + [f"{both[1] / both[0]:.2f}"]
        print(markdown.row((", ".join(map(str, shape)), *cells)), flush=True)


def by_xla(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """XLA's own convolution, whose gradients are XLA's own too."""
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def with_gradients(function: Callable[..., jax.Array]) -> Callable[..., Any]:
    """A scalar of the result, and its gradients."""
    return jax.jit(
        jax.value_and_grad(lambda x, kernel: jnp.sum(jnp.square(function(x, kernel))), (0, 1))
    )


def seconds(function: Callable[..., Any], repeats: int, *args: Any) -> float:
    """Median time of a call, after two to warm up."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        jax.block_until_ready(function(*args))
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


if __name__ == "__main__":
    main()
