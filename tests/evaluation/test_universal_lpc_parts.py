"""Which parts are seen in a result, on made-up characters."""

import lpc_world as world
import numpy as np
import pytest

from vdd.data.universal_lpc import SLOTS, Wardrobe
from vdd.data.universal_lpc.wardrobe import part_of
from vdd.evaluation.universal_lpc import parts

FRONT = np.flatnonzero(~world.FROM_BEHIND)[:5]
BEHIND = np.flatnonzero(world.FROM_BEHIND)[:5]


def right(video, character=world.BEARDED, cells=FRONT):
    return parts.parts_right(video, world.draw, world.WARDROBE, character, cells, seed=0)


def test_the_truth_wears_everything_and_what_is_not_worn_is_not_asked():
    found = right(world.draw(world.BEARDED, FRONT))
    np.testing.assert_array_equal(np.isnan(found), world.BEARDED < 0)
    assert (found[world.BEARDED >= 0] == 1).all()


@pytest.mark.parametrize("slot", ["body", "hair", "torso", "facial"])
def test_one_wrong_part_is_one_wrong_part(slot):
    wrong, at = world.BEARDED.copy(), world.AT[slot]
    wrong[at] = parts.alternatives(world.WARDROBE, wrong, 0)[slot][-1]
    found = right(world.draw(wrong, FRONT))
    assert found[at] == 0
    assert np.nansum(found) == (world.BEARDED >= 0).sum() - 1


def test_what_is_not_seen_is_not_asked():
    found = right(world.draw(world.BEARDED, BEHIND), cells=BEHIND)
    assert np.isnan(found[world.AT["facial"]])
    assert found[world.AT["hair"]] == 1


def test_a_result_half_way_to_another_part_does_not_wear_it():
    other = world.BEARDED.copy()
    other[world.AT["legs"]] = world.dressed("legs/pants/male/teal_pants")[world.AT["legs"]]
    truth, wrong = (world.draw(x, FRONT).astype(int) for x in (world.BEARDED, other))
    legs = []
    for share in (12 / 26, 13 / 26, 14 / 26):  # colours of neighbours are 26 apart
        video = (truth + np.round(share * (wrong - truth))).astype(np.uint8)
        legs.append(right(video)[world.AT["legs"]])
    assert legs == [1, 0, 0]


def test_others_are_of_the_same_sex_held_out_or_not():
    found = parts.alternatives(world.WARDROBE, world.BEARDED, 0)
    named = {
        slot: {world.WARDROBE.parts[slot][n].name for n in numbers}
        for slot, numbers in found.items()
    }
    assert named["body"] == {"body/male/dark", "body/male/orc"}
    assert named["hair"] == {f"hair/male/{x}" for x in ("plain/red", "bob/red", "pixie/red")}
    assert set(named) == {slot for slot, worn in zip(SLOTS, world.BEARDED) if worn >= 0}


def test_of_many_others_some_are_drawn_the_same_for_a_character_everywhere():
    colours = [part_of(f"hair/male/plain/{i:02d}") for i in range(40)]
    wardrobe = Wardrobe([p for p in colours if p] + world.WARDROBE.parts["body"] + [
        part for slot in ("eyes", "legs", "feet", "torso") for part in world.WARDROBE.parts[slot]
    ])  # fmt: skip
    character = world.KNOWN.copy()
    first = parts.alternatives(wardrobe, character, 0)["hair"]
    assert len(set(first.tolist())) == parts.ALTERNATIVES
    assert character[world.AT["hair"]] not in first
    again, other = (parts.alternatives(wardrobe, character, seed)["hair"] for seed in (0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(other.tolist()) != set(first.tolist())


def test_the_advantage_is_the_difference_of_squared_errors():
    video, truth, other = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 4, 3), np.uint8)
    truth[1] = other[1]
    made, real, wrong = (x.astype(float) for x in (video, truth, other))
    expected = np.square(made - wrong).sum() - np.square(made - real).sum()
    assert parts.advantage(video, truth, other) == expected
    assert parts.advantage(video, truth, truth) is None


def test_shares_are_over_the_clips_where_there_was_something_to_see():
    right = np.full((3, len(SLOTS)), np.nan)
    right[:, 0], right[:2, 2] = [1, 0, 1], [0, 0]
    section = parts.section(right)
    assert section["body"] == pytest.approx(2 / 3)
    assert section["legs"] == 0
    assert section["hair"] is None
    assert section["mean"] == pytest.approx(1 / 3)
