"""Peak arithmetic of the devices, for model FLOPs utilisation (MFU)."""

import functools
import re
import time

import jax
import jax.numpy as jnp

# Dense bfloat16 peak of one device as JAX counts them, FLOP/s, from the vendors' data sheets.
# Matched by whole words of `device_kind`, first hit wins (so the longer names come first).
ACCELERATOR_PEAKS = (
    ("TPU7x", 2307e12),
    ("TPU v6 lite", 918e12),
    ("TPU v5 lite", 197e12),
    ("TPU v5p", 459e12),
    ("TPU v5", 459e12),
    ("TPU v4", 275e12),
    ("TPU v3", 61.5e12),
    ("TPU v2", 22.5e12),
    ("B200", 2250e12),
    ("H200", 989e12),
    ("H100 PCIe", 756e12),
    ("H100", 989e12),
    ("A100", 312e12),
    ("L40S", 362e12),
    ("L4", 121e12),
    ("V100", 125e12),
    ("T4", 65e12),
)


def peak_flops() -> float | None:
    """FLOP/s of all devices together: a table for accelerators, a measured matmul for CPUs.

    None for an accelerator that the table does not know: a figure is never guessed.
    """
    device = jax.devices()[0]
    if device.platform == "cpu":
        # Virtual CPU devices share the cores of their process.
        return matmul_flops() * jax.process_count()
    for name, peak in ACCELERATOR_PEAKS:
        if re.search(rf"(?<!\w){name}(?!\w)", device.device_kind):
            return peak * jax.device_count()
    return None


@functools.cache
def matmul_flops(size: int = 1024, repeats: int = 5) -> float:
    """FLOP/s of the best of a few float32 [size, size] products on this process's first device."""
    matrix = jnp.full((size, size), 0.5, jnp.float32, device=jax.local_devices()[0])
    product = jax.jit(jnp.matmul).lower(matrix, matrix).compile()
    product(matrix, matrix).block_until_ready()
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        product(matrix, matrix).block_until_ready()
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best
