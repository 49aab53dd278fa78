"""The Frechet distance over fixed features: less for frames alike, more for blur and for noise."""

import os

import lpc_world as world
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vdd.data import universal_lpc as lpc
from vdd.data.universal_lpc import NUM_CELLS
from vdd.evaluation import metrics
from vdd.evaluation.universal_lpc import features

REAL_ART_DIR, REAL_HOME = os.environ.get(lpc.ART_DIR_VARIABLE), os.environ.get("HOME", "")


def made_up(count, seed):
    """Frames of made-up characters."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(NUM_CELLS, size=(count, 1))
    frames = []
    for cell in cells:
        parts = world.KNOWN.copy()
        for slot, kinds in world.WARDROBE.parts.items():
            if kinds:
                parts[world.AT[slot]] = rng.integers(len(kinds))
        frames.append(world.draw(parts, cell)[0])
    return np.stack(frames)


def real(count, seed):
    """Frames of the collection."""
    if not REAL_ART_DIR:
        pytest.skip(f"needs the Universal LPC sheets: set {lpc.ART_DIR_VARIABLE} to their folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", REAL_HOME)
        art = lpc.load_art(REAL_ART_DIR)
    rng = np.random.default_rng(seed)
    cells = rng.integers(NUM_CELLS, size=(count, 1), dtype=np.int32)
    characters = (lpc.draw_character(art.wardrobe, seed, "test", n) for n in range(count))
    return np.concatenate([lpc.play(art, *one) for one in zip(characters, cells)])


@pytest.mark.parametrize(("frames", "count"), [(made_up, 300), (real, 120)])
def test_blur_and_noise_are_farther_than_other_frames_of_the_kind(frames, count):
    read = features.fit(frames(count, 0))
    truth, others = frames(count, 1), frames(count, 2)
    noisy = truth + np.random.default_rng(0).normal(0, 15, truth.shape)
    distorted = {
        "blur": gaussian_filter(truth.astype(float), (0, 0.7, 0.7, 0)),
        "more blur": gaussian_filter(truth.astype(float), (0, 1.5, 1.5, 0)),
        "noise": noisy,
        "more noise": noisy + np.random.default_rng(1).normal(0, 30, truth.shape),
    }

    def distance(made):
        made = np.clip(np.round(made), 0, 255).astype(np.uint8)
        return metrics.frechet_distance(read(truth), read(made))

    found = {name: distance(made) for name, made in distorted.items()}
    assert distance(truth) < 1e-3
    assert distance(others) < min(found["more blur"], found["more noise"])
    assert min(found.values()) > 1
    assert found["blur"] < found["more blur"]
    assert found["noise"] < found["more noise"]


def test_features_have_variance_one_and_say_nothing_of_each_other():
    frames = made_up(300, 0)
    read = features.fit(frames)
    found = read(frames)
    for part in np.split(found, [read.pixels.matrix.shape[1]], axis=1):
        np.testing.assert_allclose(np.cov(part.T, bias=True), np.eye(part.shape[1]), atol=0.02)
        np.testing.assert_allclose(part.mean(0), 0, atol=0.01)


def test_frames_over_nothing_have_the_features_of_frames_over_grey():
    read, cells = features.fit(made_up(100, 0)), np.arange(5)
    both = [read(world.draw(world.KNOWN, cells, channels)) for channels in (3, 4)]
    np.testing.assert_array_equal(*both)


def test_the_features_of_a_collection_are_of_its_validation_split(monkeypatch):
    monkeypatch.setattr(features, "_FRAMES", 40)
    found = features.of_validation(world.WARDROBE, world.draw)
    again = features.of_validation(world.WARDROBE, lambda *asked: world.draw(*asked, 4))
    np.testing.assert_array_equal(found.pixels.matrix, again.pixels.matrix)
    other = features.of_validation(world.WARDROBE, world.draw, seed=1)
    assert not np.array_equal(found.pixels.matrix, other.pixels.matrix)
