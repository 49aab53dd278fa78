import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import get_config, normal, perturbed

from vdd.models.denoiser import Denoiser

SHAPE = (4, 4, 12)
CONTENT = normal(0, 2, 2, 4)
MOTION = normal(1, 2, 3, 8)
NOISY = normal(2, 2, 3, *SHAPE)
LEVELS = jnp.asarray(np.exp(normal(3, 2, 3)))
DIT = {
    "kind": "dit", "patch": 2, "width": 8, "depth": 1, "num_heads": 2, "mlp_ratio": 2,
    "content_tokens": True, "content_map": 0,
}  # fmt: skip


def denoiser(kind="unet", prediction="gated", readout=True) -> Denoiser:
    fields = get_config().model.denoiser.to_dict()
    fields["prediction"] = prediction
    if kind == "dit":
        fields["network"] = DIT
    if not readout:
        fields.update(readout=None, sight=0)
    return Denoiser.from_config(fields, SHAPE, jnp.dtype("float32"))


@functools.cache
def params_of(network, perturb=True):
    init = functools.partial(network.init, jax.random.key(0))
    if not perturb:
        return jax.jit(init)(NOISY, LEVELS, CONTENT, MOTION)["params"]
    return perturbed(jax.eval_shape(init, NOISY, LEVELS, CONTENT, MOTION)["params"])


@functools.partial(jax.jit, static_argnums=(0, 1))
def run(network, method, params, *inputs):
    return network.apply({"params": params}, *inputs, method=method)


KINDS = [("unet", "gated", True), ("unet", "edm", False), ("dit", "x", True), ("dit", "edm", False)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_at_infinite_noise_is_the_mean(kind):
    network = denoiser(*kind)
    params = params_of(network)
    mean = run(network, Denoiser.mean, params, CONTENT, MOTION)
    endless = jnp.full(LEVELS.shape, jnp.inf)
    drawn = run(network, Denoiser.__call__, params, NOISY, endless, CONTENT, MOTION)
    np.testing.assert_allclose(drawn, mean, atol=1e-6)
    near = run(network, Denoiser.__call__, params, NOISY, LEVELS, CONTENT, MOTION)
    assert np.abs(near - mean).max() > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_may_be_handed_over(kind):
    network = denoiser(*kind)
    params = params_of(network)
    mean = run(network, Denoiser.mean, params, CONTENT, MOTION)
    inputs = (NOISY, LEVELS, CONTENT, MOTION)
    alone = run(network, Denoiser.__call__, params, *inputs)
    np.testing.assert_allclose(
        run(network, Denoiser.__call__, params, *inputs, mean), alone, atol=1e-5
    )
    moved = run(network, Denoiser.__call__, params, *inputs, mean + 1.0)
    assert (np.abs(moved - alone).max() > 0.1) == kind[2]  # only a read-out's is diffused around


def test_it_starts_as_edm_around_the_mean():
    """The network's output is zero at first: what is left is a share of the noisy residual."""
    network = denoiser()
    params = params_of(network, perturb=False)
    mean = run(network, Denoiser.mean, params, CONTENT, MOTION)
    drawn = run(network, Denoiser.__call__, params, NOISY, LEVELS, CONTENT, MOTION)
    data = network.sigma_data
    share = (data**2 / (data**2 + LEVELS**2))[..., None, None, None]
    np.testing.assert_allclose(drawn, mean + share * (NOISY - mean), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_hears_content_and_motion(kind):
    network = denoiser(*kind)
    params = params_of(network)
    plain = run(network, Denoiser.mean, params, CONTENT, MOTION)
    other = run(network, Denoiser.mean, params, CONTENT.at[0].add(1.0), MOTION)
    moved = run(network, Denoiser.mean, params, CONTENT, MOTION.at[0, 1].add(1.0))
    np.testing.assert_array_equal(
        np.abs(other - plain).max((2, 3, 4)) > 1e-5, [[True] * 3, [False] * 3]
    )
    np.testing.assert_array_equal(
        np.abs(moved - plain).max((2, 3, 4)) > 1e-5, [[False, True, False], [False] * 3]
    )


def test_without_a_read_out_a_unet_draws_every_place_otherwise():
    """With nothing to see and one motion, only positions and the motion's picture tell places."""
    network = denoiser(prediction="edm", readout=False)
    mean = np.asarray(run(network, Denoiser.mean, params_of(network), CONTENT, MOTION))
    inner = mean[0, 0, 1:3, 1:3].reshape(4, -1)
    gaps = np.abs(inner[:, None] - inner[None]).max(-1)
    assert gaps[np.triu_indices(4, 1)].min() > 1e-3


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="unknown prediction 'v'"):
        denoiser(prediction="v")
    fields = get_config().model.denoiser.to_dict()
    fields["network"]["kind"] = "mlp"
    with pytest.raises(ValueError, match="unknown network 'mlp'"):
        Denoiser.from_config(fields, SHAPE, jnp.dtype("float32"))
