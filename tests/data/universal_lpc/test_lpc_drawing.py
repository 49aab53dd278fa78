"""How characters of Universal LPC are drawn, how they move, and the motions that are named."""

import itertools
from pathlib import Path

import jax
import numpy as np
import pytest
from collection import GREY, REAL_ART_DIR, cell_of
from ml_collections import ConfigDict
from PIL import Image
from tiny import load_module

from vdd.data import datasets
from vdd.data import universal_lpc as lpc
from vdd.data.universal_lpc import compositing, scripts
from vdd.method import cross_driving


def drawn_by_pillow(art_dir, art, character, cell: int, ground) -> np.ndarray:
    """Pixel by pixel, from the sheets themselves, in the order of the specification."""
    order = (
        "behind",
        "body",
        "eyes",
        "legs",
        "feet",
        "torso",
        "hands",
        "cape",
        "facial",
        "hair",
        "head",
    )
    named = dict(zip(lpc.SLOTS, character))
    sheet_of = {s: art.wardrobe.parts[s][n].name for s, n in named.items() if n >= 0}
    if "cape" in sheet_of:
        hidden = sheet_of["cape"].replace("torso/back/", "behind_body/")
        if (Path(art_dir) / f"{hidden}.png").exists():
            sheet_of["behind"] = hidden
    image = Image.new("RGBA", (64, 64), ground)
    for slot in order:
        if slot in sheet_of:
            with Image.open(Path(art_dir) / f"{sheet_of[slot]}.png") as whole:
                image = Image.alpha_composite(image, cell_of(whole, cell))
    return np.asarray(image)


@pytest.mark.parametrize("ground", [GREY, (255, 0, 255, 255), (0, 0, 0, 0)])
def test_compositing_equals_pillow(any_art, art, art_dir, ground):
    folder = art_dir if any_art is art else REAL_ART_DIR
    for number, split in enumerate(lpc.SPLITS * 2):
        rng = np.random.default_rng(number)
        character = lpc.draw_character(any_art.wardrobe, 0, split, number)
        if number < 3:  # all that can be drawn at once, in whatever taste
            character = np.array([rng.integers(len(p)) for p in any_art.wardrobe.parts.values()])
        cells = rng.permutation(lpc.NUM_CELLS)[:2]
        drawn = compositing.composite(any_art.layers(character), cells, ground)
        for cell, frame in zip(cells, drawn):
            expected = drawn_by_pillow(folder, any_art, character, int(cell), ground)
            if not ground[3]:
                expected = np.where(expected[..., 3:] > 0, expected, 0)
            np.testing.assert_array_equal(frame, expected)


def test_one_translucent_pixel_over_another_equals_pillow():
    rng = np.random.default_rng(0)
    source, below = rng.integers(0, 256, (2, 100_000, 4), np.uint8)
    source[:, 3] = np.maximum(source[:, 3], 1)
    below[::3, 3] = rng.choice([0, 1, 254, 255], len(below[::3]))
    pictures = [Image.fromarray(pixels[None]) for pixels in (below, source)]
    np.testing.assert_array_equal(
        compositing.over(source, below), np.asarray(Image.alpha_composite(*pictures))[0]
    )


def test_alpha_is_straight_and_leaves_no_halo(any_art):
    """Laid over a colour, a clip over nothing looks as if it had been drawn there."""
    for number in range(8):
        character = lpc.draw_character(any_art.wardrobe, 1, "train", number)
        cells = scripts.script(np.random.default_rng(number), 16)
        free = lpc.play(any_art, character, cells, None)
        assert not free[free[..., 3] == 0].any()
        for colour in ((0, 0, 0), (255, 255, 255), (255, 0, 255)):
            alpha = free[..., 3:].astype(float) / 255
            laid = free[..., :3] * alpha + np.array(colour) * (1 - alpha)
            drawn = lpc.play(any_art, character, cells, (*colour, 255))
            assert np.abs(laid - drawn).max() <= 3  # each layer rounds


def test_whole_actions_follow_one_another():
    followed = set()
    for number in range(800):
        cells = scripts.script(np.random.default_rng(number), 40)
        assert len(cells) == 40
        for cell, after in itertools.pairwise(cells.tolist()):
            motion = lpc.MOTIONS[scripts.MOTION_OF_CELL[cell]]
            if cell == motion.first + motion.frames - 1:
                assert after in [other.first for other in lpc.MOTIONS]
                followed.add((motion.first, after))
            else:
                assert after == cell + 1
    assert len(followed) == 21**2


@pytest.mark.parametrize("at", [0, 15])
def test_every_cell_is_as_likely_anywhere_in_a_clip(at):
    cells = [scripts.script(np.random.default_rng(i), 16)[at] for i in range(20_000)]
    count = np.bincount(cells, minlength=178)
    expected = len(cells) / 178
    assert ((count - expected) ** 2 / expected).sum() < 250  # chi-squared, p = .0003


def test_segments_apart_share_no_more_motions_than_chance():
    """The figures in the docstring of `cross_driving.apart`."""

    def shared(frames: int, first: np.ndarray, second: np.ndarray) -> float:
        total = 0.0
        for number in range(1500):
            cells = scripts.script(np.random.default_rng((frames, number)), frames)
            a, b = (scripts.MOTION_OF_CELL[cells[segment]] for segment in (first, second))
            total += (np.isin(a, b).mean() + np.isin(b, a).mean()) / 2
        return total / 1500

    apart, halves = (
        np.asarray(split(jax.random.key(0), frames))
        for split, frames in ((cross_driving.apart, 48), (cross_driving.halves, 32))
    )
    assert shared(32, *halves) == pytest.approx(0.35, abs=0.02)
    assert shared(48, *apart) == pytest.approx(0.13, abs=0.02)
    assert shared(200, np.arange(16), np.arange(184, 200)) == pytest.approx(0.135, abs=0.02)


@pytest.mark.parametrize("channels", [3, 4])
def test_the_named_motions_are_all_cells_as_characters_of_validation_play_them(
    art, art_dir, channels
):
    config = ConfigDict(
        {"dataset": "universal_lpc", "art_dir": str(art_dir), "frames": 4, "channels": channels,
         "background": "grey", "recolour": 0.7}
    )  # fmt: skip
    found = datasets.find_played(config, 2)
    assert found is not None
    motions = list(found.motions)
    assert found.name == "lpc"
    assert len({motion.name for motion in motions}) == 21
    video = np.concatenate([motion.video for motion in motions], axis=1)
    assert video.shape == (2, lpc.NUM_CELLS, 64, 64, channels)
    for number in range(2):
        who = lpc.draw_character(art.wardrobe, 0, "validation", number)
        ground = GREY if channels == 3 else None
        np.testing.assert_array_equal(
            video[number], lpc.play(art, who, np.arange(lpc.NUM_CELLS, dtype=np.int32), ground)
        )
    loops = {motion.name for motion in motions if motion.loop_from is not None}
    assert loops == {f"walk_{direction}" for direction in lpc.DIRECTIONS}
    assert datasets.find_ground(config) == GREY[:3]


def test_a_clip_of_a_split_is_that_of_all_of_them(art_dir):
    config = load_module("universal_lpc").get_config("smoke").data
    config.art_dir = str(art_dir)
    settings = lpc.Settings.from_config(config, "test")
    few = lpc.draw_clips(lpc.load_art(art_dir), settings, "test", 3)
    assert np.array_equal(datasets.load_clip(config, "test", 2), few.video[2])
    assert datasets.count_clips(config, "test") == 1000
