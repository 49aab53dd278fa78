import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
import scipy.special
import scipy.stats
from tiny import call, normal

from vdd.method.content import (
    ContentCode,
    GaussianContent,
    ReferenceContent,
    divergence_bits,
    picture_basis,
)

BOTTLENECK = GaussianContent(dim=3)
FEATURES = normal(0, 5, 2, 6)
VARIABLES = jax.jit(BOTTLENECK.init)(jax.random.key(1), FEATURES)


def test_content_is_random_with_a_key_only():
    apply = jax.jit(BOTTLENECK.apply)
    plain, again = (jax.device_get(apply(VARIABLES, FEATURES)) for _ in range(2))
    a, b = (jax.device_get(apply(VARIABLES, FEATURES, jax.random.key(i))) for i in (1, 2))
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
    actual = jax.jit(divergence_bits)(mean, log_std)
    np.testing.assert_allclose(actual, nats / np.log(2.0), rtol=0.02)


def test_content_at_the_prior_is_free():
    zeros = np.zeros((3, 2, 4))
    np.testing.assert_array_equal(jax.jit(divergence_bits)(zeros, zeros), np.zeros(3))


def test_a_posterior_starts_narrow_is_bounded_and_is_drawn_from():
    def draws(bias):
        kernel = np.zeros(VARIABLES["params"]["posterior"]["kernel"].shape)
        bias = np.array([1.0, -2.0, 0.0, bias, bias, bias])
        variables = {"params": {"posterior": {"kernel": kernel, "bias": bias}}}
        drawn = jax.jit(BOTTLENECK.apply)(variables, np.zeros((4000, 1, 6)), jax.random.key(0))
        return np.asarray(drawn.tokens)[:, 0]

    for bias, log_std in ((0.0, -2.0), (1.0, -1.0), (99.0, 2.0), (-99.0, -8.0)):
        drawn, std = draws(bias), np.exp(log_std)
        np.testing.assert_allclose(drawn.std(0), std, rtol=0.05)
        np.testing.assert_allclose(drawn.mean(0), [1.0, -2.0, 0.0], atol=0.08 * std + 1e-6)


CODE = ContentCode(num_numbers=4, width=16, shape=(2, 3))
TOKENS = jnp.asarray(3.0 * np.asarray(normal(2, 40, 2, 3)))
CODE_VARIABLES = jax.jit(CODE.init)(jax.random.key(3), TOKENS)


def coded(method, *args):
    return np.asarray(call(CODE, CODE_VARIABLES["params"], method, *args))


def test_a_content_code_is_made_of_whole_numbers():
    numbers = coded("to_numbers", TOKENS)
    assert numbers.shape == (40, 4)
    assert np.abs(numbers).max() <= CODE.reach
    assert len(np.unique(np.round(numbers), axis=0)) > 4
    content = call(CODE, CODE_VARIABLES["params"], None, TOKENS)
    np.testing.assert_array_equal(content.tokens, coded("to_tokens", np.round(numbers)))
    np.testing.assert_array_equal(content.bits, coded("bits", np.round(numbers)))


def test_numbers_cost_what_their_prior_says():
    rng = np.random.default_rng(0)
    numbers = rng.integers(-6, 7, (50, 4)).astype(np.float32)
    mean, scale = rng.uniform(-6, 6, (4, 8)), np.exp(rng.uniform(-2, 1, (4, 8)))
    logit = rng.normal(size=(4, 8))
    prior = {
        "prior_mean": mean / CODE.reach,
        "prior_log_scale": np.log(scale) / 8.0,
        "prior_logit": logit / 8.0,
    }
    modes = scipy.stats.logistic.cdf(numbers[..., None] + 0.5, mean, scale)
    modes -= scipy.stats.logistic.cdf(numbers[..., None] - 0.5, mean, scale)
    expected = -np.log2((scipy.special.softmax(logit, -1) * modes).sum(-1)).sum(-1)
    actual = call(CODE, {**CODE_VARIABLES["params"], **prior}, "bits", numbers)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_the_prior_of_numbers_starts_even():
    values = np.arange(-CODE.reach, CODE.reach + 1.0, dtype=np.float32)
    shares = 2.0 ** (-coded("bits", np.tile(values[:, None], (1, 4))) / 4)
    assert 0.9 < shares.sum() <= 1.0
    assert shares.max() < 2.1 * shares.min()


def test_noise_of_a_reference_lies_in_a_basis_of_its_own():
    """What passes is places -> basis -> noise -> back, and the pose as it is."""
    content, features = ReferenceContent(3, pose_bits=5.0), normal(0, 2, 5, 3)
    params = jax.jit(content.init)(jax.random.key(0), features)["params"]
    basis, back = normal(1, 3, 3), normal(2, 3, 3)
    params = {**params, "basis": {**params["basis"], "kernel": basis}}
    params["back"] = {**params["back"], "kernel": back}
    places, pose = features[:, :-1], features[:, -1:]

    plain = content.apply({"params": params}, features)
    np.testing.assert_allclose(plain.tokens[:, :-1], places @ basis @ back, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(plain.tokens[:, -1:], pose)
    mean = jnp.asarray(places @ basis)
    log_std = np.log(0.04 / picture_basis((1, 1, 3), 3)[1])
    bits = divergence_bits(mean, jnp.broadcast_to(log_std[None, None], mean.shape)) + 5.0
    np.testing.assert_allclose(plain.bits, bits, rtol=1e-4)

    draw = jax.jit(jax.vmap(lambda key: content.apply({"params": params}, features, key).tokens))
    noise = np.asarray(draw(jax.random.split(jax.random.key(3), 4000)) - plain.tokens[None])
    np.testing.assert_array_equal(noise[:, :, -1], 0.0)
    seen = np.cov(noise[:, 0, 0].T)
    expected = np.asarray(back).T @ np.diag(np.exp(2 * log_std)) @ np.asarray(back)
    np.testing.assert_allclose(seen, expected, atol=0.1 * np.abs(expected).max())


def test_pictures_are_coded_in_an_orthonormal_basis():
    for patch, channels, dim in ((8, 3, 192), (4, 3, 48), (2, 3, 17), (1, 4, 4), (2, 4, 16)):
        basis, scale = picture_basis((patch, patch, channels), dim)
        np.testing.assert_allclose(basis.T @ basis, np.eye(dim), atol=1e-9)
        assert scale.shape == (dim,)
        assert scale.min() > 0.0


def test_the_basis_is_a_cosine_transform_of_brightness_and_colour():
    rng = np.random.default_rng(0)
    patch = rng.normal(size=(8, 8, 3))
    basis, _ = picture_basis((8, 8, 3), 192)
    found = (patch.reshape(-1) @ basis).reshape(8, 8, 3)
    brightness = scipy.fft.dctn(patch.sum(-1) / np.sqrt(3), norm="ortho")
    np.testing.assert_allclose(found[..., 0], brightness, atol=1e-9)
    grey = np.repeat(patch[..., :1], 3, axis=-1)
    np.testing.assert_allclose((grey.reshape(-1) @ basis).reshape(8, 8, 3)[..., 1:], 0, atol=1e-9)


def test_numbers_beside_the_pixels_are_no_pixels():
    """A flat grey place is one number, whatever else there is room for."""
    for dim in (192, 256, 300):
        basis, _ = picture_basis((8, 8, 3), dim)
        place = np.concatenate([np.ones(192), np.zeros(dim - 192)])
        assert np.sum(np.abs(place @ basis) > 1e-9) == 1


def test_a_picture_passes_a_fresh_bottleneck_with_the_same_noise_in_all_pixels():
    content = ReferenceContent(12, pose_bits=0.0, place=(2, 2, 3))
    features = normal(0, 2, 5, 12)
    params = jax.jit(content.init)(jax.random.key(0), features)
    plain = content.apply(params, features)
    np.testing.assert_allclose(plain.tokens, features, atol=1e-5)
    draw = jax.jit(jax.vmap(lambda key: content.apply(params, features, key).tokens))
    noise = draw(jax.random.split(jax.random.key(1), 2000))[:, :, :-1] - plain.tokens[None, :, :-1]
    np.testing.assert_allclose(noise.std(axis=(0, 1, 2)), 0.04, rtol=0.05)
