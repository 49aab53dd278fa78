"""A loss term is a function and a weight, and nothing else."""

import jax
import jax.numpy as jnp
import pytest
from tiny import get_config, random_video

from vdd.method import losses, step
from vdd.method.step import Recipe

SMALL = {"model.denoiser.sight": 0, "objective.mean_frames": 1, "objective.reread_clips": 0}


def test_a_term_that_is_added_is_logged_and_paid_for_by_its_weight(monkeypatch):
    monkeypatch.setattr(losses, "TERMS", dict(losses.TERMS))

    @losses.term
    def brightness(seen):
        return 0.0 * jnp.sum(seen.codes.codes) + 7.0

    config = get_config(SMALL)
    with config.unlocked():
        config.objective.weights.brightness = 0.25
    recipe = Recipe.from_config(config)
    training, batch = step.build(recipe), {"video": jnp.asarray(random_video(4, 4))}
    state = jax.jit(training.init)(jax.random.key(0), batch)
    _, metrics = jax.jit(training.step)(state, batch)
    assert float(metrics["brightness"]) == 7.0
    rates = recipe.rates.loss(
        metrics["bits_per_frame"], metrics["content_bits_per_clip"], state.multipliers
    )
    others = sum(
        weight * metrics[name]
        for name, weight in config.objective.weights.items()
        if name != "brightness"
    )
    paid = metrics["loss"] - metrics["denoise"] - rates - others
    assert float(paid) == pytest.approx(0.25 * 7.0, rel=1e-4)
