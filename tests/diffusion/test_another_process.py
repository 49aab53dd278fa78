"""Another diffusion process takes EDM's place in all that trains and samples."""

import sys
import types

import flow
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import get_config, random_video

from vdd import apply, diffusion
from vdd.diffusion import edm
from vdd.diffusion.samplers import Sampler
from vdd.method import step
from vdd.method.step import Recipe


@pytest.fixture
def another(monkeypatch):
    """As if `vdd/diffusion/__init__.py` named the other file; of EDM no equation can be asked."""
    assert diffusion.process is edm
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "vdd" and vars(module).get("process") is edm:
            monkeypatch.setattr(module, "process", flow)
    for name, value in vars(edm).items():
        if isinstance(value, types.FunctionType) and value.__module__ == edm.__name__:
            monkeypatch.setattr(edm, name, lambda *_, name=name, **__: pytest.fail(name))


def test_a_model_is_trained_and_drawn_from_by_another_process(another):
    config = get_config(
        {
            "model.denoiser.prediction": "velocity",
            "objective.mean_frames": 1,
            "objective.reread_clips": 0,
            "optimizer.warmup_steps": 0,
        }
    )
    recipe = Recipe.from_config(config)
    training, batch = step.build(recipe), {"video": jnp.asarray(random_video(4, 4))}
    state = jax.jit(training.init)(jax.random.key(0), batch)
    first, advance = state.params["denoiser"]["network"], jax.jit(training.step)
    for _ in range(2):
        state, metrics = advance(state, batch)
        assert np.isfinite(float(metrics["loss"]))
        assert float(metrics["denoise_finite"]) > 0.0
    moved = [
        np.any(before != after)
        for before, after in zip(
            jax.tree.leaves(first), jax.tree.leaves(state.params["denoiser"]["network"])
        )
    ]
    assert any(moved), "the network learns by it"

    @jax.jit
    def drawn(params, video):
        encoded = apply.encode(recipe.model, params, video)
        sampler = Sampler("euler", 2, 0.1, 10.0)
        key = jax.random.key(1)
        return apply.sample(recipe.model, params, key, encoded.content, encoded.motion, sampler)

    assert np.isfinite(drawn(state.params, batch["video"])).all()
