import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

from vdd.training.optimizer import Optimizer

PLAIN = Optimizer(1e-2, 1e-4, warmup_steps=0, b1=0.9, b2=0.99, clip_norm=1.0)
PARAMS = {
    "dense": {"kernel": jnp.full((2, 3), 2.0), "bias": jnp.full(3, 2.0)},
    "codewords": jnp.full((4, 2), 2.0),
}


def step(optimizer, params, gradient):
    """Parameters after the first step of a training of ten."""
    transform = optimizer.build(10)
    updates, _ = transform.update(gradient, transform.init(params), params)
    return optax.apply_updates(params, updates)


def test_only_kernels_decay_by_learning_rate_times_weight_decay():
    decaying = dataclasses.replace(PLAIN, weight_decay=0.5)
    after = step(decaying, PARAMS, jax.tree.map(jnp.zeros_like, PARAMS))
    np.testing.assert_allclose(after["dense"]["kernel"], 2.0 * (1.0 - 1e-2 * 0.5), rtol=1e-6)
    np.testing.assert_array_equal(after["dense"]["bias"], 2.0)
    np.testing.assert_array_equal(after["codewords"], 2.0)


def test_what_decays_is_left_out_of_the_moments():
    """Decoupled: with a gradient, decay adds to Adam's step and does not bend it."""
    gradient = jax.tree.map(lambda x: 0.01 * jnp.arange(1.0, x.size + 1).reshape(x.shape), PARAMS)
    plain = step(PLAIN, PARAMS, gradient)
    decayed = step(dataclasses.replace(PLAIN, weight_decay=0.5), PARAMS, gradient)
    difference = plain["dense"]["kernel"] - decayed["dense"]["kernel"]
    np.testing.assert_allclose(difference, 1e-2 * 0.5 * 2.0, rtol=1e-3)


def test_decay_starts_at_its_share_of_the_training():
    transform = dataclasses.replace(PLAIN, weight_decay=0.5, weight_decay_start=0.3).build(10)
    params, state, sizes = PARAMS, transform.init(PARAMS), []
    for _ in range(5):
        updates, state = transform.update(jax.tree.map(jnp.zeros_like, params), state, params)
        params = optax.apply_updates(params, updates)
        sizes.append(float(params["dense"]["kernel"][0, 0]))
    assert sizes[:3] == [2.0, 2.0, 2.0]
    assert 2.0 > sizes[3] > sizes[4]


def test_without_decay_the_state_is_that_of_runs_that_knew_none():
    state = PLAIN.build(10).init(PARAMS)
    adam = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(PLAIN.schedule(10), 0.9, 0.99))
    assert jax.tree.structure(state) == jax.tree.structure(adam.init(PARAMS))


@pytest.mark.parametrize(("part", "moves"), [("encoder", True), ("quantizer", False)])
def test_of_a_model_the_codebook_keeps_its_size(part, moves):
    _, params = tiny.get_model()
    decaying = dataclasses.replace(PLAIN, weight_decay=0.5)
    after = step(decaying, params, jax.tree.map(jnp.zeros_like, params))
    same = jax.tree.map(np.array_equal, params[part], after[part])
    assert all(jax.tree.leaves(same)) != moves


@pytest.mark.parametrize("wrong", [{"weight_decay": -0.1}, {"weight_decay_start": 1.5}])
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        dataclasses.replace(PLAIN, **wrong)
