import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vdd.training.optimizer import Optimizer

OPTIMIZER = Optimizer(1e-2, 1e-4, warmup_steps=2, b1=0.9, b2=0.99, clip_norm=1.0)
PARAMS = {"kernel": jnp.full((2, 3), 2.0), "bias": jnp.full(3, 2.0)}


def test_the_rate_warms_up_and_decays():
    rates = [float(OPTIMIZER.schedule(10)(step)) for step in (0, 1, 2, 6, 10)]
    np.testing.assert_allclose(rates, [0.0, 5e-3, 1e-2, (1e-2 + 1e-4) / 2, 1e-4], rtol=1e-5)


def test_a_step_is_adam_of_the_clipped_gradient():
    gradient = jax.tree.map(lambda x: jnp.arange(1.0, x.size + 1).reshape(x.shape), PARAMS)
    transform = OPTIMIZER.build(10)
    state = transform.init(PARAMS)
    norm = float(optax.tree.norm(gradient))
    for step in range(3):
        updates, state = transform.update(gradient, state, PARAMS)
        mu = optax.tree.get(state, "mu")["bias"]
        expected = (1.0 - 0.9 ** (step + 1)) * gradient["bias"] / norm
        np.testing.assert_allclose(mu, expected, rtol=1e-5)
        assert float(jnp.abs(updates["bias"]).max()) == pytest.approx(
            float(OPTIMIZER.schedule(10)(step)), rel=1e-4
        )
