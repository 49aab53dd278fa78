import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from vdd.diffusion import edm, samplers
from vdd.diffusion.samplers import Sampler

MEAN = np.array([0.7, -1.5])
COVARIANCE = np.array([[1.0, 0.6], [0.6, 0.5]])
NAMES = list(samplers.SAMPLERS)

# In one program each: without, every operation would be compiled alone.
sample = jax.jit(samplers.sample, static_argnames=("sampler", "denoise", "callback"))
levels = jax.jit(edm.levels, static_argnums=(0, 1, 2, 3))


def ideal(x, sigma):
    """The ideal denoiser of N(MEAN, COVARIANCE): the mean of the clean data given the noisy."""
    mean, covariance = jnp.asarray(MEAN[None], x.dtype), jnp.asarray(COVARIANCE, x.dtype)
    gain = covariance @ jnp.linalg.inv(covariance + sigma**2 * jnp.eye(2))
    return mean + (x - mean) @ gain.T


def flow(x, start, end):
    """Exact solution of the probability-flow ODE of N(MEAN, COVARIANCE) from sigma start to end."""
    variance, axes = np.linalg.eigh(COVARIANCE)
    shrink = np.sqrt((variance + end**2) / (variance + start**2))
    return MEAN + (x - MEAN) @ axes @ np.diag(shrink) @ axes.T


@pytest.mark.parametrize(("name", "steps"), [("euler", 400), ("heun", 80), ("dpmpp_2m", 80)])
def test_mean_and_covariance_of_gaussian_data(name, steps):
    mean = np.broadcast_to(MEAN, (6000, 2)).astype(np.float32)
    x = sample(Sampler(name, steps), ideal, jax.random.key(0), mean)
    np.testing.assert_allclose(np.mean(x, 0), MEAN, atol=0.05)
    np.testing.assert_allclose(np.cov(x, rowvar=False), COVARIANCE, atol=0.06)


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("heun", 2), ("dpmpp_2m", 2)])
def test_order_of_convergence(name, order):
    """Twice the steps, half the error or a quarter of it, against the analytic solution."""
    start = MEAN + 10.0 * np.random.default_rng(0).normal(size=(16, 2))

    def error(steps):
        levels = edm.levels(steps, 0.02, 10.0, 3.0)
        x = samplers.SAMPLERS[name](ideal, jnp.asarray(start), levels)
        end = ideal(flow(start, 10.0, 0.02), 0.02)  # the last step is one call of the denoiser
        return float(jnp.abs(x - end).max())

    with jax.enable_x64(True):
        ratio = error(64) / error(128)
    assert 2**order * 0.85 < ratio < 2**order * 1.2


@pytest.mark.parametrize("steps", [2, 5, 18])
def test_noise_levels(steps):
    """Eq. 5 of the EDM paper."""
    low, high, rho = 0.01, 60.0, 5.0
    i = np.arange(steps)
    expected = (high ** (1 / rho) + i / (steps - 1) * (low ** (1 / rho) - high ** (1 / rho))) ** rho
    actual = levels(steps, low, high, rho)
    np.testing.assert_allclose(actual, np.append(expected, 0.0), rtol=1e-4)


def denoiser(x, sigma):
    """Smooth and nothing like linear."""
    return np.tanh(x) / (1.0 + sigma) + 0.3 * np.cos(3.0 * x)


def traced(x, sigma):
    return jnp.tanh(x) / (1.0 + sigma) + 0.3 * jnp.cos(3.0 * x)


def by_hand(name, x, sigmas):
    """The samplers as the papers write them, in a plain loop."""
    t = -np.log(sigmas[:-1])
    previous = None
    for i in range(len(sigmas) - 1):
        now, then = sigmas[i], sigmas[i + 1]
        estimate = denoiser(x, now)
        if name == "dpmpp_2m" and then > 0:  # algorithm 2, with alpha = 1 and lambda = -ln sigma
            h = t[i + 1] - t[i]
            direction = estimate
            if previous is not None:
                r = (t[i] - t[i - 1]) / h
                direction = (1 + 1 / (2 * r)) * estimate - 1 / (2 * r) * previous
            x, previous = then / now * x - (np.exp(-h) - 1) * direction, estimate
            continue
        slope = (x - estimate) / now
        ahead = x + (then - now) * slope
        if name == "heun" and then > 0:  # algorithm 1
            ahead = x + (then - now) * (slope / 2 + (ahead - denoiser(ahead, then)) / then / 2)
        x = ahead
    return x


@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("name", NAMES)
def test_same_as_a_plain_loop(name, steps):
    sampler = Sampler(name, steps, 0.05, 4.0, 3.0)
    sigmas = np.asarray(
        levels(sampler.steps, sampler.sigma_min, sampler.sigma_max, sampler.rho), np.float64
    )
    start = sigmas[0] * np.random.default_rng(0).normal(size=(5, 3))
    actual = samplers.SAMPLERS[name](traced, jnp.asarray(start), jnp.asarray(sigmas))
    np.testing.assert_allclose(actual, by_hand(name, start, sigmas), atol=3e-5)


@pytest.mark.parametrize("steps", [1, 2, 6])
@pytest.mark.parametrize("name", NAMES)
def test_nfe_counts_the_calls(name, steps):
    calls = []

    def counting(x, sigma):
        jax.debug.callback(lambda s: calls.append(float(s)), sigma)
        return x / (1.0 + sigma)

    sampler = Sampler(name, steps)
    jax.block_until_ready(samplers.sample(sampler, counting, jax.random.key(0), jnp.zeros((2, 1))))
    jax.effects_barrier()
    assert len(calls) == sampler.nfe
    assert max(calls) == pytest.approx(80.0)
    assert min(calls) == pytest.approx(0.002 if steps > 1 else 80.0, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite(name):
    def drawn(scale):
        def denoise(x, sigma):
            return scale * x / (1.0 + sigma)

        zero = jnp.zeros((2, 1))
        return samplers.sample(Sampler(name, 3), denoise, jax.random.key(0), zero).sum()

    gradient = jax.jit(jax.grad(drawn))(0.5)
    assert np.isfinite(gradient)
    assert gradient != 0.0


def test_keys_by_example_make_them_independent_of_the_batch():
    keys = jax.random.split(jax.random.key(0), 4)
    batch = sample(Sampler("heun", 2), ideal, keys, jnp.zeros((4, 2)))
    alone = sample(Sampler("heun", 2), ideal, keys[2:3], jnp.zeros((1, 2)))
    batch = np.asarray(batch)
    np.testing.assert_allclose(batch[2], np.asarray(alone)[0], atol=1e-6)
    assert len(np.unique(np.round(batch[:, 0], 4))) == 4


def test_what_is_drawn_moves_with_its_mean():
    """Around a mean, the noise too: data moved by c are drawn as the data, moved by c."""
    center = np.array([[30.0, -20.0]], np.float32)

    def moved(x, sigma):
        return center + ideal(x - center, sigma)

    sampler = Sampler("heun", 4, 0.01, 2.0)
    plain = sample(sampler, ideal, jax.random.key(0), jnp.zeros((8, 2)))
    around = sample(sampler, moved, jax.random.key(0), np.tile(center, (8, 1)))
    np.testing.assert_allclose(around, np.asarray(plain) + center, atol=1e-4)


def test_wrong_samplers_are_refused():
    with pytest.raises(ValueError, match="unknown sampler 'ddim'"):
        Sampler("ddim")
    with pytest.raises(ValueError, match="at least 1 step"):
        Sampler("heun", 0)
    with pytest.raises(ValueError, match="'mean' takes no steps"):
        Sampler("mean", 2)
    for levels in ((0.0, 1.0), (2.0, 1.0), (0.1, np.inf), (0.1, 1.0, 0.0)):
        with pytest.raises(ValueError, match="they are to fall"):
            Sampler("heun", 2, *levels)
    assert hash(Sampler("heun", 3)) == hash(Sampler("heun", 3))


def test_the_mean_takes_no_steps_and_no_noise():
    def never(x, sigma):
        raise AssertionError

    sampler, mean = Sampler("mean", 0), jnp.ones((3, 2))
    np.testing.assert_array_equal(samplers.sample(sampler, never, jax.random.key(0), mean), mean)
    assert sampler.nfe == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_callback_bends_every_estimate(name):
    sampler, zero = Sampler(name, 3), jnp.zeros((4, 2))
    seen = []

    def callback(noisy, sigma, denoised):
        seen.append((noisy.shape, sigma.shape))
        return denoised + 1.0

    def moved(x, sigma):
        return ideal(x, sigma) + 1.0

    bent = sample(sampler, ideal, jax.random.key(0), zero, callback)
    np.testing.assert_allclose(bent, sample(sampler, moved, jax.random.key(0), zero), atol=1e-5)
    assert set(seen) == {((4, 2), ())}


def test_guidance_moves_away_from_the_unconditional_estimate():
    x, sigma = jnp.ones((1, 2)), jnp.float32(0.5)

    def without(x, sigma):
        return 0.5 * x

    guided = samplers.guide(ideal, without, 3.0)(x, sigma)
    np.testing.assert_allclose(guided, 3.0 * ideal(x, sigma) - 2.0 * 0.5 * x, rtol=1e-6)
    assert samplers.guide(ideal, without, 1.0) is ideal
    assert Sampler("heun", 3, guidance=2.0).nfe == 2 * Sampler("heun", 3).nfe


def test_steps_and_calls_of_the_network_are_told_apart():
    assert Sampler("heun", 5).told == "5 sampler steps (9 network evaluations)"
    assert Sampler("heun", 1).told == "1 sampler step (1 network evaluation)"
    assert Sampler("euler", 1, guidance=2.0).told == "1 sampler step (2 network evaluations)"
    assert Sampler("mean", 0).told == "the mean"


def test_presets_and_steps_are_chosen():
    settings = ConfigDict(
        {
            "sampler": {"name": "mean", "steps": 0, "sigma_max": 3.0, "rho": 5.0},
            "sharp": {"name": "heun", "steps": 8, "rho": 3.0},
        }
    )
    chosen = [
        samplers.choose(settings, *choice)
        for choice in ((), ("sharp",), ("sampler", 4), ("sharp", 4), ("sharp", 0))
    ]
    common = {"sigma_max": 3.0}
    assert chosen == [
        Sampler("mean", 0, **common, rho=5.0), Sampler("heun", 8, **common, rho=3.0),
        Sampler("heun", 4, **common, rho=3.0), Sampler("heun", 4, **common, rho=3.0),
        Sampler("mean", 0, **common, rho=3.0),
    ]  # fmt: skip
