"""Probes find what codes and content hold, and nothing where there is nothing."""

import lpc_world as world
import numpy as np
import pytest

from vdd.data.universal_lpc import Clips
from vdd.data.universal_lpc.scripts import MOTION_OF_CELL, script
from vdd.data.universal_lpc.sheets import DIRECTIONS, MOTIONS
from vdd.evaluation.inference import Encoded
from vdd.evaluation.probes import ProbeSettings
from vdd.evaluation.universal_lpc import leakage

PEOPLE, TIMES, FRAMES = 200, 2, 4
DIRECTION = np.array([DIRECTIONS.index(motion.direction) for motion in MOTIONS])[MOTION_OF_CELL]


def clips() -> Clips:
    """People twice each, of any skin and hair; eyes without end tell them apart."""
    rng = np.random.default_rng(0)
    people = np.tile(world.KNOWN, (PEOPLE, 1))
    males = [n for n, part in enumerate(world.WARDROBE.parts["body"]) if "male" in part.sexes]
    people[:, world.AT["body"]] = rng.choice(males, PEOPLE)
    people[:, world.AT["hair"]] = rng.choice([-1, 2, 3, 4, 5], PEOPLE)
    people[:, world.AT["eyes"]] = np.arange(PEOPLE)
    cell = np.stack([script(rng, FRAMES) for _ in range(TIMES * PEOPLE)])
    video = np.zeros((len(cell), 1, 1, 1, 3), np.uint8)
    return Clips(video, cell, np.tile(people, (TIMES, 1)))


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch):
    monkeypatch.setattr(leakage, "_LINEAR", ProbeSettings(hidden=0, checks=8, learning_rate=1e-2))


def section(codes, content, num_codewords=6):
    found = clips()
    count = len(found.cell)
    codes = np.broadcast_to(codes(found), (count, FRAMES, 2)).astype(np.int64)
    encoded = Encoded(content(found), codes.astype(np.float32), codes, np.zeros(count))
    return leakage.section(encoded, found, world.WARDROBE, num_codewords, seed=0)


def noise(found):
    return np.random.default_rng(1).integers(6, size=(len(found.cell), FRAMES, 2))


def quiet(found):
    return np.random.default_rng(2).standard_normal((len(found.cell), 1, 4)).astype(np.float32)


def test_nothing_is_read_in_noise():
    found = section(noise, quiet)
    for name in ("skin_from_codes", "hairstyle_from_codes"):
        chance = found[name.replace("from_codes", "chance")]
        assert found[name] < chance + 0.06
    assert found["direction_from_content"] < found["direction_chance"] + 0.06
    assert found["sex_from_codes"] == found["sex_chance"] == 1.0  # all are men


@pytest.mark.parametrize("num_codewords", [6, None])
def test_a_skin_in_the_codes_is_read(num_codewords):
    def skin(found):
        body = found.parts[:, world.AT["body"], None, None]
        return np.concatenate(
            [np.broadcast_to(body, (len(body), FRAMES, 1)), noise(found)[..., :1]], 2
        )

    found = section(skin, quiet, num_codewords)
    assert found["skin_from_codes"] > (0.98 if num_codewords else 0.6)
    assert found["hairstyle_from_codes"] < found["hairstyle_chance"] + 0.06


def test_styles_are_whatever_the_colour():
    def style(found):
        hair = found.parts[:, world.AT["hair"], None, None]
        return np.where(hair < 4, hair + 1, 5)  # none, bob, pixie; plain in two colours

    assert section(style, quiet)["hairstyle_from_codes"] > 0.9


def test_no_character_is_in_both_parts_and_every_clip_is_tested_once(monkeypatch):
    person = np.repeat(np.arange(10), 3)
    tested = []

    def probe(train, test, groups, num_classes, settings):
        np.testing.assert_array_equal(train.features[:, 0], groups)
        assert not set(groups) & set(test.features[:, 0])
        assert settings.hidden == 0
        tested.extend(test.features[:, 0])
        return np.array([1.0, 0.5])

    monkeypatch.setattr(leakage, "probe_accuracy", probe)
    labels = np.zeros((30, 2), int)
    assert leakage._cross_validated(person[:, None], labels, person, seed=0) == [1.0, 0.5]
    assert sorted(tested) == sorted(person)


def test_content_that_tells_what_its_clip_shows_comes_as_far_as_it_can():
    def shown(found):
        counts = (DIRECTION[found.cell][..., None] == np.arange(4)).mean(1)
        return counts[:, None].astype(np.float32)

    found = section(noise, shown)
    assert found["direction_chance"] + 0.2 < found["direction_in_clip"] < 1
    assert found["direction_from_content"] == pytest.approx(found["direction_in_clip"], abs=0.03)
    assert found["action_from_content"] < found["action_in_clip"] - 0.1


def test_too_few_people_are_not_probed():
    few = Clips(*(part[:3] for part in clips()))
    encoded = Encoded(
        np.zeros((3, 1, 2)), np.zeros((3, FRAMES, 2)), np.zeros((3, FRAMES, 2), int), np.zeros(3)
    )
    found = leakage.section(encoded, few, world.WARDROBE, 6, 0)
    assert found["skin_from_codes"] is None
    assert found["direction_from_content"] is None
    assert found["skin_chance"] is not None
