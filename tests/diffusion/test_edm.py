import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import normal

from vdd.diffusion import edm

SIGMAS = np.array([0.002, 0.05, 0.3, 1.0, 7.0, 80.0])


@pytest.mark.parametrize("data", [0.1, 0.5, 2.0])
def test_table_1(data):
    sigma = jnp.asarray(SIGMAS, jnp.float32)
    variance = SIGMAS**2 + data**2
    expected = {
        edm.c_skip: data**2 / variance,
        edm.c_out: SIGMAS * data / np.sqrt(variance),
        edm.c_in: 1.0 / np.sqrt(variance),
        edm.loss_weight: variance / SIGMAS**2,
    }
    for function, value in expected.items():
        np.testing.assert_allclose(function(sigma, data), value, rtol=1e-5)
    np.testing.assert_allclose(edm.c_noise(sigma), 0.25 * np.log(SIGMAS), rtol=1e-5)


def test_default_numbers_of_the_published_code():
    """sigma_data 0.5 at sigma 1, worked out by hand: variance 1.25."""
    one = jnp.ones(1)
    assert float(edm.c_skip(one, 0.5)[0]) == pytest.approx(0.2)
    assert float(edm.c_out(one, 0.5)[0]) == pytest.approx(0.4472136)
    assert float(edm.c_in(one, 0.5)[0]) == pytest.approx(0.8944272)
    assert float(edm.c_noise(one)[0]) == 0.0
    assert float(edm.loss_weight(one, 0.5)[0]) == pytest.approx(1.25)


def estimate(network, noisy, sigma, data, mean=0.0, kind="edm", **options):
    return edm.denoise(edm.PREDICTIONS[kind], network, noisy, sigma, data, mean, **options)


@pytest.mark.parametrize("mean", [0.0, 3.0])
@pytest.mark.parametrize("sigma", [0.01, 0.3, 5.0])
def test_network_input_and_target_have_unit_variance(sigma, mean):
    data = 0.3
    rng = np.random.default_rng(0)
    clean = jnp.asarray(mean + data * rng.normal(size=(200, 10, 10, 1)), jnp.float32)
    noisy = clean + sigma * jnp.asarray(rng.normal(size=clean.shape), jnp.float32)
    level = jnp.full(200, sigma)
    seen = []

    def network(scaled, noise):
        seen.append((scaled, noise))
        return jnp.zeros_like(scaled)

    floor = estimate(network, noisy, level, data, mean)
    unit = estimate(lambda x, _: jnp.ones_like(x), noisy, level, data, mean) - floor
    target = (clean - floor) / unit  # the output that would make the estimate the clean data
    (scaled, noise), *_ = seen
    assert float(jnp.std(scaled)) == pytest.approx(1.0, abs=0.03)
    assert float(jnp.std(target)) == pytest.approx(1.0, abs=0.03)
    assert float(jnp.mean(scaled)) == pytest.approx(0.0, abs=0.03)
    np.testing.assert_allclose(noise, np.log(sigma) / 4, rtol=1e-5)
    # Weighted, the error of the estimate is the error of the network, in units of the data.
    weighted = edm.loss_weight(level, data)[:, None, None, None] * jnp.square(clean - floor)
    np.testing.assert_allclose(weighted / data**2, jnp.square(target), rtol=2e-2, atol=1e-3)


def test_the_signal_to_noise_ratio_in_the_weight_is_bounded():
    weights = edm.loss_weight(jnp.asarray([1e-3, 0.02, 0.1, jnp.inf]), 0.1, 25.0)
    np.testing.assert_allclose(weights, [26.0, 26.0, 2.0, 1.0], rtol=1e-5)


SHAPE = (2, 3, 4, 4, 1)
NOISY, MEAN, OUTPUT, GATE = (normal(i, *SHAPE) for i in range(4))
LEVELS = jnp.asarray(np.exp(normal(9, *SHAPE[:2])))


def shifted(x, noise):
    """A network that hears its input and its label, and never becomes infinite."""
    return jnp.tanh(x + noise[..., None, None, None])


@pytest.mark.parametrize("kind", edm.PREDICTIONS)
def test_the_mean_moves_with_the_data(kind):
    def network(x, noise):
        return jnp.concatenate([shifted(x, noise)] * edm.PREDICTIONS[kind].outputs, axis=-1)

    def drawn(noisy, mean):
        return estimate(network, noisy, LEVELS, 0.5, mean, kind)

    np.testing.assert_allclose(drawn(NOISY + MEAN, MEAN), MEAN + drawn(NOISY, 0.0), atol=1e-5)
    assert np.abs(drawn(NOISY + MEAN, 0.0) - drawn(NOISY + MEAN, MEAN)).max() > 0.1


@pytest.mark.parametrize("horizon", [jnp.inf, 5.0])
def test_a_gate_at_zero_is_edm_bit_for_bit(horizon):
    def both(x, noise):
        return jnp.concatenate([shifted(x, noise), jnp.zeros_like(x)], axis=-1)

    gated = estimate(both, NOISY, LEVELS, 0.5, MEAN, "gated", horizon=horizon)
    plain = estimate(shifted, NOISY, LEVELS, 0.5, MEAN, "edm", horizon=horizon)
    np.testing.assert_array_equal(gated, plain)


def test_a_closed_gate_lets_no_noise_through():
    def closed(x, _):
        return jnp.concatenate([jnp.zeros_like(x), jnp.full_like(x, -100.0)], axis=-1)

    drawn = estimate(closed, NOISY, LEVELS, 0.5, MEAN, "gated")
    np.testing.assert_array_equal(drawn, MEAN)


@pytest.mark.parametrize("kind", edm.PREDICTIONS)
def test_at_infinite_noise_the_answer_is_the_mean(kind):
    def loud(x, noise):
        return jnp.concatenate([100.0 + shifted(x, noise)] * edm.PREDICTIONS[kind].outputs, -1)

    endless = jnp.full(SHAPE[:2], jnp.inf)
    drawn = estimate(loud, NOISY, endless, 0.5, MEAN, kind, horizon=5.0)
    np.testing.assert_array_equal(drawn, MEAN)
    # Without a horizon it is the network that answers, and it sees no data.
    other = [estimate(loud, x, endless, 0.5, 0.0, kind) for x in (NOISY, MEAN)]
    np.testing.assert_array_equal(*other)
    assert np.abs(other[0]).min() > 1.0


def test_the_network_s_part_fades_about_the_horizon():
    levels = jnp.asarray([0.0, 2.0, 2e4, jnp.inf])
    faded = np.asarray(edm.fade(levels, 2.0))
    np.testing.assert_allclose(faded[:2], [1.0, 0.5**0.5], rtol=1e-6)
    assert faded[2] * 2e4 == pytest.approx(2.0, rel=1e-5)  # as 1 / sigma
    assert faded[3] == 0.0
    np.testing.assert_array_equal(edm.fade(levels, jnp.inf), 1.0)


def test_without_noise_the_data_pass():
    for kind in ("edm", "gated"):
        outputs = edm.PREDICTIONS[kind].outputs

        def loud(x, noise, outputs=outputs):
            return jnp.concatenate([shifted(x, noise), *[jnp.zeros_like(x)] * (outputs - 1)], -1)

        drawn = estimate(loud, NOISY, jnp.zeros(SHAPE[:2]), 0.5, MEAN, kind, horizon=5.0)
        np.testing.assert_allclose(drawn, NOISY, atol=1e-6)


@pytest.mark.parametrize("kind", edm.PREDICTIONS)
@pytest.mark.parametrize("sigma", [0.05, 0.3, 2.0, jnp.inf])
def test_gaussian_data_have_a_network_that_is_ideal(kind, sigma):
    """For N(mean, s^2) the ideal estimate is known: each prediction can say it exactly."""
    s, data, horizon = 0.2, 0.4, 4.0

    def ideal(scaled, _):
        level = jnp.asarray(sigma, jnp.float32)
        residual = jnp.where(jnp.isinf(level), 0.0, scaled / edm.c_in(level, data))
        known = jnp.where(jnp.isinf(level), 0.0, s**2 / (s**2 + level**2)) * residual
        fade = jnp.maximum(edm.fade(level, horizon), 1e-20)
        passed = edm.c_skip(level, data) * residual
        if kind == "x":
            return known / (data * fade)
        output = (known - passed) / (edm.c_out(level, data) * fade)
        return output if kind == "edm" else jnp.concatenate([output, 0.0 * output], axis=-1)

    noisy = MEAN + NOISY * (1.0 if sigma == jnp.inf else np.hypot(s, sigma))
    drawn = estimate(ideal, noisy, jnp.full(SHAPE[:2], sigma), data, MEAN, kind, horizon=horizon)
    gain = 0.0 if sigma == jnp.inf else s**2 / (s**2 + sigma**2)
    np.testing.assert_allclose(drawn, MEAN + gain * (noisy - MEAN), atol=1e-5)


log_normal_sigma = jax.jit(edm.log_normal_sigma, static_argnums=(1, 2, 3))


def test_each_batch_of_noise_levels_is_stratified():
    """One level in each of as many equal shares of the distribution, in no order."""
    log = np.log(log_normal_sigma(jax.random.key(0), (4, 5), -1.0, 2.0)).ravel()
    share = np.array([0.5 * (1.0 + math.erf((x + 1.0) / 2.0 / math.sqrt(2.0))) for x in log])
    np.testing.assert_array_equal(np.sort(np.floor(share * 20)), np.arange(20))
    assert np.any(np.diff(log) < 0.0)


def test_noise_levels_of_training_are_log_normal():
    log = np.log(log_normal_sigma(jax.random.key(0), (100, 200), -1.2, 0.7))
    assert log.mean() == pytest.approx(-1.2, abs=0.02)
    assert log.std() == pytest.approx(0.7, abs=0.02)
    third = ((log - log.mean()) ** 3).mean() / log.std() ** 3
    assert third == pytest.approx(0.0, abs=0.06)
    assert len(np.unique(log)) > 19_000
