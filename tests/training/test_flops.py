import types

import jax
import jax.numpy as jnp
import pytest

from vdd.training import hardware
from vdd.training.flops import count_flops


def array(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def convolve(x, kernel, stride=1, groups=1):
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )  # fmt: skip


def test_products():
    assert count_flops(jnp.matmul, array(3, 5), array(5, 7)) == 2 * 3 * 5 * 7
    assert count_flops(jnp.matmul, array(4, 3, 5), array(4, 5, 7)) == 4 * 2 * 3 * 5 * 7
    assert count_flops(lambda x: jnp.tanh(x) + x, array(3, 5)) == 0


@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (1, 2)])
def test_convolutions_and_their_gradients(stride, groups):
    x, kernel = array(2, 8, 8, 4), array(3, 3, 4 // groups, 6)
    forward = 2 * (2 * (8 // stride) ** 2 * 6) * (3 * 3 * 4 // groups)

    def loss(x, kernel):
        return convolve(x, kernel, stride, groups).sum()

    assert count_flops(loss, x, kernel) == forward
    # One product more for each of the two gradients.
    assert count_flops(jax.value_and_grad(loss, (0, 1)), x, kernel) == 3 * forward


def test_a_loop_counts_as_often_as_it_turns():
    def turn(x, _):
        return x @ x, None

    def scanned(x):
        return jax.lax.scan(turn, x, length=10)[0]

    once = 2 * 6**3
    assert count_flops(scanned, array(6, 6)) == 10 * once
    assert count_flops(jax.jit(jax.checkpoint(scanned)), array(6, 6)) == 10 * once
    batch = jax.vmap(scanned)
    assert count_flops(batch, array(5, 6, 6)) == 50 * once


def test_the_dearest_branch_counts():
    def choose(flag, x):
        return jax.lax.cond(flag, lambda y: y @ y, lambda y: y, x)

    assert count_flops(choose, True, array(6, 6)) == 2 * 6**3


def test_agrees_with_the_compiler_where_it_can_count():
    def network(x, a, b):
        return jax.nn.relu(x @ a) @ b

    shapes = array(32, 64), array(64, 128), array(128, 16)
    counted = count_flops(network, *shapes)
    estimate = jax.jit(network).lower(*shapes).compile().cost_analysis()["flops"]
    assert counted == pytest.approx(estimate, rel=0.05)


class FakeDevice:
    platform = "gpu"

    def __init__(self, kind):
        self.device_kind = kind


@pytest.mark.parametrize(
    ("kind", "peak"),
    [
        ("NVIDIA H200", 989e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA L40S", 362e12),
        ("TPU v5 lite", 197e12),
        ("TPU v5p", 459e12),
        ("NVIDIA L40", None),  # not an L4
        ("Abacus 3000", None),
    ],
)
def test_peaks_of_accelerators(monkeypatch, kind, peak):
    monkeypatch.setattr(hardware.jax, "devices", lambda: [FakeDevice(kind)] * 4)
    monkeypatch.setattr(hardware.jax, "device_count", lambda: 4)
    assert hardware.peak_flops() == (peak and 4 * peak)


def test_the_peak_of_a_cpu_is_that_of_the_best_of_a_few_products(monkeypatch):
    seconds = iter([0.0, 0.5, 1.0, 1.25, 2.0, 2.75])
    clock = types.SimpleNamespace(perf_counter=lambda: next(seconds))
    monkeypatch.setattr(hardware, "time", clock)
    assert hardware.matmul_flops.__wrapped__(size=8, repeats=3) == 2 * 8**3 / 0.25
    monkeypatch.setattr(hardware, "matmul_flops", lambda: 7.0)
    monkeypatch.setattr(hardware.jax, "process_count", lambda: 2)
    assert hardware.peak_flops() == 14.0
