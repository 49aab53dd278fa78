"""New characters beside their twins, on made-up ones."""

import lpc_world as world
import numpy as np
import pytest

from vdd.evaluation.inference import encode_clips
from vdd.evaluation.universal_lpc import carried

PARTNER = np.array([1, 2, 3, 4, 0])


def clips():
    """Cells from the front; the fourth is seen from behind, and its beard with it."""
    found = world.clips_of([world.NEW, world.KNOWN, world.NEW, world.NEW_BEARD, world.NEW_BEARD])
    found.cell[:] = np.flatnonzero(~world.FROM_BEHIND)[np.arange(30).reshape(5, 6)]
    found.cell[3] = np.flatnonzero(world.FROM_BEHIND)[:6]
    video = [world.draw(*one) for one in zip(found.parts, found.cell)]
    return found._replace(video=np.stack(video))


def figures(show=lambda parts: parts):
    functions, found = world.model(show), clips()
    encoded = encode_clips(functions, found.video, 2, show_progress=False)
    pairs = carried.choose(world.WARDROBE, world.draw, found, PARTNER, seed=0)
    return carried.measure(
        functions, encoded, found, PARTNER, pairs, world.draw, seed=0, stream=1, batch_size=2
    )


def test_a_twin_wears_known_parts_in_place_of_the_new_ones():
    other = carried.twin(world.WARDROBE, world.NEW, 0)
    assert other is not None
    changed = np.flatnonzero(other != world.NEW)
    assert changed.tolist() == [world.AT["hair"]]
    worn = world.WARDROBE.parts["hair"][other[world.AT["hair"]]]
    assert not worn.held_out
    assert worn.sexes == ("male",)
    assert carried.twin(world.WARDROBE, world.KNOWN, 0) is None
    drawn = {carried.twin(world.WARDROBE, world.NEW, s)[world.AT["hair"]] for s in range(20)}
    assert len(drawn) == 3  # any of the known ones


def test_only_new_parts_that_can_be_seen_are_looked_for():
    """Rows 0 and 2 are new and seen, 3 is seen from behind, 4 has a beard and is driven by 0."""
    found = clips()
    pairs = carried.choose(world.WARDROBE, world.draw, found, PARTNER, seed=0)
    assert pairs.rows.tolist() == [0, 2, 4]
    assert carried.choose(world.WARDROBE, world.draw, found, PARTNER, 0, count=1).rows == [0]
    # Driven by the clip that is seen from behind, the beard of the last one is not seen either.
    away = carried.choose(world.WARDROBE, world.draw, found, np.array([1, 2, 0, 4, 3]), 0)
    assert away.rows.tolist() == [0, 2]


def test_a_model_that_knows_all_carries_all():
    assert figures() == {"carried": 1.0, "twin": 1.0, "floor": 0.0, "num_pairs": 3}


def test_a_model_that_shows_known_parts_only_does_not_pass_its_floor():
    def forget(parts):
        for slot in ("hair", "facial"):
            if parts[world.AT[slot]] >= 0:
                name = {"hair": "hair/male/plain/red", "facial": "facial/male/beard/red"}[slot]
                parts[world.AT[slot]] = world.dressed(name)[world.AT[slot]]
        return parts

    found = figures(forget)
    assert found["carried"] == found["floor"]
    assert found["carried"] < 1


def test_new_parts_on_everybody_raise_the_floor():
    """The new hair is shown on everybody, the new beard on whom it belongs to."""

    def always(parts):
        parts[world.AT["hair"]] = world.NEW[world.AT["hair"]]
        return parts

    shares = {"carried": 1.0, "twin": pytest.approx(1 / 3), "floor": pytest.approx(2 / 3)}
    assert figures(always) == {**shares, "num_pairs": 3}


def test_there_is_nothing_to_carry_among_known_characters():
    found = world.clips_of([world.KNOWN, world.BEARDED])
    functions, partner = world.model(), np.array([1, 0])
    pairs = carried.choose(world.WARDROBE, world.draw, found, partner, 0)
    encoded = encode_clips(functions, found.video, 2, show_progress=False)
    section = carried.measure(
        functions, encoded, found, partner, pairs, world.draw, seed=0, stream=1, batch_size=2
    )
    assert section == {"carried": None, "twin": None, "floor": None, "num_pairs": 0}
