"""Who is drawn in which split of Universal LPC, in what clothes and colours."""

import itertools

import numpy as np
import pytest
from ml_collections import ConfigDict

from vdd.data import universal_lpc as lpc
from vdd.data.universal_lpc import characters, recolouring, sheets
from vdd.errors import UserError


def test_a_character_wears_what_it_must_of_one_sex(any_art):
    worn_of = {}
    for number in range(200):
        character = lpc.draw_character(any_art.wardrobe, 3, "train", number)
        worn = dict(zip(lpc.SLOTS, character))
        assert all(worn[slot] >= 0 for slot in ("body", "eyes", "legs", "feet", "torso"))
        parts = [any_art.wardrobe.parts[slot][n] for slot, n in worn.items() if n >= 0]
        assert set.intersection(*(set(part.sexes) for part in parts))
        assert len({"female" in part.name for part in parts}) == 1
        for slot, n in worn.items():
            worn_of.setdefault(slot, set()).add(int(n))
    assert all(-1 in worn_of[slot] for slot in ("hair", "hands", "cape", "facial", "head"))
    assert all(len(numbers) >= 2 for numbers in worn_of.values())


def test_splits_share_no_character(any_art):
    found = {
        split: {
            lpc.draw_character(any_art.wardrobe, seed, split, number).tobytes()
            for seed in range(2)
            for number in range(150)
        }
        for split in lpc.SPLITS
    }
    for one, other in itertools.combinations(lpc.SPLITS, 2):
        assert not found[one] & found[other]


def test_held_out_parts_are_in_test_parts_alone(any_art):
    for split in lpc.SPLITS:
        held_out_slots = set()
        for number in range(150):
            character = lpc.draw_character(any_art.wardrobe, 0, split, number)
            assert lpc.split_of(any_art.wardrobe, character) == split
            new = [
                slot
                for (slot, parts), n in zip(any_art.wardrobe.parts.items(), character)
                if n >= 0 and parts[n].held_out
            ]
            assert (1 <= len(new) <= 3) if split == "test_parts" else not new
            held_out_slots.update(new)
        if split == "test_parts":
            there = {s for s, ps in any_art.wardrobe.parts.items() if any(p.held_out for p in ps)}
            assert held_out_slots == there


def test_of_ten_characters_of_known_parts_one_validates_and_one_tests(any_art):
    drawn = [
        character
        for number in range(2000)
        if (rng := np.random.default_rng(number))
        and (character := characters._dress(any_art.wardrobe, rng, new=False)) is not None
    ]
    splits = [lpc.split_of(any_art.wardrobe, character) for character in drawn]
    for split in ("validation", "test"):
        assert 0.03 < splits.count(split) / len(splits) < 0.2
    assert "test_parts" not in splits


def test_a_collection_too_small_for_a_split_is_told(art):
    parts = [part for parts in art.wardrobe.parts.values() for part in parts]
    known = lpc.Wardrobe([part for part in parts if not part.held_out])
    with pytest.raises(UserError, match="too few for characters of test_parts"):
        lpc.draw_character(known, 0, "test_parts", 0)


def test_a_clip_is_a_function_of_seed_split_and_number(any_art):
    settings = lpc.Settings(8, 3, "random")

    def clip(*which) -> bytes:
        return b"".join(array.tobytes() for array in lpc.draw_clip(any_art, settings, *which))

    places = [(0, "train", 0), (1, "train", 0), (0, "validation", 0), (0, "train", 1)]
    found = [clip(*place) for place in places]
    assert len(set(found)) == len(places)
    assert [clip(*place) for place in reversed(places)] == found[::-1]
    seen = {seed: [] for seed in range(2)}
    for seed, characters_of in seen.items():
        for number in range(5):
            character = lpc.draw_character(any_art.wardrobe, seed, "train", number)
            characters_of.append(character.tobytes())
    assert seen[0] != seen[1]


def test_new_colours_leave_shapes_and_the_other_splits_alone(any_art):
    plain, changed = lpc.Settings(8, 4, "grey"), lpc.Settings(8, 4, "grey", recolour=1.0)
    for number in range(4):
        one = lpc.draw_clip(any_art, plain, 0, "train", number)
        other = lpc.draw_clip(any_art, changed, 0, "train", number)
        np.testing.assert_array_equal(one.video[..., 3], other.video[..., 3])
        np.testing.assert_array_equal(one.cell, other.cell)
        seen = one.video[..., 3] == 255
        assert np.mean(np.any(one.video[seen] != other.video[seen], axis=-1)) > 0.5
    keys = {"frames": 8, "channels": 4, "background": "grey", "recolour": 1.0}
    assert lpc.Settings.from_config(ConfigDict(keys), "train") == changed
    assert lpc.Settings.from_config(ConfigDict(keys), "validation") == plain


def test_some_clips_keep_their_colours_and_no_two_new_ones_are_alike(any_art):
    plain, half = lpc.Settings(1, 4, "grey"), lpc.Settings(1, 4, "grey", recolour=0.5)
    seeds = range(40)
    kept = [
        np.array_equal(*(lpc.draw_clip(any_art, s, seed, "train", 0).video for s in (plain, half)))
        for seed in seeds
    ]
    assert 8 < sum(kept) < 32
    character = lpc.draw_character(any_art.wardrobe, 0, "train", 0)
    layers, worn = any_art.layers(character), any_art.parts(character)
    new = [
        recolouring.recoloured(layers, worn, np.random.default_rng(seed))[0].palette.tobytes()
        for seed in seeds
    ]
    assert len(set(new)) == len(seeds)


def test_a_cape_has_one_colour_before_and_behind():
    """The two sheets of a cape have palettes of their own, which share some colours."""
    palette = np.array([[200, 10, 10, 255], [90, 0, 0, 255], [20, 0, 0, 255]], np.uint8)
    layer = sheets.Drawing(np.zeros(179, np.int32), *(np.zeros(0, np.uint16),) * 2, palette[:2])
    layers = [layer, layer, layer._replace(palette=palette[1:])]
    rng = np.random.default_rng(0)
    behind, body, before = recolouring.recoloured(layers, ["cape", "body", "cape"], rng)
    np.testing.assert_array_equal(behind.palette[1], before.palette[0])
    assert np.any(behind.palette != body.palette)
    assert np.all(behind.palette[:, 3] == 255)
    np.testing.assert_array_equal(palette[0], (200, 10, 10, 255))  # the art's own is untouched


def test_each_layer_is_of_a_part(any_art):
    caped = 0
    for number in range(40):
        character = lpc.draw_character(any_art.wardrobe, 0, "train", number)
        layers, parts = any_art.layers(character), any_art.parts(character)
        assert len(layers) == len(parts)
        own = [part for part in parts if parts.count(part) == 1]
        assert all(layers[parts.index(part)] is any_art.drawings[part] for part in own)
        twice = set(parts) - set(own)
        assert all("cape" in part for part in twice)
        caped += len(twice)
    assert caped
