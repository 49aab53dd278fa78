import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import SIZE, call, get_model, random_video

from vdd import apply
from vdd.diffusion.samplers import Sampler
from vdd.method.disentangler import Disentangler

SAMPLER = Sampler("heun", 2, 0.05, 2.0)
VIDEO = random_video(3, 4)
KEY = jax.random.key(0)


encode = jax.jit(apply.encode, static_argnums=0)
sample = jax.jit(apply.sample, static_argnums=(0, 5, 6))
denoise = jax.jit(apply.denoise, static_argnums=0)
content_bits = jax.jit(apply.content_bits, static_argnums=0)
transfer = jax.jit(apply.transfer, static_argnums=(0, 5))


@pytest.fixture(scope="module")
def model_and_params():
    return get_model(frames=3)


@pytest.fixture(scope="module")
def encoding(model_and_params):
    return encode(*model_and_params, VIDEO)


def test_shapes(encoding):
    assert encoding.content.shape == (3, 2, 4)
    assert encoding.motion.shape == (3, 4, 8)
    assert encoding.codes.shape == (3, 4, 2)
    assert jnp.issubdtype(encoding.codes.dtype, jnp.integer)


def test_encode_takes_uint8_and_float_alike(model_and_params, encoding):
    floats = VIDEO.astype(np.float32) / 127.5 - 1.0
    other = encode(*model_and_params, floats)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), encoding, other)


def test_codes_quantised_motion_and_lookup_agree(model_and_params, encoding):
    again = jax.jit(apply.quantize, static_argnums=0)(*model_and_params, encoding.motion)
    np.testing.assert_array_equal(again.codes, encoding.codes)
    np.testing.assert_allclose(again.quantized, encoding.motion, atol=1e-5)
    found = jax.jit(apply.lookup, static_argnums=0)(*model_and_params, encoding.codes)
    np.testing.assert_allclose(found, encoding.motion, atol=1e-5)


def test_functions_give_the_same_without_jit(model_and_params, encoding):
    eager = apply.encode(*model_and_params, VIDEO)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), encoding, eager)


def test_functions_are_fit_for_vmap(model_and_params, encoding):
    model, params = model_and_params
    one = jax.vmap(lambda video: apply.encode(model, params, video[None]))
    mapped = jax.jit(one)(VIDEO)
    np.testing.assert_allclose(mapped.content[:, 0], encoding.content, atol=1e-5)
    np.testing.assert_array_equal(mapped.codes[:, 0], encoding.codes)

    def draw(key, content, motion):
        return apply.sample(model, params, key, content[None], motion[None], SAMPLER)[0]

    keys = jax.random.split(KEY, 3)
    mapped = jax.jit(jax.vmap(draw))(keys[:, None], encoding.content, encoding.motion)
    batch = sample(*model_and_params, keys, encoding.content, encoding.motion, SAMPLER)
    np.testing.assert_allclose(mapped, batch, atol=1e-4)


def test_functions_are_fit_for_grad(model_and_params, encoding):
    model, params = model_and_params

    def brightness(content, motion):
        return apply.sample(model, params, KEY, content, motion, SAMPLER).mean()

    gradients = jax.jit(jax.grad(brightness, argnums=(0, 1)))(encoding.content, encoding.motion)
    for gradient in gradients:
        assert np.isfinite(gradient).all()
        assert gradient.any()
    floats = VIDEO.astype(np.float32) / 127.5 - 1.0
    by_video = jax.jit(jax.grad(lambda v: encode(model, params, v).content[0].sum()))(floats)
    assert by_video[0].any()
    assert not by_video[1:].any()


@pytest.mark.parametrize("frames", [1, 11])
def test_any_number_of_frames(model_and_params, frames):
    content_video, motion_video = random_video(2, 5), random_video(2, frames)
    video = transfer(*model_and_params, KEY, content_video, motion_video, SAMPLER)
    assert video.shape == (2, frames, *SIZE)
    assert video.dtype == jnp.float32
    assert np.abs(video).max() <= 1.0
    assert np.isfinite(video).all()
    assert encode(*model_and_params, motion_video).codes.shape == (2, frames, 2)


def test_transfer_is_encode_and_sample(model_and_params, encoding):
    other = encode(*model_and_params, VIDEO[::-1])
    expected = sample(*model_and_params, KEY, encoding.content, other.motion, SAMPLER)
    video = transfer(*model_and_params, KEY, VIDEO, VIDEO[::-1], SAMPLER)
    np.testing.assert_allclose(video, expected, atol=1e-4)
    swapped = transfer(*model_and_params, KEY, VIDEO[::-1], VIDEO, SAMPLER)
    assert np.abs(video - swapped).max() > 1e-2


def test_a_key_by_clip_makes_samples_independent_of_the_batch(model_and_params, encoding):
    keys = jax.random.split(KEY, 3)
    batch = sample(*model_and_params, keys, encoding.content, encoding.motion, SAMPLER)
    for i in range(3):
        one = slice(i, i + 1)
        alone = sample(
            *model_and_params, keys[one], encoding.content[one], encoding.motion[one], SAMPLER
        )
        np.testing.assert_allclose(alone[0], batch[i], atol=1e-3)


def test_the_key_decides_the_sample(model_and_params, encoding):
    def draw(seed):
        key = jax.random.key(seed)
        return sample(*model_and_params, key, encoding.content, encoding.motion, SAMPLER)

    np.testing.assert_array_equal(draw(0), draw(0))
    assert np.abs(draw(0) - draw(1)).max() > 1e-2


def test_raw_and_quantised_motion_sample_alike(model_and_params, encoding):
    model, params = model_and_params
    latents = call(model, params, Disentangler.to_latents, VIDEO)
    raw = call(model, params, Disentangler.read, latents).motion
    a, b = (
        sample(model, params, KEY, encoding.content, motion, SAMPLER)
        for motion in (raw, encoding.motion)
    )
    np.testing.assert_allclose(a, b, atol=1e-4)
    sigma = jnp.full(VIDEO.shape[:2], 0.3)
    a, b = (
        denoise(model, params, latents, sigma, encoding.content, motion)
        for motion in (raw, encoding.motion)
    )
    np.testing.assert_allclose(a, b, atol=1e-4)
    assert a.shape == latents.shape


MEAN = Sampler("mean", 0)


def test_one_step_from_no_noise_gives_the_mean(encoding):
    """At vanishing noise around the mean, what is drawn is the mean, if nothing else is seen."""
    still, blind = Sampler("euler", 1, 1e-4, 1e-4), get_model({"model.denoiser.sight": 0})
    video = sample(*blind, KEY, encoding.content, encoding.motion, still)
    mean = sample(*blind, KEY, encoding.content, encoding.motion, MEAN)
    np.testing.assert_allclose(video, mean, atol=1e-2)


def test_the_mean_is_what_is_left_of_infinite_noise(model_and_params, encoding):
    model, params = model_and_params
    latents = call(model, params, Disentangler.to_latents, VIDEO)
    endless = jnp.full(VIDEO.shape[:2], jnp.inf)
    content, motion = encoding.content, encoding.motion
    denoised = denoise(model, params, latents, endless, content, motion)
    video = call(model, params, Disentangler.to_video, denoised)
    mean = sample(*model_and_params, jax.random.key(7), content, motion, MEAN)
    np.testing.assert_allclose(video, mean, atol=1e-5)


def test_guidance_is_against_withheld_content(model_and_params, encoding):
    guided = dataclasses.replace(SAMPLER, guidance=3.0)
    content, motion = encoding.content, encoding.motion
    plain, strong = (sample(*model_and_params, KEY, content, motion, s) for s in (SAMPLER, guided))
    assert np.abs(plain - strong).max() > 1e-2
    # There is nothing to move away from where content is withheld already.
    nothing = jnp.zeros_like(content)
    plain, strong = (sample(*model_and_params, KEY, nothing, motion, s) for s in (SAMPLER, guided))
    np.testing.assert_allclose(plain, strong, atol=1e-4)


def test_a_callback_bends_the_estimates(model_and_params, encoding):
    model, params = model_and_params

    def darker(noisy, sigma, denoised):
        return denoised - 1.0

    code = (encoding.content, encoding.motion)
    plain = sample(model, params, KEY, *code, SAMPLER)
    bent = sample(model, params, KEY, *code, SAMPLER, darker)
    assert bent.mean() < plain.mean() - 0.1


def test_content_bits_are_per_clip(model_and_params):
    bits = content_bits(*model_and_params, VIDEO)
    assert bits.shape == (3,)
    assert (bits > 0).all()
    np.testing.assert_allclose(content_bits(*model_and_params, VIDEO[1:2]), bits[1:2], rtol=1e-4)


def test_equal_samplers_share_a_program():
    traced, other = [], dataclasses.replace(SAMPLER, steps=SAMPLER.steps + 1)

    @partial(jax.jit, static_argnums=0)
    def double(sampler, x):
        traced.append(sampler)
        return 2 * x

    for sampler in (SAMPLER, dataclasses.replace(SAMPLER), other):
        double(sampler, 1.0)
    assert traced == [SAMPLER, other]
