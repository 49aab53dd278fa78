"""Palettes: which colours there are, and pixels brought to them."""

import numpy as np
import pytest

from vdd.data import palettes


def noise(channels, colours=None, seed=0):
    rng = np.random.default_rng(seed)
    known = rng.integers(0, 256, (colours or 5000, channels), np.uint8)
    return known[rng.integers(len(known), size=(3, 20, 20))]


@pytest.mark.parametrize("channels", [3, 4])
def test_snapping_takes_the_nearest_colour_and_leaves_what_has_one(channels):
    video, palette = noise(channels), palettes.colours_of(noise(channels, 12, seed=1))
    snapped = palettes.snap(video, palette)
    assert {tuple(c) for c in snapped.reshape(-1, channels)} <= {tuple(c) for c in palette}
    np.testing.assert_array_equal(palettes.snap(snapped, palette), snapped)

    def weighed(x):
        x = x.astype(float)
        return (
            np.concatenate([x[..., :3] * x[..., 3:] / 255, x[..., 3:]], -1) if channels > 3 else x
        )

    distances = np.square(weighed(video)[..., None, :] - weighed(palette)).sum(-1)
    taken = np.square(weighed(video) - weighed(snapped)).sum(-1)
    np.testing.assert_allclose(taken, distances.min(-1))


def test_the_colours_of_a_clip_are_each_there_once_and_what_is_clear_is_one():
    video = np.array([[[[1, 2, 3, 255], [9, 9, 9, 0], [1, 2, 3, 255], [7, 7, 7, 0]]]], np.uint8)
    assert palettes.colours_of(video).tolist() == [[0, 0, 0, 0], [1, 2, 3, 255]]
    np.testing.assert_array_equal(
        palettes.snap(video, palettes.colours_of(video))[..., 3], video[..., 3]
    )


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("count", [2, 16, 256])
def test_a_palette_of_a_number_has_no_more_colours(channels, count):
    video = noise(channels)
    palette = palettes.quantized(video, count)
    assert count // 2 <= len(palette) <= count
    few = noise(channels, 2, seed=3)
    error = np.abs(palettes.snap(few, palettes.quantized(few, 256)).astype(int) - few)
    assert error.max() <= 8, "few colours stay what they are"


def test_a_figure_on_nothing_keeps_its_alpha():
    video = np.zeros((1, 8, 8, 4), np.uint8)
    video[:, 2:6, 2:6] = (200, 30, 40, 255)
    palette = palettes.quantized(video, 4)
    np.testing.assert_array_equal(palettes.snap(video, palette)[..., 3], video[..., 3])
