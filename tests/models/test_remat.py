"""Rematerialisation: less is kept for the backward pass, and nothing else changes."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import ROOT, perturbed

from vdd.models.dit import DiT
from vdd.models.t5 import T5Encoder
from vdd.models.unet import UNet


def draw(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


FRAMES = (draw(0, 2, 3, 4, 4, 6), draw(1, 2, 3), draw(2, 2, 2, 5), draw(3, 2, 3, 7))
NETWORKS = {
    "t5": (T5Encoder(2, 2, 4, 16), (draw(0, 2, 5, 8),)),
    "dit": (
        DiT(2, 16, 2, 2, 2, content_tokens=True, content_map=0),
        FRAMES,
    ),
    "unet": (UNet((8,), 1, 16, (0,), 2, content_map=2), FRAMES),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_results_stay_and_memory_falls(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    residual_bytes = importlib.import_module("memory").residual_bytes
    network, inputs = NETWORKS[name]
    again = network.clone(remat=True)
    shapes, others = (
        jax.eval_shape(n.init, jax.random.key(0), *inputs)["params"] for n in (network, again)
    )
    assert shapes == others
    params = perturbed(shapes)

    def loss(network):
        return lambda p: jnp.mean(jnp.square(network.apply({"params": p}, *inputs)))

    (a, grads), (b, others) = (
        jax.jit(jax.value_and_grad(loss(n)))(params) for n in (network, again)
    )
    assert float(a) == pytest.approx(float(b), rel=1e-6)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6), grads, others)
    assert residual_bytes(loss(again), params) < 0.5 * residual_bytes(loss(network), params)
