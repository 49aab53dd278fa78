import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import call, get_config, random_video

from vdd.errors import UserError
from vdd.method import step as training
from vdd.method.disentangler import Disentangler
from vdd.method.rates import Multipliers
from vdd.method.step import Recipe
from vdd.training.update import accumulated_gradient, step_key


def batch_of(clips=4, seed=0):
    return {"video": jnp.asarray(random_video(clips, 4, seed))}


CONFIG = get_config(
    {
        "rates.content_price": 1e-4,
        "rates.content_speed": 0.1,
        "rates.motion_speed": 0.01,
        "revival.rate": 1.0,
        "rates.target_bits_per_clip": 50.0,
        "rates.target_bits_per_frame": 4.0,
    }
)


def build(config):
    return training.build(Recipe.from_config(config))


INIT, STEP = build(CONFIG)
FAST = {"xla_backend_optimization_level": 0}  # compiles in half the time, runs few times


@pytest.fixture(scope="module")
def step():
    return jax.jit(STEP, compiler_options=FAST)


@pytest.fixture(scope="module")
def start():
    return jax.jit(INIT, compiler_options=FAST)(jax.random.key(0), batch_of())


@pytest.fixture(scope="module")
def trained(start, step):
    """The state after 40 steps on one batch, and the metrics of each."""
    state, history = start, []
    for _ in range(40):
        state, metrics = step(state, batch_of())
        history.append(jax.device_get(metrics))
    return state, history


def changed(a, b):
    """Which parts of the parameters differ, by name."""

    def differ(x, y):
        return any(np.any(p != q) for p, q in zip(jax.tree.leaves(x), jax.tree.leaves(y)))

    a, b = jax.device_get((a, b))  # or `!=` is compiled for every shape
    return {name: differ(a[name], b[name]) for name in a}


def test_loss_falls_and_metrics_are_finite(trained):
    state, history = trained
    assert int(state.step) == 40
    for metrics in history:
        assert all(np.isfinite(value) and np.shape(value) == () for value in metrics.values())
    for name in ("denoise_infinite", "denoise_finite"):
        values = [metrics[name] for metrics in history]
        assert np.mean(values[-8:]) < 0.95 * np.mean(values[:8])


def test_everything_but_the_latents_is_trained(trained, start):
    state, _ = trained
    assert changed(state.params, start.params) == {name: name != "latents" for name in state.params}
    assert float(jnp.abs(start.params["latents"]["mean"]).max()) > 0.0


def test_averages_follow_the_parameters(start, step):
    state, _ = step(start, batch_of())
    state, _ = step(state, batch_of())
    before, after = (x.params["encoder"]["t5"]["mlp_in_0"]["kernel"] for x in (start, state))
    assert np.any(before != after)
    again, _ = step(state, batch_of())
    state, again = jax.device_get((state, again))  # or the sums are compiled for every shape
    fade = 3.0 / 12.0  # of the third step
    for name in ("encoder", "denoiser"):
        jax.tree.map(
            lambda ema, old, new: np.testing.assert_allclose(
                ema, fade * old + (1.0 - fade) * new, atol=1e-6
            ),
            again.ema_params[name], state.ema_params[name], again.params[name],
        )  # fmt: skip


def test_the_same_state_and_batch_give_the_same_run(start, step, trained):
    state = start
    for metrics in trained[1][:3]:
        state, again = step(state, batch_of())
        assert jax.device_get(again) == metrics
    _, later = step(start.replace(step=start.step + 1), batch_of())
    assert later["denoise"] != trained[1][0]["denoise"]  # other noise


def test_each_step_draws_from_the_streams_of_its_seed(monkeypatch, start):
    drawn = []

    def spy(seed, stream, step):
        drawn.append((seed, stream))
        return step_key(seed, stream, step)

    monkeypatch.setattr(training, "step_key", spy)
    jax.eval_shape(build(get_config({"seed": 7})).step, start, batch_of())
    assert drawn == [(7, training.LOSS_STREAM), (7, training.REVIVAL_STREAM)]


def test_prices_follow_the_rates(trained):
    """A rate above its target raises its price in the next step, one below lowers it."""
    _, history = trained
    for now, then in itertools.pairwise(history):
        excess = now["bits_per_frame"] - CONFIG.rates.target_bits_per_frame
        pace = now["learning_rate"] / CONFIG.optimizer.learning_rate
        change = then["motion_price"] - now["motion_price"]
        assert change == pytest.approx(0.01 * pace * excess, abs=1e-5)
        change = np.log(then["content_price"] / now["content_price"])
        excess = np.clip(
            now["content_bits_per_clip"] / CONFIG.rates.target_bits_per_clip - 1.0, -1.0, 1.0
        )
        low, high = CONFIG.rates.content_price_range
        assert low * 0.999 <= then["content_price"] <= high * 1.001
        if low * 1.2 < then["content_price"] < high / 1.2:
            assert change == pytest.approx(0.1 * excess, abs=1e-4)
    assert history[0]["motion_price"] == 0.0
    assert history[0]["content_price"] == pytest.approx(1e-4)
    assert len({float(metrics["content_price"]) for metrics in history}) > 3


def test_a_rate_that_is_to_be_found_moves_with_what_swaps_lose(start):
    changes = {"rates.target_bits_per_frame": "auto", "objective.reread_clips": 4}
    config = get_config(changes)
    init, step = build(config)
    begun = jax.jit(lambda *given: init(*given).multipliers)(jax.random.key(0), batch_of())
    state = start.replace(multipliers=begun)
    assert float(state.multipliers.target) == 6.0
    assert type(start.multipliers) is Multipliers  # as in checkpoints of before
    state = state.replace(step=state.step + 1)  # the first step learns nothing
    then, metrics = jax.jit(step, compiler_options=FAST)(state, batch_of())
    assert float(metrics["target_bits_per_frame"]) == 6.0
    lost, pace = metrics["lost_in_swaps"], metrics["learning_rate"] / config.optimizer.learning_rate
    assert abs(lost) > 0.0
    assert float(then.multipliers.target) == pytest.approx(
        6.0 * np.exp(1e-3 * pace * (0.02 - lost)), rel=1e-6
    )


def test_a_rate_that_is_to_be_found_is_found_in_swaps():
    with pytest.raises(UserError, match="reread_clips to 4 or more, not 0"):
        build(get_config({"rates.target_bits_per_frame": "auto", "objective.reread_clips": 0}))


def test_a_rate_that_codes_cannot_have_is_refused():
    """Two codebooks of 8 hold 6 bits."""
    build(get_config({"rates.target_bits_per_frame": 6.0}))
    with pytest.raises(UserError, match=r"=6.25 is more than 2 x 8 codes can hold \(6 bits\)"):
        build(get_config({"rates.target_bits_per_frame": 6.25}))


def test_dead_codewords_are_revived(start, step):
    start = start.replace(step=start.step + CONFIG.optimizer.warmup_steps)
    alive, _ = step(start, batch_of())
    unused = tuple(np.argwhere(alive.usage < 0.991 * start.usage)[0])
    dead = start.replace(usage=start.usage.at[unused].set(0.0))
    revived, _ = step(dead, batch_of())
    a, b = (x.params["quantizer"]["codebook"]["codewords"] for x in (alive, revived))
    moved = np.any(a != b, axis=-1)
    np.testing.assert_array_equal(np.argwhere(moved), [unused])
    # It sits on a normalised vector now, and has the even share.
    assert float(jnp.mean(jnp.square(b[unused]))) == pytest.approx(1.0, rel=1e-3)
    assert float(revived.usage[unused]) == pytest.approx(1 / 8)
    assert changed(alive.params, revived.params) == {
        name: name == "quantizer" for name in alive.params
    }


def test_dead_codewords_come_to_life_in_any_frame(start, step):
    start = start.replace(step=start.step + CONFIG.optimizer.warmup_steps)
    revived, _ = step(start.replace(usage=0.0 * start.usage), batch_of())
    at = np.asarray(revived.usage == 1 / 8)
    words = np.asarray(revived.params["quantizer"]["codebook"]["codewords"])[at]
    model, params = Disentangler.from_config(CONFIG.model), start.params
    latents = call(model, params, Disentangler.to_latents, batch_of()["video"])
    halves = jnp.concatenate(jnp.split(latents, 2, axis=1))
    motion = call(model, params, Disentangler.encode, halves).motion
    vectors = np.asarray(call(model, params, Disentangler.quantize, motion).vectors)
    vectors = vectors[:, :, np.argwhere(at)[:, 0]]  # [b t r g], of each word's group
    gap = np.square(vectors - words).mean(-1)
    assert len(words) > 8
    assert gap.min((0, 1)).max() < 1e-6
    assert set(gap.min(0).argmin(0)) == {0, 1}  # not only the frames that segments begin with


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
    gradient = jax.jit(accumulated_gradient, static_argnums=(0, 4))
    whole, (metrics, usage, _) = gradient(quadratic, params, batch, rng, 1)
    sliced, (means, shares, vectors) = gradient(quadratic, params, batch, rng, parts)
    np.testing.assert_allclose(sliced["w"], whole["w"], atol=1e-6)
    np.testing.assert_allclose(means["mean"], metrics["mean"], atol=1e-6)
    np.testing.assert_allclose(shares, usage, atol=1e-6)
    np.testing.assert_array_equal(vectors, batch["x"][parts - 1 :: parts, 0])
    drawn = [jax.random.uniform(jax.random.fold_in(rng, i)) for i in range(parts)]
    np.testing.assert_allclose(means["noise"], np.mean(drawn), rtol=1e-6)
    assert len(set(map(float, drawn))) == parts


def test_a_step_in_slices_has_the_same_state_and_metrics(start):
    whole = jax.eval_shape(STEP, start, batch_of())
    sliced = jax.eval_shape(
        build(get_config({"train.accumulate": 2, "objective.reread_clips": 4})).step,
        start,
        batch_of(),
    )
    assert sliced == whole
