import jax
import jax.numpy as jnp
import numpy as np
import pytest

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
        edm.loss_weight: variance / (SIGMAS * data) ** 2,
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
    assert float(edm.loss_weight(one, 0.5)[0]) == pytest.approx(5.0)


@pytest.mark.parametrize("center", [0.0, 3.0])
@pytest.mark.parametrize("sigma", [0.01, 0.3, 5.0])
def test_network_input_and_target_have_unit_variance(sigma, center):
    data = 0.3
    rng = np.random.default_rng(0)
    clean = jnp.asarray(center + data * rng.normal(size=(200, 10, 10, 1)), jnp.float32)
    noisy = clean + sigma * jnp.asarray(rng.normal(size=clean.shape), jnp.float32)
    level = jnp.full(200, sigma)
    seen = []

    def network(scaled, noise):
        seen.append((scaled, noise))
        return jnp.zeros_like(scaled)

    floor = edm.precondition(network, noisy, level, data, center)
    unit = edm.precondition(lambda x, _: jnp.ones_like(x), noisy, level, data, center) - floor
    target = (clean - floor) / unit  # the output that would make the estimate the clean data
    (scaled, noise), *_ = seen
    assert float(jnp.std(scaled)) == pytest.approx(1.0, abs=0.03)
    assert float(jnp.std(target)) == pytest.approx(1.0, abs=0.03)
    assert float(jnp.mean(scaled)) == pytest.approx(0.0, abs=0.03)
    np.testing.assert_allclose(noise, np.log(sigma) / 4, rtol=1e-5)
    # Weighted, the error of the estimate is the error of the network.
    weighted = edm.loss_weight(level, data)[:, None, None, None] * jnp.square(clean - floor)
    np.testing.assert_allclose(weighted, jnp.square(target), rtol=2e-2, atol=1e-3)


def test_the_center_moves_with_the_data():
    keys = jax.random.split(jax.random.key(0), 3)
    noisy, center = (jax.random.normal(k, (2, 3, 4, 4, 1)) for k in keys[:2])
    sigma = jnp.exp(jax.random.normal(keys[2], (2, 3)))

    def estimate(noisy, center):
        return edm.precondition(
            lambda x, noise: jnp.tanh(x) * noise[..., None, None, None], noisy, sigma, 0.5, center
        )

    np.testing.assert_allclose(
        estimate(noisy + center, center), center + estimate(noisy, 0.0), atol=1e-5
    )
    assert np.abs(estimate(noisy + center, 0.0) - estimate(noisy + center, center)).max() > 0.1


def test_noise_levels_of_training_are_log_normal():
    log = np.log(edm.log_normal_sigma(jax.random.key(0), (100, 200), -1.2, 0.7))
    assert log.mean() == pytest.approx(-1.2, abs=0.02)
    assert log.std() == pytest.approx(0.7, abs=0.02)
    third = ((log - log.mean()) ** 3).mean() / log.std() ** 3
    assert third == pytest.approx(0.0, abs=0.06)
    assert len(np.unique(log)) > 19_000
