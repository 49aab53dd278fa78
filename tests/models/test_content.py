import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from vdd.models.content import GaussianContent, divergence_bits

BOTTLENECK = GaussianContent(dim=3)
FEATURES = jax.random.normal(jax.random.key(0), (5, 2, 6))
VARIABLES = BOTTLENECK.init(jax.random.key(1), FEATURES)


def test_content_is_random_with_a_key_only():
    plain, again = (BOTTLENECK.apply(VARIABLES, FEATURES) for _ in range(2))
    a, b = (BOTTLENECK.apply(VARIABLES, FEATURES, jax.random.key(i)) for i in (1, 2))
    assert plain.tokens.shape == (5, 2, 3)
    np.testing.assert_array_equal(plain.tokens, again.tokens)
    assert np.all(a.tokens != b.tokens)
    np.testing.assert_array_equal(plain.bits, a.bits)
    assert np.all(plain.bits > 0.0)


def test_divergence_bits():
    rng = np.random.default_rng(0)
    mean, log_std = rng.normal(size=(2, 2, 3)), rng.normal(size=(2, 2, 3)) * 0.5 - 1.0
    draws = mean + np.exp(log_std) * rng.normal(size=(40_000, 2, 2, 3))
    posterior = scipy.stats.norm(mean, np.exp(log_std)).logpdf(draws)
    nats = (posterior - scipy.stats.norm.logpdf(draws)).sum((-1, -2)).mean(0)
    actual = divergence_bits(jnp.asarray(mean), jnp.asarray(log_std))
    np.testing.assert_allclose(actual, nats / np.log(2.0), rtol=0.02)


def test_content_at_the_prior_is_free():
    zeros = jnp.zeros((3, 2, 4))
    np.testing.assert_array_equal(divergence_bits(zeros, zeros), np.zeros(3))


def test_a_posterior_starts_narrow_is_bounded_and_is_drawn_from():
    def draws(bias):
        kernel = jnp.zeros_like(VARIABLES["params"]["posterior"]["kernel"])
        bias = jnp.asarray([1.0, -2.0, 0.0, bias, bias, bias])
        variables = {"params": {"posterior": {"kernel": kernel, "bias": bias}}}
        features = jnp.zeros((4000, 1, 6))
        return BOTTLENECK.apply(variables, features, jax.random.key(0)).tokens[:, 0]

    for bias, log_std in ((0.0, -2.0), (1.0, -1.0), (99.0, 2.0), (-99.0, -8.0)):
        std = np.exp(log_std)
        np.testing.assert_allclose(draws(bias).std(0), std, rtol=0.05)
        np.testing.assert_allclose(draws(bias).mean(0), [1.0, -2.0, 0.0], atol=0.08 * std + 1e-6)
