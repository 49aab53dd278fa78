"""What generated clips are measured by, on clips of which it is known how good they are."""

import importlib

import numpy as np
import pytest
from tiny import ROOT

from vdd.data.sprites import SpritesArrays
from vdd.evaluation.judge import Verdict

CHARACTERS = 4


@pytest.fixture
def generation(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    return importlib.import_module("generation")


@pytest.fixture
def models(generation):
    """Random poses, and a judge who knows them; there is no run."""
    rng = np.random.default_rng(0)
    video = rng.integers(0, 256, (9 * CHARACTERS, 8, 4, 4, 3), np.uint8)
    motion = np.repeat(np.arange(9, dtype=np.int32), CHARACTERS)
    clips = SpritesArrays(video, motion, rng.integers(0, 6, (9 * CHARACTERS, 4), np.int32))

    def judge(seen):
        gap = np.abs(seen[:, None, :4].astype(float) - video[None, :, :4]).sum((2, 3, 4, 5))
        row = gap.argmin(1)
        logits = 50 * np.eye(9, dtype=np.float32)[motion[row]]
        return Verdict(logits, 50 * np.eye(6, dtype=np.float32)[clips.attributes[row]])

    return generation.Models(None, None, clips, judge, None)


def measured(generation, models, monkeypatch, make):
    """The figures where `make(rows, frames)` stands for the prior and the decoder."""
    monkeypatch.setattr(
        generation, "generated", lambda _, rows, c, start, frames, *__: make(rows, frames)
    )
    monkeypatch.setattr(generation, "rebuild", lambda _, rows, *__: make(rows, 8))
    rows = np.random.default_rng(1).permutation(9 * CHARACTERS)
    clips = generation.Clips(rows, rows, rows)
    tables = (generation.made_up, generation.long)
    return {name: figure for t in tables for name, figure, _ in t(models, clips, 0)}


def test_real_clips_are_right_in_all_rounds(generation, models, monkeypatch):
    def real(rows, frames):
        return models.clips.video[rows][:, np.arange(frames) % 8]

    found = measured(generation, models, monkeypatch, real)
    for name in ("frames right", "first rounds right", "second rounds right and alike"):
        assert found[name] == "100.00 %"
    assert found["all four attributes kept"] == "100.00 %"
    assert found["entropy of motions, nats"] == "2.197"
    assert found["Frechet distance: generated, rebuilt"] == found["Frechet distance: rebuilt, real"]
    assert found["rounds right of 64 frames (36 clips), %"] == ", ".join(["100.0"] * 8)


def test_a_motion_that_changes_or_stumbles_is_told(generation, models, monkeypatch):
    def changed(rows, frames):
        """Another motion in the second round."""
        other = (rows + CHARACTERS) % (9 * CHARACTERS)
        rounds = [models.clips.video[some] for some in (rows, other) * 4]
        return np.concatenate(rounds, 1)[:, :frames]

    found = measured(generation, models, monkeypatch, changed)
    assert found["first rounds right"] == "100.00 %"
    assert found["second round judged alike"] == "0.00 %"
    assert found["second rounds right and alike"] == "0.00 %"
    assert found["rounds right of 64 frames (36 clips), %"] == ", ".join(["100.0", "0.0"] * 4)

    def stumbling(rows, frames):
        """The last frame of each round comes twice."""
        return models.clips.video[rows][:, np.minimum(np.arange(frames) % 8, 6)]

    found = measured(generation, models, monkeypatch, stumbling)
    assert found["frames right"] == "87.50 %"
    assert found["first rounds right"] == "0.00 %"


def test_motions_of_one_kind_alone_are_told(generation, models, monkeypatch):
    def walks(rows, frames):
        return models.clips.video[rows % CHARACTERS][:, np.arange(frames) % 8]

    found = measured(generation, models, monkeypatch, walks)
    assert found["entropy of motions, nats"] == "0.000"
    assert found["rarest and commonest motion"] == "0.000 to 1.000"


def test_a_continuation_is_of_its_motion_at_its_place(generation, models, monkeypatch):
    rows = np.arange(9 * CHARACTERS)
    monkeypatch.setattr(generation, "encoded", lambda _, rows, first, n: (rows, rows * 10 + first))

    def go_on(_, rows, content, start, frames, *__):
        np.testing.assert_array_equal(content, rows)
        first = (start - rows * 10)[:, None]
        return models.clips.video[rows[:, None], (first + np.arange(frames)) % 8]

    monkeypatch.setattr(generation, "generated", go_on)
    clips = generation.Clips(rows, rows, rows)
    assert [line[1] for line in generation.continued(models, clips, 0)] == ["100.00 %"] * 3
    # And those of others are not.
    monkeypatch.setattr(generation, "generated", lambda *given: np.flip(go_on(*given), 0))
    assert {line[1] for line in generation.continued(models, clips, 0)} != {"100.00 %"}
