import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import get_config, random_video

from vdd.training import step as training
from vdd.training.step import accumulated_gradient, build, step_key


def batch_of(clips=4, seed=0):
    return {"video": jnp.asarray(random_video(clips, 4, seed)), "mask": jnp.ones(clips, bool)}


def train(changes, steps, batch=None):
    init, step = build(get_config(changes))
    batch = batch_of() if batch is None else batch
    state, step = init(jax.random.key(0), batch), jax.jit(step)
    history = []
    for _ in range(steps):
        state, metrics = step(state, batch)
        history.append(jax.device_get(metrics))
    return state, history


@pytest.fixture(scope="module")
def trained():
    """30 steps on one batch."""
    return train({}, 30)


def changed(a, b):
    """Which parts of the parameters differ, by name."""

    def differ(x, y):
        return any(np.any(p != q) for p, q in zip(jax.tree.leaves(x), jax.tree.leaves(y)))

    return {name: differ(a[name], b[name]) for name in a}


def test_loss_falls_and_metrics_are_finite(trained):
    state, history = trained
    assert int(state.step) == 30
    for metrics in history:
        assert all(np.isfinite(value) and np.shape(value) == () for value in metrics.values())
    losses = [metrics["loss"] for metrics in history]
    assert np.mean(losses[-5:]) < 0.95 * np.mean(losses[:5])


def test_everything_but_the_latents_is_trained(trained):
    state, _ = trained
    start = build(get_config()).init(jax.random.key(0), batch_of()).params
    assert changed(state.params, start) == {name: name != "latents" for name in start}
    assert float(jnp.abs(start["latents"]["mean"]).max()) > 0.0


def test_averages_follow_the_parameters(trained):
    state, history = trained
    gaps = jax.tree.map(
        lambda a, b: float(jnp.abs(a - b).max()), state.ema_params["encoder"],
        state.params["encoder"],
    )  # fmt: skip
    assert 0.0 < max(jax.tree.leaves(gaps)) < 0.1
    np.testing.assert_allclose(state.usage.sum(-1), 1.0, atol=0.05)
    assert history[0]["codes_in_use"] == 16


def test_the_same_seed_gives_the_same_run(trained):
    state, history = train({}, 3)
    again, _ = train({}, 3)
    jax.tree.map(np.testing.assert_array_equal, state, again)
    assert [m["loss"] for m in history] == [m["loss"] for m in trained[1][:3]]
    other, _ = train({"seed": 1}, 3)
    assert any(changed(state.params, other.params).values())


def test_prices_are_steered():
    fast = {"steering.content_speed": 0.5, "steering.motion_speed": 0.01}
    dear = {"steering.content_first_target": 1e-3, "objective.target_bits_per_frame": 0.1}
    cheap = {"steering.content_first_target": 1e6, "objective.target_bits_per_frame": 9.0}
    cheap |= {"steering.content_price": 1e-4}
    up, down = (train({**fast, **targets}, 3)[1] for targets in (dear, cheap))
    for name in ("motion_price", "content_price"):
        assert up[0][name] < up[1][name] < up[2][name]
        assert down[0][name] > down[1][name] > down[2][name]


def test_the_target_of_content_grows_over_the_training():
    changes = {"steering.content_first_target": 3.0, "objective.target_bits_per_clip": 11.0}
    changes |= {"steering.content_growth": (0.25, 0.75), "train.num_steps": 4}
    changes |= {"optimizer.warmup_steps": 0}
    targets = [metrics["content_target"] for metrics in train(changes, 5)[1]]
    np.testing.assert_allclose(targets, [3.0, 3.0, 7.0, 11.0, 11.0])


def test_dead_codewords_are_revived():
    changes = {"steering.revive_rate": 1.0, "steering.revive_below": 1.0}
    changes |= {"steering.usage_decay": 0.0, "optimizer.learning_rate": 0.0}
    changes |= {"optimizer.final_learning_rate": 0.0}
    start = build(get_config(changes)).init(jax.random.key(0), batch_of()).params
    state, _ = train(changes, 1)
    moved = jnp.any(
        state.params["quantizer"]["codebook"]["codewords"]
        != start["quantizer"]["codebook"]["codewords"], axis=-1,
    )  # fmt: skip
    assert moved.any()
    assert not moved.all()
    still = changed(state.params, start)
    assert [name for name in still if still[name]] == ["quantizer"]


def test_masked_clips_leave_no_trace_in_the_state():
    changes = {"steering.revive_rate": 0.0}
    batch = {**batch_of(), "mask": jnp.array([True, False, True, True])}
    other = {**batch, "video": batch["video"].at[1].set(random_video(1, 4, seed=7)[0])}
    init, step = build(get_config(changes))
    state, step = init(jax.random.key(0), batch), jax.jit(step)
    a, b = step(state, batch)[0], step(state, other)[0]
    np.testing.assert_allclose(a.usage, b.usage, atol=1e-6)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), a.params, b.params)


def test_keys_of_streams_steps_and_seeds_differ():
    streams = (training.LOSS_STREAM, training.REVIVAL_STREAM)
    keys = [
        jax.random.key_data(step_key(seed, stream, jnp.int32(step))).tobytes()
        for seed, stream, step in itertools.product((0, 1), streams, (0, 1, 2))
    ]
    assert len(set(keys)) == len(keys) == 12
    again = step_key(1, training.REVIVAL_STREAM, jnp.int32(2))
    assert jax.random.key_data(again).tobytes() == keys[-1]


def quadratic(params, batch, rng):
    """A loss that is a mean over clips; its metrics tell the clips and the key it was given."""
    error = jnp.mean(jnp.square(params["w"] - batch["x"]), axis=0)
    metrics = {"mean": jnp.mean(batch["x"]), "noise": jax.random.uniform(rng)}
    return jnp.sum(error), (metrics, jnp.mean(batch["x"], axis=0), batch["x"][:, 0])


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulated_gradient_is_the_gradient_of_the_whole_batch(parts):
    batch = {"x": jax.random.normal(jax.random.key(0), (8, 3))}
    params, rng = {"w": jnp.arange(3.0)[None]}, jax.random.key(1)
    whole, (metrics, usage, _) = accumulated_gradient(quadratic, params, batch, rng, 1)
    sliced, (means, shares, vectors) = accumulated_gradient(quadratic, params, batch, rng, parts)
    np.testing.assert_allclose(sliced["w"], whole["w"], atol=1e-6)
    np.testing.assert_allclose(means["mean"], metrics["mean"], atol=1e-6)
    np.testing.assert_allclose(shares, usage, atol=1e-6)
    np.testing.assert_array_equal(vectors, batch["x"][parts - 1 :: parts, 0])
    drawn = [jax.random.uniform(jax.random.fold_in(rng, i)) for i in range(parts)]
    np.testing.assert_allclose(means["noise"], np.mean(drawn), rtol=1e-6)
    assert len(set(map(float, drawn))) == parts


def test_a_step_in_slices_is_close_to_a_whole_one():
    """Without the entropy of the batch, and in the mean over many draws, it is the same step."""
    state, history = train({"train.accumulate": 2}, 2)
    whole, expected = train({}, 2)
    assert int(state.step) == 2
    for name in ("commitment", "content_bits_per_clip", "bits_per_frame", "coarse"):
        assert history[0][name] == pytest.approx(expected[0][name], rel=0.35)
    assert jax.tree.structure(state) == jax.tree.structure(whole)
    assert history[0]["gradient_norm"] == pytest.approx(expected[0]["gradient_norm"], rel=0.6)
