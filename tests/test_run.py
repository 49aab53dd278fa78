"""`vdd.load(...)`: what an analyst does with a run, over the shipped model."""

import jax
import numpy as np
import pytest
import tiny

import vdd
from vdd import apply, given, pixels, priors
from vdd.data import sprites
from vdd.diffusion.samplers import Sampler
from vdd.errors import UserError
from vdd.method.disentangler import Disentangler

encode = jax.jit(apply.encode, static_argnums=0)
content_bits = jax.jit(apply.content_bits, static_argnums=0)
generate = jax.jit(apply.generate, static_argnums=(0, 2, 6))


@pytest.fixture(scope="module")
def run():
    return vdd.load("sprites")


@pytest.fixture(scope="module")
def clips():
    return sprites.load_arrays("builtin", "test").video[:6]


@pytest.fixture(scope="module")
def encoded(run, clips):
    return run.encode(clips)


def test_encode_is_that_of_apply_with_bits(run, clips, encoded):
    theirs = encode(run.model, run.params, clips)
    np.testing.assert_allclose(encoded.content, theirs.content, atol=1e-4)
    np.testing.assert_array_equal(encoded.codes, theirs.codes)
    np.testing.assert_allclose(encoded.motion, theirs.motion, atol=1e-4)
    bits = content_bits(run.model, run.params, clips)
    np.testing.assert_allclose(encoded.content_bits, bits, rtol=1e-3)
    assert encoded.motion_bits.shape == (6, 8)
    # The prior has seen such clips: a frame in the middle of one costs less than its first frame.
    assert encoded.motion_bits[:, 1:].mean() < encoded.motion_bits[:, 0].mean()


def test_without_a_prior_every_code_costs_the_same(run, encoded, monkeypatch):
    def none(*_):
        raise priors.NoPriorError("none")

    monkeypatch.setattr(priors, "load_prior_of", none)
    book = run.model.quantizer.codebook
    alone = vdd.load("sprites").motion_bits(encoded.codes)
    np.testing.assert_allclose(alone, book.num_groups * np.log2(book.num_codes))


def test_three_channels_are_opaque_to_a_model_of_four():
    config = tiny.get_config({"model.latents.size": (16, 16, 4)})
    run = vdd.run.Run(config, Disentangler.from_config(config.model), {}, 0)
    clips = tiny.random_video(2, 2)
    opaque = np.pad(clips, [(0, 0)] * 4 + [(0, 1)], constant_values=255)
    whole = given.clips(run.model, clips)
    np.testing.assert_array_equal(whole, opaque)
    floats = given.clips(run.model, clips / 127.5 - 1.0)
    np.testing.assert_allclose(floats, apply_floats(opaque), atol=1e-6)
    with pytest.raises(UserError, match=r"\[clips, frames, 16, 16, 4\]"):
        given.clips(run.model, clips[..., :2])


def apply_floats(clips):
    """As the model takes pixels itself."""
    return np.asarray(pixels.to_float(jax.numpy.asarray(clips)))


def test_a_stream_moves_the_content_as_a_whole_clip_does(run, clips, encoded):
    # No frame sees what comes after it; of the shipped model most codes are the same all the same.
    followed = np.stack(list(run.follow(clips[:1], iter(clips[1]))))
    whole = run.decode(encoded.content[:1], encoded.codes[1:2])[0]
    assert followed.dtype == np.uint8
    same = (np.abs(followed.astype(int) - whole) <= 1).all((1, 2, 3))
    assert same[run.model.motion_window - 1]  # the last of a window that is read in both ways
    assert same.mean() >= 0.5


def test_decode_takes_codes_and_motion_alike(run, clips, encoded):
    video = run.decode(encoded.content, encoded.codes)
    assert video.dtype == np.uint8
    assert video.shape == clips.shape
    np.testing.assert_array_equal(video, run.decode(encoded.content, encoded.motion))
    assert np.abs(video.astype(float) - clips).mean() < 8.0  # of 255


def test_samplers_by_preset_by_steps_and_by_hand(run, encoded):
    content, codes = encoded.content[:1], encoded.codes[:1]
    sharp = run.decode(content, codes, "sharp", seed=1)
    steps = run.config.eval.sharp.steps
    np.testing.assert_array_equal(sharp, run.decode(content, codes, steps=steps, seed=1))
    assert np.any(sharp != run.decode(content, codes, "sharp", seed=2))
    fields = {**run.config.eval.sampler, **run.config.eval.sharp}
    np.testing.assert_array_equal(sharp, run.decode(content, codes, Sampler(**fields), seed=1))


def test_transfer_moves_the_content_of_one_clip_as_the_other(run, clips, encoded):
    swapped = run.transfer(clips[:3], clips[3:])
    expected = run.decode(encoded.content[:3], encoded.codes[3:])
    np.testing.assert_array_equal(swapped, expected)


def test_generate_makes_up_frames_of_any_number(run, clips):
    made = run.generate(clips[:2], frames=20, seed=3)
    assert made.shape == (2, 20, *clips.shape[2:])
    assert np.any(made != run.generate(clips[:2], frames=20, seed=4))
    content = run.encode(clips[:2]).content
    theirs = generate(
        run.model,
        run.params,
        run.prior.model,
        run.prior.params,
        jax.random.key(3),
        jax.numpy.asarray(content),
        20,
    )
    off = np.abs(np.asarray(apply.to_uint8(theirs.video), float) - made)
    assert off.max() <= 1.0


def test_a_long_clip_is_read_in_windows(run, clips, encoded):
    size, overlap = run.windows
    assert (size, overlap) == (8, 1)
    long = np.concatenate([clips, clips[:, ::-1], clips], axis=1)
    found = run.encode(long)
    assert found.codes.shape == (6, 24, 1)
    np.testing.assert_allclose(found.content, encoded.content, atol=1e-4)  # of the first window
    np.testing.assert_array_equal(found.codes[:, :7], encoded.codes[:, :7])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda clips: clips[0], r"clips are \[clips, frames, 64, 64, 3\]"),
        (lambda clips: clips[..., :1], "64, 64, 3"),
        (lambda clips: clips[:, :0], "at least one of each"),
        (lambda clips: clips.astype(np.float32), "floats in"),
        (lambda clips: clips.astype(np.int32), "these are int32"),
    ],
)
def test_what_are_no_clips_is_told(run, clips, change, told):
    with pytest.raises(UserError, match=told):
        run.encode(change(clips))


def test_floats_and_lists_are_clips_too(run, clips, encoded):
    floats = run.encode((clips / 127.5 - 1.0).tolist())
    np.testing.assert_array_equal(floats.codes, encoded.codes)


@pytest.mark.parametrize(
    "change",
    [
        lambda codes: codes + 1000,
        lambda codes: codes - 1000,
        lambda codes: codes > 3,
        lambda codes: codes[..., 0],
        lambda codes: codes.astype(np.float32),
    ],
)
def test_what_is_no_motion_is_told(run, encoded, change):
    with pytest.raises(UserError, match="motion is codes, whole numbers"):
        run.decode(encoded.content, change(encoded.codes))


def test_a_sampler_that_there_is_not_is_told(run, encoded):
    for sampler, told in (("shrp", "sampler, sharp"), ("batch_size", "sampler, sharp")):
        with pytest.raises(UserError, match=told):
            run.decode(encoded.content, encoded.codes, sampler)
    mean = run.decode(encoded.content, encoded.codes, Sampler("euler", 4), steps=0)
    np.testing.assert_array_equal(mean, run.decode(encoded.content, encoded.codes, steps=0))


def test_a_long_clip_is_drawn_in_windows(run, encoded):
    codes = np.concatenate([encoded.codes] * 3, axis=1)[:, :20]
    long = run.decode(encoded.content, codes)
    assert long.shape[:2] == (6, 20)
    np.testing.assert_array_equal(long[:, 8:16], run.decode(encoded.content, codes[:, 8:16]))


def test_a_prior_of_another_model_is_not_asked(run, encoded, monkeypatch):
    def other(*_):
        raise priors.OtherPriorError("of another")

    monkeypatch.setattr(priors, "load_prior_of", other)
    fresh = vdd.load("sprites")
    assert fresh.motion_bits(encoded.codes)[0, 0] == fresh.motion_bits(encoded.codes)[1, 1]
    with pytest.raises(UserError, match="of another"):
        fresh.generate(np.zeros((1, 1, 64, 64, 3), np.uint8), frames=4)
