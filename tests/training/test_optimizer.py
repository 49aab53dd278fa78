import jax
import numpy as np
import optax
import pytest

from vdd.training.optimizer import Optimizer

OPTIMIZER = Optimizer(1e-2, 1e-4, warmup_steps=2, b1=0.9, b2=0.99, clip_norm=1.0)
PARAMS = {"kernel": np.full((2, 3), 2.0, np.float32), "bias": np.full(3, 2.0, np.float32)}
rate_at = jax.jit(OPTIMIZER.schedule(10))


def test_the_rate_warms_up_and_decays():
    rates = [float(rate_at(step)) for step in (0, 1, 2, 6, 10)]
    np.testing.assert_allclose(rates, [0.0, 5e-3, 1e-2, (1e-2 + 1e-4) / 2, 1e-4], rtol=1e-5)


def test_a_step_is_adam_of_the_clipped_gradient():
    gradient = {
        name: np.arange(1, x.size + 1, dtype=np.float32).reshape(x.shape)
        for name, x in PARAMS.items()
    }
    transform = OPTIMIZER.build(10)
    state, update = jax.jit(transform.init)(PARAMS), jax.jit(transform.update)
    norm = np.sqrt(sum(np.sum(x**2) for x in gradient.values()))
    for step in range(3):
        updates, state = jax.device_get(update(gradient, state, PARAMS))
        mu = optax.tree.get(state, "mu")["bias"]
        expected = (1.0 - 0.9 ** (step + 1)) * gradient["bias"] / norm
        np.testing.assert_allclose(mu, expected, rtol=1e-5)
        assert np.abs(updates["bias"]).max() == pytest.approx(float(rate_at(step)), rel=1e-4)
