"""The grid as a codebook: numbers, normalised over the batch, at a few levels each."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import call, get_config, get_model, normal, random_video

from vdd import apply, fingerprint
from vdd.method import step as training
from vdd.method.disentangler import Disentangler
from vdd.method.quantizer import Grid, StraightThroughQuantizer

GRID = Grid(num_groups=4, num_codes=3)
QUANTIZER = StraightThroughQuantizer(GRID, alpha=4.0)
PARAMS = {"codebook": {"centre": jnp.array([0.0, 1.0, -2.0, 5.0]), "spread": jnp.full(4, 3.0)}}
CHANGES = {
    "model.quantizer": {"kind": "grid", "num_groups": 4, "num_codes": 3, "alpha": 4.0},
    "objective.weights": {"commitment": 0.1},
    "rates.motion_weight": 0.0,
    "rates.motion_speed": 0.0,
}
# What a grid has nothing to do with.
PLAIN = {
    "model.denoiser.sight": 0,
    "model.denoiser.network.attention_levels": (),
    "objective.reread_clips": 0,
}


@partial(jax.jit, static_argnums=1)
def bound(motion, fresh):
    return GRID.apply({"params": PARAMS["codebook"]}, motion, fresh, method=GRID.bound)


@jax.jit
def quantize(motion):
    return QUANTIZER.apply({"params": PARAMS}, motion)


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
def test_all_levels_are_used_whatever_the_scale_of_the_numbers(scale):
    motion = (scale * (np.asarray(normal(0, 8, 16, 4)) + 7.0)).astype(np.float32)
    bounded, statistics = bound(motion, True)
    np.testing.assert_allclose(statistics["centre"], 7.0 * scale, rtol=0.1)
    np.testing.assert_allclose(statistics["spread"], scale, rtol=0.15)
    codes = np.asarray(quantize(bounded).codes)
    shares = np.stack([(codes == k).mean((0, 1)) for k in range(3)])
    assert shares.min() > 0.2


def test_outside_of_training_a_clip_does_not_depend_on_its_batch():
    motion = np.asarray(normal(0, 3, 5, 4))
    bounded, statistics = jax.device_get(bound(motion, False))
    assert statistics == {}
    np.testing.assert_allclose(
        bounded,
        np.tanh((motion - np.asarray(PARAMS["codebook"]["centre"])) / 3.0),
        rtol=1e-5,
    )
    np.testing.assert_array_equal(bound(motion[:1], False).motion, bounded[:1])


def test_levels_are_even_and_quantising_twice_changes_nothing():
    motion = np.linspace(-1.0, 1.0, 24, dtype=np.float32).reshape(1, 6, 4)
    codes = quantize(motion)
    assert set(np.unique(codes.quantized)) == {-1.0, 0.0, 1.0}
    np.testing.assert_allclose(codes.quantized, np.round(motion), atol=1e-6)
    again = quantize(codes.quantized)
    np.testing.assert_array_equal(again.codes, codes.codes)
    np.testing.assert_array_equal(again.quantized, codes.quantized)
    found = call(QUANTIZER, PARAMS, lambda q, c: q.codebook.lookup(c), codes.codes)
    np.testing.assert_array_equal(found, codes.quantized)


def test_gradients_go_straight_through():
    motion = 0.9 * np.sin(np.arange(24, dtype=np.float32)).reshape(1, 6, 4)
    weight = normal(1, *motion.shape)
    gradient = jax.jit(jax.grad(lambda m: jnp.sum(weight * quantize(m).quantized)))(motion)
    np.testing.assert_allclose(gradient, weight, rtol=1e-6)


def test_a_grid_is_no_learned_codebook():
    for wrong, told in (
        ({"num_codes": 1}, "num_codes=1: it must be at least 2"),
        ({"merged": True}, "never merged"),
        ({"code_dim": 2}, "code_dim=2: it must be 1"),
    ):
        with pytest.raises(ValueError, match=told):
            Grid(**{"num_groups": 2, "num_codes": 3, **wrong})


def test_a_step_learns_what_the_numbers_are_like_and_no_gradient_does():
    recipe = training.Recipe.from_config(get_config(CHANGES | PLAIN))
    batch = {"video": jnp.asarray(random_video(4, 4))}
    fast = {"xla_backend_optimization_level": 0}
    init, step = (jax.jit(f, compiler_options=fast) for f in training.build(recipe))
    state = init(jax.random.key(0), batch)
    assert state.usage.shape == (4, 3)
    model = Disentangler.from_config(recipe.config.model)
    latents = call(model, state.params, Disentangler.to_latents, batch["video"])
    halves = np.concatenate(np.split(np.asarray(latents), 2, axis=1))
    _, told = call(model, state.params, Disentangler.encode_in_training, halves)
    after, metrics = step(state, batch)
    assert np.isfinite(metrics["loss"])
    before, book, told = jax.device_get(
        (*(x.params["quantizer"]["codebook"] for x in (state, after)), told)
    )
    for name in ("centre", "spread"):
        expected = 0.99 * before[name] + 0.01 * told[name]
        np.testing.assert_allclose(book[name], expected, rtol=1e-4, atol=1e-6)
    for _ in range(3):
        after, metrics = step(after, batch)
    assert float(metrics["bits_per_frame"]) > 3.0  # of 4 log2 3 = 6.3


def test_the_whole_interface_takes_a_grid():
    model, params = get_model(CHANGES)
    encoding = jax.jit(apply.encode, static_argnums=0)(model, params, random_video(2, 3))
    assert encoding.codes.shape == (2, 3, 4)
    look_up, quantize = (jax.jit(f, static_argnums=0) for f in (apply.lookup, apply.quantize))
    np.testing.assert_array_equal(look_up(model, params, encoding.codes), encoding.motion)
    again = quantize(model, params, encoding.motion)
    np.testing.assert_array_equal(again.codes, encoding.codes)
    assert len(fingerprint.of_model(params)) == 8
