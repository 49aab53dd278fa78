import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import normal, perturbed

from vdd.models.encoder import Encoder

TOKENS = 3
ENCODER = Encoder(
    stem=(8,), width=16, num_layers=2, num_heads=2, mlp_dim=16, num_content_tokens=TOKENS
)
LATENTS = normal(0, 2, 5, 4, 4, 6)
SHAPES = jax.eval_shape(ENCODER.init, jax.random.key(0), LATENTS)["params"]
PARAMS = perturbed(SHAPES)


@jax.jit
def encode(params, latents):
    return ENCODER.apply({"params": params}, latents)


@pytest.fixture(scope="module")
def features():
    return encode(PARAMS, LATENTS)


def without_positions(params):
    t5 = {**params["t5"], "relative_bias": jnp.zeros_like(params["t5"]["relative_bias"])}
    return {**params, "t5": t5}


@pytest.mark.parametrize("frames", [1, 2, 70])
def test_any_number_of_frames(frames):
    out = encode(PARAMS, normal(0, 1, frames, 4, 4, 6))
    assert out.content.shape == (1, TOKENS, 16)
    assert out.motion.shape == (1, frames, 16)
    assert np.isfinite(out.content).all()


def test_a_clip_does_not_depend_on_its_batch(features):
    for i in range(2):
        alone = encode(PARAMS, LATENTS[i : i + 1])
        np.testing.assert_allclose(alone.content[0], features.content[i], atol=1e-5)
        np.testing.assert_allclose(alone.motion[0], features.motion[i], atol=1e-5)
    assert np.abs(features.content[0] - features.content[1]).max() > 1e-2


def test_every_output_reads_every_frame_of_its_clip():
    @jax.jit
    @jax.jacrev
    def by_latents(latents):
        out = ENCODER.apply({"params": PARAMS}, latents)
        return jnp.concatenate(out, axis=1)[0, :, :3].sum(-1)

    gradient = np.abs(by_latents(LATENTS)).max((3, 4, 5))  # output, clip, frame
    assert gradient.shape == (TOKENS + 5, 2, 5)
    assert (gradient[:, 0] > 1e-6).all()
    assert (gradient[:, 1] == 0).all()


def test_content_queries_tell_the_content_tokens_apart(features):
    same = {**PARAMS, "content_queries": jnp.ones((TOKENS, 16))}
    alike = encode(without_positions(same), LATENTS).content
    np.testing.assert_allclose(alike[:, 0], alike[:, 1], atol=1e-5)
    assert np.abs(features.content[:, 0] - features.content[:, 1]).max() > 1e-2


def test_without_positions_frames_and_queries_may_be_shuffled():
    order, queries = np.array([3, 0, 4, 1, 2]), np.array([2, 0, 1])
    params = without_positions(PARAMS)
    plain = encode(params, LATENTS)
    shuffled = encode(
        {**params, "content_queries": params["content_queries"][queries]}, LATENTS[:, order]
    )
    np.testing.assert_allclose(shuffled.motion, plain.motion[:, order], atol=1e-5)
    np.testing.assert_allclose(shuffled.content, plain.content[:, queries], atol=1e-5)


def test_positions_tell_the_order_of_frames(features):
    order = np.array([3, 0, 4, 1, 2])
    shuffled = encode(PARAMS, LATENTS[:, order])
    assert np.abs(shuffled.motion - features.motion[:, order]).max() > 1e-2


def test_the_stem_knows_places_within_the_frame():
    mirrored = encode(PARAMS, LATENTS[:, :, :, ::-1])
    assert np.abs(mirrored.motion - encode(PARAMS, LATENTS).motion).max() > 1e-2
