"""Convolutions are flax's own, and so are their gradients."""

import functools
import importlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import ROOT, call

from vdd.models.convolution import (
    Conv1x1,
    Conv3x3,
    convolve,
    gradient_by_convolution,
    gradient_by_products,
)

RNG = np.random.default_rng(0)


def normal(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 10), (1, 3)])
def test_same_as_flax_with_the_same_parameters(size, stride):
    x = normal(3, *size, 5)
    ours, theirs = Conv3x3(4, stride), nn.Conv(4, (3, 3), strides=stride)
    params = {"kernel": normal(3, 3, 5, 4), "bias": normal(4)}
    found, expected = (call(layer, params, None, x) for layer in (ours, theirs))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    fresh = [jax.eval_shape(layer.init, jax.random.key(0), x) for layer in (ours, theirs)]
    assert fresh[0] == fresh[1]


@pytest.mark.parametrize("padding", [((1, 1), (1, 1)), ((0, 1), (0, 1)), "VALID"])
def test_padding_is_that_of_flax(padding):
    x, params = normal(2, 8, 6, 3), {"kernel": normal(3, 3, 3, 4)}
    options = {"use_bias": False, "padding": padding}
    expected = call(nn.Conv(4, (3, 3), strides=2, **options), params, None, x)
    np.testing.assert_allclose(call(Conv3x3(4, 2, **options), params, None, x), expected, atol=1e-5)


@pytest.mark.parametrize("use_bias", [True, False])
def test_one_place_is_as_flax_has_it(use_bias):
    x, theirs = normal(2, 4, 5, 3), nn.Conv(4, (1, 1), use_bias=use_bias)
    params = jax.jit(theirs.init)(jax.random.key(0), x)["params"]
    found = call(Conv1x1(4, use_bias=use_bias), params, None, x)
    np.testing.assert_allclose(found, call(theirs, params, None, x), atol=1e-5)


@pytest.mark.parametrize("padding", [((1, 1), (1, 1)), ((0, 1), (2, 1)), "SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_are_those_of_flax(stride, padding):
    def loss(layer):
        return lambda params, x: jnp.sum(jnp.sin(layer.apply(params, x)))

    arguments = {"params": {"kernel": normal(3, 3, 3, 4), "bias": normal(4)}}, normal(2, 6, 7, 3)
    ours = Conv3x3(4, stride, padding=padding)
    theirs = nn.Conv(4, (3, 3), strides=stride, padding=padding)
    found, expected = (
        jax.jit(jax.grad(loss(layer), (0, 1)))(*arguments) for layer in (ours, theirs)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), found, expected)


@pytest.mark.parametrize("padding", [((0, 1), (2, 1)), "SAME"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(3, 3), (2, 2)])
def test_both_ways_to_a_kernel_s_gradient_agree(size, stride, padding):
    x = normal(2, 6, 7, 3)
    convolved = functools.partial(convolve, stride=stride, padding=padding)
    y = jax.eval_shape(convolved, x, normal(*size, 3, 4))
    ways = (gradient_by_products, gradient_by_convolution)
    both = jax.jit(lambda x, dy: [way(x, dy, size, stride, padding) for way in ways])
    np.testing.assert_allclose(*both(x, normal(*y.shape)), atol=1e-4)


def test_computes_in_its_dtype():
    layer = Conv3x3(2, dtype=jnp.bfloat16)
    y, params = jax.eval_shape(layer.init_with_output, jax.random.key(0), normal(1, 4, 4, 3))
    assert y.dtype == jnp.bfloat16
    assert params["params"]["kernel"].dtype == jnp.float32


def test_the_benchmark_runs(capsys, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    importlib.import_module("convolutions").main(["--tiny", "--repeats", "2"])
    *_, row = capsys.readouterr().out.splitlines()
    _, shape, *rates, _ = row.split("|")
    assert shape.strip() == "2, 4, 3, 3"
    assert len([float(rate) for rate in rates]) == 4
