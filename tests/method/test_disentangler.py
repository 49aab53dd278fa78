import functools
import json

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from tiny import SIZE, call, get_config, get_model, random_video

from vdd import apply
from vdd.errors import SettingError
from vdd.method.disentangler import Disentangler
from vdd.method.quantizer import GumbelQuantizer, StraightThroughQuantizer

VIDEO = random_video(2, 3)


def run(model, params, video=VIDEO):
    return jax.jit(lambda p, v: model.apply({"params": p}, v))(params, video)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model.denoiser.readout": None},
        {"model.quantizer.kind": "gumbel_softmax"},
        {"model.denoiser.network.content_map": 0},
        {"model.denoiser.network.attention_levels": ()},
        {
            "model.denoiser.network.temporal": True, "model.dtype": "bfloat16",
            "model.denoiser.network.channels": (8, 8),
        },
    ],
)  # fmt: skip
def test_variants(changes):
    model, params = get_model(changes)
    parts = {"encoder", "content", "motion_head", "quantizer", "denoiser", "latents"}
    assert set(params) == parts
    assert ("readout" in params["denoiser"]) == (model.denoiser.readout is not None)
    video = run(model, params)
    assert video.shape == (2, 3, *SIZE)
    assert video.dtype == jnp.float32
    assert np.isfinite(video).all()
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(params))
    names, network = set(params["denoiser"]["network"]), model.denoiser.network
    assert ("content_map" in names) == (network.content_map > 0)
    assert any(n.endswith("_content") for n in names) == bool(network.attention_levels)
    assert any(n.endswith("_time") for n in names) == network.temporal


def test_quantiser_of_the_config():
    assert isinstance(get_model()[0].quantizer, StraightThroughQuantizer)
    gumbel = get_model({"model.quantizer.kind": "gumbel_softmax"})[0].quantizer
    assert isinstance(gumbel, GumbelQuantizer)
    assert gumbel.codebook.num_codes == 8
    assert gumbel.alpha == 2.0


@pytest.mark.parametrize(
    "key",
    [
        "model.width",
        "model.encoder.widht",
        "model.quantizer.beta",
        "model.denoiser.heads",
        "model.denoiser.network.heads",
        "model.denoiser.readout.layers",
    ],
)
def test_unknown_keys_are_refused(key):
    with pytest.raises(SettingError, match=key.split(".")[-1]):
        Disentangler.from_config(get_config({key: 3}).model)


def test_model_of_a_saved_config_is_the_same_and_hashable():
    config = get_config()
    saved = ml_collections.FrozenConfigDict(json.loads(config.to_json_best_effort()))
    a, b = Disentangler.from_config(config.model), Disentangler.from_config(saved.model)
    assert a == b
    assert hash(a) == hash(b)


@pytest.mark.parametrize(
    ("length", "windows"),
    [
        (3, [(0, 3)]),
        (6, [(0, 3), (3, 6)]),
        (8, [(0, 3), (3, 6), (5, 8)]),
    ],
)
def test_motion_is_read_in_windows_and_content_in_the_whole_clip(length, windows):
    model, params = get_model({"model.motion_window": 3})
    video = random_video(2, length)

    @functools.partial(jax.jit, static_argnums=1)
    def features(video, method):
        latents = model.apply({"params": params}, video, method=model.to_latents)
        return model.apply({"params": params}, latents, method=method)

    read, whole = jax.device_get((features(video, "read"), features(video, "encode")))
    np.testing.assert_allclose(read.content, whole.content, atol=1e-5)
    seen = 0
    for start, end in windows:
        by_hand = np.asarray(features(video[:, start:end], "encode").motion)
        np.testing.assert_allclose(read.motion[:, seen:end], by_hand[:, seen - start :], atol=1e-5)
        seen = end
    assert read.motion.shape[1] == seen == length
    assert (np.abs(read.motion - whole.motion).max() > 1e-3) == (len(windows) > 1)
    encoding = jax.jit(apply.encode, static_argnums=0)(model, params, video)
    codes = jax.jit(apply.quantize, static_argnums=0)(model, params, read.motion)
    np.testing.assert_allclose(encoding.motion, codes.quantized, atol=1e-5)
    np.testing.assert_array_equal(encoding.codes, codes.codes)


def test_without_a_window_motion_is_read_in_the_whole_clip():
    model, params = get_model({"model.motion_window": 0})
    latents = call(model, params, "to_latents", random_video(2, 7))
    read, whole = (call(model, params, way, latents).motion for way in ("read", "encode"))
    np.testing.assert_array_equal(read, whole)


def test_a_window_of_less_than_no_frames_is_refused():
    with pytest.raises(ValueError, match="motion_window=-1"):
        get_model({"model.motion_window": -1})


@pytest.fixture(scope="module")
def relative():
    changes = {
        "model.relative_motion": True, "model.motion_window": 3,
        "model.quantizer": {"kind": "grid", "num_groups": 4, "num_codes": 5, "alpha": 2.0},
    }  # fmt: skip
    return get_model(changes)


def encode(relative, video, *given, method=Disentangler.encode):
    model, params = relative
    latents = call(model, params, "to_latents", video)
    return call(model, params, method, latents, *given)


def displacement(relative, motion):
    """Motion before it is bounded, as training found it to be spread."""
    return before_the_bound(motion, relative[1]["quantizer"]["codebook"])


def before_the_bound(motion, grid):
    spread, centre = (np.asarray(grid[name], np.float64) for name in ("spread", "centre"))
    return np.arctanh(np.asarray(motion, np.float64)) * spread + centre


def test_relative_motion_is_measured_from_the_mean_over_the_clip(relative):
    read = encode(relative, random_video(2, 5))
    np.testing.assert_allclose(displacement(relative, read.motion).mean(1), 0.0, atol=1e-4)
    assert np.abs(displacement(relative, read.motion)).max() > 0.01
    moved = encode(relative, random_video(2, 5), read.rest + 0.25)
    expected = displacement(relative, read.motion) - 0.25
    np.testing.assert_allclose(displacement(relative, moved.motion), expected, atol=1e-3)
    np.testing.assert_array_equal(moved.rest, read.rest + 0.25)


def test_segments_of_a_clip_have_one_rest_pose(relative):
    model, params = relative
    video = random_video(4, 3)  # two clips of two segments, which lie side by side
    latents = call(model, params, "to_latents", video)
    read, found = jax.jit(
        lambda latents: model.apply(
            {"params": params}, latents, 2, method=Disentangler.encode_in_training
        )
    )(latents)
    np.testing.assert_array_equal(read.rest[::2], read.rest[1::2])
    own = encode(relative, video).rest
    np.testing.assert_allclose(read.rest[::2], (own[::2] + own[1::2]) / 2, atol=1e-5)
    apart = before_the_bound(read.motion, found)
    whole = np.concatenate([apart[::2], apart[1::2]], axis=1)
    np.testing.assert_allclose(whole.mean(axis=1), 0.0, atol=1e-5)
    assert np.abs(apart.mean(axis=1)).max() > 1e-3


def test_windows_within_a_clip_have_one_rest_pose(relative):
    video = random_video(2, 6)
    read = encode(relative, video, method=Disentangler.read)
    np.testing.assert_allclose(displacement(relative, read.motion).mean(1), 0.0, atol=1e-4)
    first, later = (encode(relative, part) for part in (video[:, :3], video[:, 3:]))
    np.testing.assert_allclose(read.rest, (first.rest + later.rest) / 2, atol=1e-5)
    again = encode(relative, video[:, 3:], read.rest)
    np.testing.assert_allclose(read.motion[:, 3:], again.motion, atol=1e-5)
    assert np.abs(read.motion[:, 3:] - later.motion).max() > 1e-3
    given = encode(relative, video, read.rest + 0.25, method=Disentangler.read)
    expected = displacement(relative, read.motion) - 0.25
    np.testing.assert_allclose(displacement(relative, given.motion), expected, atol=1e-3)


def test_absolute_motion_has_no_rest_pose():
    model, params = get_model()
    rest = apply.rest_pose(model, params, random_video(2, 3))
    assert rest.shape == (2, 8)
    assert not rest.any()


def test_content_and_motion_both_drive_the_mean():
    model, params = get_model()
    content, motion = jnp.ones((2, 2, 4)), jnp.ones((2, 3, 8))

    def frame(content, motion):
        return call(model, params, Disentangler.mean, content, motion)[0, 1].sum()

    by_content, by_motion = jax.jit(jax.grad(frame, argnums=(0, 1)))(content, motion)
    assert np.all([np.any(token) for token in by_content[0]])
    assert not by_content[1].any()
    assert by_motion[0, 1].any()
    assert not by_motion[0, ::2].any()
    assert not by_motion[1].any()
