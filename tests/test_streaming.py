"""Clips of any length in windows."""

import itertools

import jax
import numpy as np
import pytest
import tiny

from vdd import apply, compiled, streaming
from vdd.diffusion.samplers import Sampler
from vdd.run import frames_shown

SAMPLER = Sampler(name="euler", steps=1, sigma_min=0.02, sigma_max=1.0, rho=7.0)


def numbered(count):
    """Frames that tell their number."""
    return [np.full((1, 1, 1), i, np.uint8) for i in range(count)]


@pytest.mark.parametrize("count", [1, 4, 5, 6, 8, 9, 23])
@pytest.mark.parametrize("overlap", [0, 1, 2, 4])
def test_windows_keep_each_frame_once_and_share_the_overlap(count, overlap):
    cut = list(streaming.windows(numbered(count), 5, overlap))
    kept = [int(i) for window in cut for i in window.frames[window.kept].ravel()]
    assert kept == list(range(count))
    if count > 5:
        assert all(len(window.frames) == 5 for window in cut), "one program for all windows"
        for one, other in itertools.pairwise(cut):
            shared = np.intersect1d(one.frames, other.frames)
            assert len(shared) == overlap


def test_frames_beside_a_cut_have_neighbours_on_both_sides():
    first, second, *_ = streaming.windows(numbered(20), 8, 4)
    assert first.kept == slice(0, 6)
    assert second.kept == slice(2, 6)


def test_a_stream_is_not_read_ahead_of_its_window():
    read = []
    frames = (read.append(i) or frame for i, frame in enumerate(numbered(100)))
    next(streaming.windows(frames, 5, 2))
    assert len(read) == 6


def test_an_overlap_as_long_as_the_window_is_refused():
    with pytest.raises(ValueError, match="overlap of 5"):
        next(streaming.windows(numbered(9), 5, 5))


@pytest.fixture(scope="module")
def world():
    """A model, a content clip of 4 frames, and 7 driving frames of other motion than its first."""
    model, params = tiny.get_model()
    clips = tiny.random_video(20, 7)
    motion = np.asarray(compiled.encode(model, params, clips[:, :4]).motion)
    other = next(i for i in range(20) if np.abs(motion[i, 0] - motion[0, 0]).max() > 0.1)
    return model, params, clips[0, :4], clips[other]


def drawn(world, motion, relative=False):
    model, params, content, _ = world
    pieces = streaming.transfer(
        model, params, 0, content, iter(motion), SAMPLER, size=4, overlap=2, relative=relative
    )
    return np.concatenate(list(pieces)).astype(int)


def test_a_short_clip_is_drawn_as_a_whole(world):
    model, params, content, driving = world
    key = jax.random.fold_in(jax.random.key(0), 0)
    transfer = jax.jit(apply.transfer, static_argnums=(0, 5))
    whole = transfer(model, params, key, content[None], driving[None, :4], SAMPLER)
    expected = np.asarray(apply.to_uint8(whole)[0], int)
    assert np.abs(drawn(world, driving[:4]) - expected).max() <= 1


def test_a_long_clip_has_all_its_frames(world):
    driving = world[3]
    video = drawn(world, driving)
    assert video.shape == driving.shape
    np.testing.assert_array_equal(video[:3], drawn(world, driving[:5])[:3])


def test_relative_motion_begins_at_the_content_s_own_pose(world):
    model, params, content, driving = world
    source = compiled.encode(model, params, content[None])
    motion = compiled.encode(model, params, driving[None, :4]).motion
    offset = source.motion[0, 0] - motion[0, 0]
    key = jax.random.fold_in(jax.random.key(0), 0)
    moved = motion + offset[None, None]
    expected = compiled.draw(model, SAMPLER, params, key, source.content, moved)[0]
    np.testing.assert_array_equal(drawn(world, driving[:4], relative=True), expected)
    assert (expected != drawn(world, driving[:4])).any()


def test_what_is_drawn_next_is_asked_for_before_a_piece_is_taken_and_no_more():
    asked = []
    pieces = streaming.ahead(asked.append(i) or i for i in range(5))
    for i in range(5):
        assert next(pieces) == i
        assert asked == list(range(min(i + 2, 5)))
    assert list(pieces) == []


def test_a_stream_is_followed_frame_by_frame(world):
    model, params, content, driving = world
    tokens = compiled.encode(model, params, content[None]).content
    asked = []
    frames = (asked.append(i) or frame for i, frame in enumerate(driving))
    drawn = streaming.follow(model, params, 0, tokens, frames, SAMPLER, before=3)
    for i, frame in enumerate(drawn):
        assert len(asked) == i + 1  # none but those that have come
        seen = driving[np.maximum([i - 3, i - 2, i - 1, i], 0)][None]
        motion = compiled.encode(model, params, seen).motion[:, -1:]
        noise = compiled.noise(0, i)
        expected = compiled.draw(model, SAMPLER, params, noise, tokens, motion)[0, 0]
        assert np.abs(frame.astype(int) - np.asarray(expected, int)).max() <= 1
    assert len(asked) == len(driving)


@pytest.mark.parametrize(
    ("split", "reread", "size"),
    [
        ("halves", 0, 24), ("halves", 2, 48), ("quarters", 0, 12), ("quarters", 2, 24),
        ("same", 2, 48),
    ],
)  # fmt: skip
def test_windows_are_as_long_as_what_training_showed(split, reread, size):
    changes = {"objective.split": split, "objective.reread_clips": reread}
    config = tiny.get_config(changes)
    with config.unlocked():
        config.data.update(dataset="video_folder", frames=48)
    assert frames_shown(config) == size


@pytest.mark.parametrize(("reread", "size"), [(0, 4), (2, 8)])
def test_windows_of_sprites_are_as_long_as_its_clips(reread, size):
    config = tiny.get_config({"objective.reread_clips": reread})
    assert frames_shown(config) == size


RELATIVE = {
    "model.relative_motion": True,
    "model.quantizer": {"kind": "grid", "num_groups": 4, "num_codes": 31, "alpha": 2.0},
}


def test_a_stream_moves_from_where_its_first_window_rests():
    model, params = tiny.get_model(RELATIVE)
    first, second = (tiny.random_video(1, 4, seed) for seed in (0, 1))
    read = compiled.Reader(model, params)
    rest = apply.rest_pose(model, params, first)
    for clip in (first, second):
        codes = apply.encode(model, params, clip, rest=rest).codes
        np.testing.assert_array_equal(read(clip).codes, codes)
    assert (read(second).codes != compiled.encode(model, params, second).codes).any()

    driving = np.concatenate([first[0], second[0]])
    drawn = np.concatenate(
        list(streaming.transfer(model, params, 0, first[0], driving, Sampler("mean", 0), 4, 0))
    )
    content = apply.encode(model, params, first).content
    motion = apply.encode(model, params, second, rest=rest).motion
    expected = compiled.draw(model, Sampler("mean", 0), params, jax.random.key(0), content, motion)
    assert np.abs(drawn[4:].astype(int) - np.asarray(expected)[0]).max() <= 1


def test_windows_of_absolute_motion_are_read_by_the_program_of_all(world):
    model, params, content, _ = world
    compiled.encode(model, params, content[None])
    before = compiled.encode._jitted._cache_size()
    compiled.Reader(model, params)(content[None])
    assert compiled.encode._jitted._cache_size() == before


def test_a_live_stream_moves_from_its_first_frame():
    model, params = tiny.get_model(RELATIVE)
    content = tiny.random_video(1, 1)
    tokens = apply.encode(model, params, content).content
    frame = tiny.random_video(1, 1, 5)[0, 0]

    def follow(frames):
        return list(streaming.follow(model, params, 0, tokens, frames, Sampler("mean", 0), 0))

    still = follow([frame, content[0, 0], frame])
    np.testing.assert_array_equal(still[0], still[2])
    assert (still[0] != still[1]).any()
    alone = compiled.encode(model, params, frame[None, None])
    rested = compiled.draw(
        model, Sampler("mean", 0), params, jax.random.key(0), tokens, alone.motion
    )
    np.testing.assert_array_equal(still[0], np.asarray(rested)[0, 0])
