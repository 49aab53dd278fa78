import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from vdd.method.content import picture_basis
from vdd.method.disentangler import Disentangler
from vdd.models.content_map import ReferenceMap, reference_frame
from vdd.models.unet import space_to_depth
from vdd.models.warp import WarpReadout, warp

SOURCE = np.asarray(tiny.normal(0, 2, 5, 6, 3))
CHANGES = {
    "model.content": {"kind": "reference", "dim": 48, "side": 4},
    "model.quantizer": {"kind": "grid", "num_groups": 4, "num_codes": 5, "alpha": 2.0},
    "model.denoiser.readout": {
        "kind": "warp", "width": 8, "num_flows": 3, "num_blocks": 1, "motion_channels": 2,
    },
}  # fmt: skip


def constant(rows: float, columns: float, frames: int = 1):
    flow = np.broadcast_to(np.array([rows, columns], np.float32), (2, frames, 5, 6, 2))
    return np.asarray(jax.jit(warp)(SOURCE, flow))


def test_a_flow_of_zero_copies_and_whole_steps_shift():
    np.testing.assert_allclose(constant(0, 0, frames=2)[:, 1], SOURCE, atol=1e-6)
    shifted = constant(1, -2)[:, 0]
    np.testing.assert_allclose(shifted[:, :-1, 2:], SOURCE[:, 1:, :-2], atol=1e-6)
    # Beyond the edge lies what is at the edge.
    np.testing.assert_allclose(shifted[:, -1, 2:], SOURCE[:, -1, :-2], atol=1e-6)
    np.testing.assert_allclose(shifted[:, :-1, 0], SOURCE[:, 1:, 0], atol=1e-6)


def test_half_a_step_is_the_mean_of_neighbours():
    half = constant(0.5, 0)[:, 0]
    np.testing.assert_allclose(half[:, :-1], (SOURCE[:, :-1] + SOURCE[:, 1:]) / 2, atol=1e-6)
    quarter = constant(0, 0.25)[:, 0]
    expected = 0.75 * SOURCE[:, :, :-1] + 0.25 * SOURCE[:, :, 1:]
    np.testing.assert_allclose(quarter[:, :, :-1], expected, atol=1e-6)


def test_gradients_say_which_way_to_look():
    ramp = np.arange(5, dtype=np.float32)[None, :, None, None].repeat(6, 2)

    def middle(rows):
        flow = jnp.stack([rows, 0.0 * rows]).reshape(1, 1, 1, 1, 2)
        return warp(ramp, jnp.broadcast_to(flow, (1, 1, 5, 6, 2)))[0, 0, 2, 2, 0]

    assert float(jax.jit(jax.grad(middle))(0.3)) == pytest.approx(1.0)


@pytest.fixture(scope="module")
def model():
    return Disentangler.from_config(tiny.get_config(CHANGES).model)


@pytest.fixture(scope="module")
def fresh(model):
    return jax.jit(model.init)(jax.random.key(0), tiny.random_video(2, 3))["params"]


@pytest.mark.parametrize("frames", [1, 4])
def test_a_fresh_model_shows_the_reference_as_it_is(model, fresh, frames):
    def rebuilt(params, video):
        def apply(method, *args):
            return model.apply({"params": params}, *args, method=method)

        latents = apply(Disentangler.to_latents, video)
        content, motion, _ = apply(Disentangler.encode, latents)
        content = apply(Disentangler.compress, content).tokens
        motion = apply(Disentangler.quantize, motion).quantized
        return latents, apply(Disentangler.mean, content, motion)

    latents, mean = jax.device_get(jax.jit(rebuilt)(fresh, tiny.random_video(2, frames)))
    at = reference_frame(frames)
    np.testing.assert_allclose(mean[:, at], latents[:, at], atol=1e-5)


def test_a_still_shows_the_map_in_whichever_pose_it_is(model, fresh):
    """The flow and what is added come from differences of motion alone."""
    readout = {"params": tiny.perturbed(fresh)["denoiser"]["readout"]}
    draw = jax.jit(WarpReadout(8, 3, 1, 2, model.latents.shape).apply)
    places = np.random.default_rng(0).normal(size=(2, 17, 48)).astype(np.float32)
    other = places.copy()
    other[:, -1] += 1.0
    pose = np.repeat(places[:, -1:, :4], 3, axis=1)
    still = np.asarray(draw(readout, places, pose))
    np.testing.assert_allclose(still, draw(readout, other, pose + 1.0), atol=1e-4)
    assert np.abs(still - np.asarray(draw(readout, places, pose + 1.0))).max() > 1e-2


def test_content_costs_its_map_and_one_code(model, fresh):
    latents = jnp.zeros((2, 3, *model.latents.shape))

    def said(params):
        features = model.apply({"params": params}, latents, method=Disentangler.encode)
        return model.apply({"params": params}, features.content, method=Disentangler.compress)

    content = jax.jit(said)(fresh)
    assert content.tokens.shape == (2, 17, 48)
    assert model.content_shape == (17, 48)  # what a file holds of it, and `vdd info` tells
    # Of 16 x 48 numbers that are 0, with noise that is the same in all pixels; four codes of five.
    std = np.minimum(0.04 / picture_basis((4, 4, 3), 48)[1], 1.0)
    nats = 16 * np.sum(0.5 * (std**2 - 1.0) - np.log(std))
    expected = nats / np.log(2.0) + 4 * np.log2(5)
    np.testing.assert_allclose(content.bits, expected, rtol=1e-4)


def test_folded_pixels_are_moved_one_by_one():
    pixels = jax.random.normal(jax.random.key(0), (1, 8, 8, 3))
    readout = WarpReadout(8, 3, 1, 2, (4, 4, 12), patch=2)

    def moved(rows, columns):
        flow = jnp.broadcast_to(jnp.array([rows, columns]), (1, 2, 4, 4, 2))
        given = space_to_depth(pixels, 2), flow
        return readout.apply({}, *given, method=WarpReadout._warped)[:, 1]

    np.testing.assert_allclose(moved(0.0, 0.0), pixels, atol=1e-6)
    np.testing.assert_allclose(moved(0.5, 0.0)[:, :-1], pixels[:, 1:], atol=1e-6)
    np.testing.assert_allclose(moved(0.0, -1.0)[:, :, 2:], pixels[:, :, :-2], atol=1e-6)
    half = (pixels[:, :, :-1] + pixels[:, :, 1:]) / 2
    np.testing.assert_allclose(moved(0.0, 0.25)[:, :, :-1], half, atol=1e-6)


@pytest.mark.parametrize("patch", [1, 2, 3, 4, 5, 7])
def test_places_of_any_size_are_moved(patch):
    """A fresh model shows the reference as it is."""
    channels = 3 * patch**2
    content = jax.random.normal(jax.random.key(1), (1, 17, channels))
    readout = WarpReadout(8, 3, 1, 2, (4, 4, channels), patch=patch)
    motion = jnp.broadcast_to(content[:, -1:, :2], (1, 2, 2))
    drawn, _ = readout.init_with_output(jax.random.key(2), content, motion)
    still = content[:, None, :-1].reshape(1, 1, 4, 4, channels)
    np.testing.assert_allclose(drawn, np.repeat(still, 2, 1), atol=1e-5)


def test_what_is_copied_keeps_its_precision():
    latents = jax.random.normal(jax.random.key(0), (1, 4, 4, 12))
    flow = jnp.zeros((1, 1, 4, 4, 2))
    readout = WarpReadout(8, 3, 1, 2, (4, 4, 12), patch=2, dtype=jnp.bfloat16)
    moved = readout.apply({}, latents, flow, method=WarpReadout._warped)
    np.testing.assert_allclose(space_to_depth(moved, 2)[:, 0], latents, atol=1e-6)
    narrow = warp(latents.astype(jnp.bfloat16), flow + 0.5)
    assert narrow.dtype == jnp.bfloat16
    content = jax.random.normal(jax.random.key(1), (1, 17, 12))
    drawn, _ = readout.init_with_output(jax.random.key(2), content, jnp.zeros((1, 2, 4)))
    assert drawn.dtype == jnp.float32


def test_what_does_not_fit_is_refused():
    small = {"model.content": {"kind": "reference", "dim": 47, "side": 4}}
    with pytest.raises(ValueError, match="do not fit into a reference"):
        Disentangler.from_config(tiny.get_config(CHANGES | small).model)
    wide = {"model.quantizer": {**CHANGES["model.quantizer"], "num_groups": 50}}
    with pytest.raises(ValueError, match="does not fit into content"):
        Disentangler.from_config(tiny.get_config(CHANGES | wide).model)
    plain = {"model.content": {"kind": "map", "dim": 48, "side": 4, "channels": (8,)}}
    with pytest.raises(ValueError, match="17 content tokens"):
        Disentangler.from_config(tiny.get_config(CHANGES | plain).model)
    with pytest.raises(ValueError, match="square"):
        WarpReadout(8, 3, 1, 2, (4, 8, 3))
    with pytest.raises(ValueError, match="4x4 pixels"):
        WarpReadout(8, 3, 1, 2, (4, 4, 12), patch=4)
    other = {"model.denoiser.readout": {**CHANGES["model.denoiser.readout"], "patch": 2}}
    with pytest.raises(ValueError, match=r"readout\.patch is 1 or 4"):
        Disentangler.from_config(tiny.get_config(CHANGES | other).model)
    assert ReferenceMap(8, 4).side == 4
