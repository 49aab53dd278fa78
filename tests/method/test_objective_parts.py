"""What the loss is made of: what is read, driven and drawn on the way."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from objectives import RATES, batch_of, loss
from tiny import call, random_video

from vdd.method import driving, losses
from vdd.method.cross_driving import SPLITTERS
from vdd.method.disentangler import Disentangler


def spied(monkeypatch, model, params, split="halves", **changes):
    """What drives and what is rebuilt: calls of the mean and of the denoiser, by video.

    What the network is shown is asked, and not what it says: it is neither traced nor compiled.
    """
    calls = {}
    for name in ("encode_in_training", "compress", "mean"):
        method = getattr(Disentangler, name)

        def spy(self, *args, name=name, method=method):
            result = method(self, *args)
            calls[name] = (*args, result)
            return result

        monkeypatch.setattr(Disentangler, name, spy)

    def shown(self, *args):
        calls["denoise"] = args
        return args[0]

    monkeypatch.setattr(Disentangler, "denoise", shown)

    def run(video, rng=0):
        size = SPLITTERS[split](jax.random.key(0), video.shape[1]).shape[1]
        whole = {"null_content": 0.0, "mean_frames": size, "noisy_frames": size}
        whole |= {"noisy_segments": 2 * len(video), "reread_clips": 0}
        calls.clear()
        loss(model, params, batch_of(video), rng, split=split, **{**whole, **changes})
        return dict(calls)

    return jax.jit(run)


def neighbours(x):
    """Each row of a pair in the place of the other."""
    return np.asarray(x)[np.arange(len(x)) ^ 1]


@pytest.mark.parametrize("split", list(SPLITTERS))
def test_content_comes_from_the_other_segment(monkeypatch, model_and_params, split):
    model, params = model_and_params
    run = spied(monkeypatch, model, params, split)

    @jax.jit
    @jax.jacrev
    def by_video(video):
        content, motion, _ = run(video)["mean"]
        return content.sum((1, 2)), motion.sum((1, 2))

    video = jnp.asarray(random_video(2, 4) / 127.5 - 1.0, jnp.float32)
    by_content, by_motion = (np.abs(x).max((3, 4, 5)) > 0 for x in by_video(video))
    for row in range(4):  # both segments of a clip, then both of the other
        clip, other = row // 2, 1 - row // 2
        assert not by_content[row, other].any()
        assert not by_motion[row, other].any()
        if split == "same":
            assert by_content[row, clip].all()
            assert by_motion[row, clip].all()
        else:
            size = 1 if split in ("quarters", "apart") else 2
            assert by_content[row, clip].sum() == by_motion[row, clip].sum() == size
            assert not (by_motion[row, clip] & by_content[row, clip]).any()


def test_what_is_rebuilt_is_the_segment_that_moves(monkeypatch, model_and_params):
    model, params = model_and_params
    video = random_video(2, 4)
    calls = spied(monkeypatch, model, params, sigma_mean=-30.0, sigma_std=0.0)(video)
    latents, _, ((features, motion, _), _) = calls["encode_in_training"]
    squeezed, _, said = calls["compress"]
    np.testing.assert_array_equal(squeezed, features)
    content, driving, _ = calls["mean"]
    quantized = call(model, params, Disentangler.quantize, motion).quantized
    np.testing.assert_allclose(driving, quantized, atol=1e-6)
    np.testing.assert_allclose(content, neighbours(said.tokens), atol=1e-6)
    noisy, sigma, content, driving, mean = calls["denoise"]
    assert float(jnp.max(sigma)) < 1e-12
    np.testing.assert_allclose(noisy, latents, atol=1e-6)  # without noise, the target itself
    np.testing.assert_allclose(driving, quantized, atol=1e-6)
    np.testing.assert_allclose(content, neighbours(said.tokens), atol=1e-6)
    np.testing.assert_allclose(mean, calls["mean"][-1], atol=1e-6)


def test_noisy_frames_keep_their_motion_and_mean(monkeypatch, model_and_params):
    model, params = model_and_params
    run = spied(
        monkeypatch, model, params, sigma_mean=-30.0, sigma_std=0.0, mean_frames=3,
        noisy_frames=2,
    )  # fmt: skip
    picked = []
    for rng in range(6):
        calls = run(random_video(2, 8), rng)
        latents, _, ((_, motion, _), _) = calls["encode_in_training"]
        quantized = call(model, params, Disentangler.quantize, motion).quantized
        noisy, _, content, driving, mean = calls["denoise"]
        assert noisy.shape[:2] == (4, 2)
        same = jnp.all(jnp.isclose(noisy[:, :, None], latents[:, None], atol=1e-6), (-1, -2, -3))
        place = np.asarray(jnp.argmax(same, axis=-1))
        assert np.all(np.diff(place, axis=1) > 0)  # in order of time
        rows = np.arange(4)[:, None]
        np.testing.assert_allclose(driving, quantized[rows, place], atol=1e-6)
        expected = call(model, params, Disentangler.mean, content, driving)
        np.testing.assert_allclose(mean, expected, atol=1e-5)
        picked.append(place)
    assert set(np.ravel(picked)) == {0, 1, 2, 3}


@pytest.mark.parametrize(("segments", "every"), [(4, 2), (2, 4), (1, 8)])
def test_the_network_sees_segments_from_all_over_the_batch(
    monkeypatch, model_and_params, segments, every
):
    """Processes hold consecutive rows: the first ones would all be of the first process."""
    run = spied(monkeypatch, *model_and_params, noisy_segments=segments)
    calls = run(random_video(4, 4))
    content, seen = calls["mean"][0], calls["denoise"][2]
    rows = np.arange(segments) * every + np.arange(segments) % every
    np.testing.assert_array_equal(seen, np.asarray(content)[rows])


def test_the_network_sees_swapped_content_in_its_share():
    """Of 64 segments 16 are read again, of the 16 that the network sees 4: a quarter of both."""
    again = jnp.zeros(64).at[::4].set(1.0)
    assert float(losses.spread_rows(again, 16).sum()) == 4.0


def test_every_frame_gets_its_turn_with_the_network(monkeypatch, model_and_params):
    model, params = model_and_params
    run = spied(
        monkeypatch, model, params, sigma_mean=-30.0, sigma_std=0.0, mean_frames=2, noisy_frames=1,
    )  # fmt: skip
    places = set()
    for rng in range(5):
        calls = run(random_video(4, 4), rng)
        noisy, latents = calls["denoise"][0], calls["encode_in_training"][0]
        same = jnp.all(jnp.isclose(noisy, latents, atol=1e-6), axis=(-1, -2, -3))
        places |= set(np.asarray(jnp.argmax(same, axis=1)).tolist())
    assert places == {0, 1}


@pytest.mark.parametrize(("share", "kept"), [(0.0, (1.0, 1.0)), (1.0, (0, 0)), (0.5, (0.1, 0.9))])
def test_null_content(monkeypatch, model_and_params, share, kept):
    model, params = model_and_params
    video = random_video(16, 2)
    calls = spied(monkeypatch, model, params, null_content=share)(video)
    said = calls["compress"][-1]
    content = calls["mean"][0]
    whole = np.isclose(content, neighbours(said.tokens)).all((1, 2))
    nothing = ~np.any(content, axis=(1, 2))
    assert np.all(whole ^ nothing)
    assert kept[0] <= whole.mean() <= kept[1]
    np.testing.assert_array_equal(calls["denoise"][2], content)


@pytest.mark.parametrize(("count", "every", "auto"), [(4, 1, False), (2, 2, False), (4, 1, True)])
def test_content_of_some_clips_is_read_again(monkeypatch, model_and_params, count, every, auto):
    seen = []

    def spy(apply, rng, content, quantized, codewords, codes, own):
        seen.extend(x.shape[:2] for x in (content, quantized, codewords))
        assert codes.shape[:2] == codewords.shape[:2]
        assert own == (count // 4 if auto else 0)
        rows = jnp.arange(len(content))
        found = driving.Reread(codewords, codewords, 0.0 * rows, rows < own)
        return jnp.zeros_like(content), found

    monkeypatch.setattr(driving, "_reread", spy)
    rates = dataclasses.replace(RATES, target_bits_per_frame="auto") if auto else RATES
    changes = {"reread_clips": count, "rates": rates, "prices": rates.start(2, 8)}
    calls = spied(monkeypatch, *model_and_params, **changes)(random_video(4, 6))
    # One segment of a clip; and all of its frames.
    assert seen == [(count, 2), (count, 6), (count, 6)]
    content, said = calls["mean"][0], calls["compress"][-1]
    expected = np.array(neighbours(said.tokens))
    # What was drawn with its own content is compared with swaps, and drives nothing.
    expected[2 * auto :: 2 * every] = 0.0
    np.testing.assert_allclose(content, expected, atol=1e-6)


@pytest.mark.parametrize("split", list(SPLITTERS))
@pytest.mark.parametrize("frames", [6, 7])
def test_segments_join_into_clips_in_order_of_time(split, frames):
    clips = np.arange(3 * frames, dtype=np.float32).reshape(3, frames, 1)
    splitter = jax.jit(SPLITTERS[split], static_argnums=1)
    join = jax.jit(driving.join_segments, static_argnums=2)
    for rng in range(3):
        segments = np.asarray(splitter(jax.random.key(rng), frames))
        cut = np.stack([clips[:, segments[0]], clips[:, segments[1]]], axis=1)
        cut = cut.reshape(6, *cut.shape[2:])
        kept = np.unique(segments)  # all frames, or all but the odd one
        joined = join(cut, segments, frames)
        np.testing.assert_array_equal(joined, clips[:, kept])


@pytest.mark.parametrize("frames", [2, 3, 8, 9])
@pytest.mark.parametrize(
    ("split", "share", "in_one_piece"),
    [("halves", 2, True), ("quarters", 4, True), ("apart", 3, True), ("subsets", 2, False)],
)
def test_segments_are_disjoint_and_in_order(split, share, in_one_piece, frames):
    size = max(1, frames // share)
    found = {np.asarray(SPLITTERS[split](jax.random.key(i), frames)).tobytes() for i in range(12)}
    for raw in found:
        segments = np.frombuffer(raw, np.int32).reshape(2, size)
        assert len(set(segments.ravel())) == 2 * size
        assert segments.min() >= 0
        assert segments.max() < frames
        assert np.all(np.diff(segments, axis=1) > 0)
        if in_one_piece:
            assert np.all(np.diff(segments, axis=1) == 1)
    assert len(found) >= 2


def test_pick_frames():
    frames = np.asarray(losses.pick_frames(jax.random.key(0), 400, 5, 2))
    assert frames.shape == (400, 2)
    assert np.all(frames[:, 0] < frames[:, 1])
    np.testing.assert_allclose(np.bincount(frames.ravel()) / 400, 0.4, atol=0.08)
    everything = losses.pick_frames(jax.random.key(0), 3, 5, 7)
    np.testing.assert_array_equal(everything, np.tile(np.arange(5), (3, 1)))
    x = np.arange(3 * 5 * 2, dtype=np.float32).reshape(3, 5, 2)
    picked = jax.jit(losses.take_frames)(x, np.array([[4, 0]] * 3))
    np.testing.assert_array_equal(picked, x[:, [4, 0]])
