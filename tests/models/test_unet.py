import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import normal, perturbed

from vdd.models.unet import UNet

NOISY = normal(0, 2, 3, 4, 4, 6)
NOISE = normal(1, 2, 3)
CONTENT = normal(2, 2, 2, 5)
MOTION = normal(3, 2, 3, 7)
INPUTS = (NOISY, NOISE, CONTENT, MOTION)


def unet(**changes) -> UNet:
    network = UNet((8, 16), 1, 16, attention_levels=(1,), num_heads=2, content_map=2)
    return network.copy(**changes)


@functools.partial(jax.jit, static_argnums=0)
def run(network, params, *inputs):
    return network.apply({"params": params}, *inputs)


@functools.cache
def params_of(network):
    return perturbed(jax.eval_shape(network.init, jax.random.key(0), *INPUTS)["params"])


def hears(network, **changes) -> np.ndarray:
    """Which frames [b t] of the output move when the inputs with these names change."""
    inputs = dict(zip(("noisy", "noise", "content", "motion"), INPUTS))
    params = params_of(network)
    before, after = (run(network, params, *x.values()) for x in (inputs, {**inputs, **changes}))
    return np.abs(before - after).max((2, 3, 4)) > 1e-5


def test_output_is_zero_at_the_start():
    network = unet(temporal=True)
    out, variables = jax.jit(network.init_with_output)(jax.random.key(0), *INPUTS)
    assert out.shape == NOISY.shape
    assert out.dtype == jnp.float32
    assert not out.any()
    assert run(network, perturbed(variables["params"]), *INPUTS).any()


@pytest.mark.parametrize(
    ("changes", "heard"),
    [
        ({"attention_levels": (), "content_map": 2}, True),
        ({"attention_levels": (1,), "content_map": 0}, True),
        ({"attention_levels": (0, 1), "content_map": 0}, True),
        ({"attention_levels": (), "content_map": 0}, False),
    ],
)
def test_content_is_heard_by_map_or_by_attention(changes, heard):
    np.testing.assert_array_equal(
        hears(unet(**changes), content=CONTENT.at[0].add(1.0)), [[heard] * 3, [False] * 3]
    )


MIDDLE = {
    "noisy": NOISY.at[0, 1].add(1.0),
    "noise": NOISE.at[0, 1].add(1.0),
    "motion": MOTION.at[0, 1].add(1.0),
}


@pytest.mark.parametrize("name", MIDDLE)
def test_frames_are_apart_without_temporal_attention(name):
    moved = hears(unet(), **{name: MIDDLE[name]})
    np.testing.assert_array_equal(moved, [[False, True, False], [False] * 3])


@pytest.mark.parametrize("levels", [(1,), ()])
@pytest.mark.parametrize("name", MIDDLE)
def test_temporal_attention_joins_the_frames_of_a_clip(name, levels):
    moved = hears(unet(temporal=True, attention_levels=levels), **{name: MIDDLE[name]})
    np.testing.assert_array_equal(moved, [[True] * 3, [False] * 3])


def test_temporal_attention_starts_as_the_network_without():
    params = params_of(unet(temporal=True))
    for name in [n for n in params if n.endswith("_time")]:
        silent = jax.tree.map(jnp.zeros_like, params[name]["out"])
        params = {**params, name: {**params[name], "out": silent}}
    without = {name: value for name, value in params.items() if not name.endswith("_time")}
    assert len(without) < len(params)
    np.testing.assert_allclose(
        run(unet(temporal=True), params, *INPUTS),
        run(unet(), without, *INPUTS),
        atol=1e-5,
    )


def test_temporal_attention_knows_the_order_of_frames():
    network = unet(temporal=True)
    order = np.array([1, 2, 0])
    plain = run(network, params_of(network), *INPUTS)
    moved = (NOISY[:, order], NOISE[:, order], CONTENT, MOTION[:, order])
    shuffled = run(network, params_of(network), *moved)
    assert np.abs(shuffled - plain[:, order]).max() > 1e-3


def test_hint_is_seen():
    network = unet()
    params = perturbed(jax.eval_shape(network.init, jax.random.key(0), *INPUTS, NOISY)["params"])
    before, after = (run(network, params, *INPUTS, hint) for hint in (NOISY, MIDDLE["noisy"]))
    moved = np.abs(before - after).max((2, 3, 4)) > 1e-5
    np.testing.assert_array_equal(moved, [[False, True, False], [False] * 3])


def test_three_levels_two_blocks_and_bf16():
    network = unet(channels=(8, 8, 16), num_blocks=2, dtype=jnp.bfloat16)
    params = params_of(network)
    out = run(network, params, *INPUTS)
    full = run(network.copy(dtype=jnp.float32), params, *INPUTS)
    assert out.dtype == jnp.float32
    assert np.abs(out - full).max() > 1e-4, "computed in float32"
    # 8 bits of every number: with five sets of parameters 1 - r was at most 7e-5, which rounding of
    # another machine changes by as much again, and no more.
    assert np.corrcoef(np.ravel(out), np.ravel(full))[0, 1] > 0.99
