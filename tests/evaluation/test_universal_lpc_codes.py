"""What codes say of cells and people, against counting by hand."""

import itertools

import numpy as np
import pytest

from vdd.evaluation.universal_lpc import codes


def labels(people=40, frames=50, cells=8, seed=0):
    rng = np.random.default_rng(seed)
    cell = rng.integers(cells, size=(people, frames))
    parts = np.arange(people)[:, None] // 2  # two clips of each character
    return cell, parts, rng


def test_codes_that_are_the_cell_say_all_of_it_and_are_the_same_for_everybody():
    cell, parts, _ = labels()
    section = codes.section(np.stack([cell // 3, cell % 3], -1), cell, parts)
    assert section["information_bits"] == pytest.approx(section["cell_bits"], abs=1e-6)
    assert section["joint_bits"] == pytest.approx(3.0, abs=0.01)
    assert section["information_chance"] == pytest.approx(0.0, abs=0.02)
    assert section["same_code"] == 1.0
    assert section["same_code_chance"] == pytest.approx(1 / 8, abs=0.01)


def test_codes_that_are_the_person_say_nothing_of_the_cell():
    cell, parts, _ = labels()
    person = np.broadcast_to(parts[..., None], (*cell.shape, 1))
    section = codes.section(person, cell, parts)
    assert section["information_bits"] == pytest.approx(0.0, abs=0.05)
    assert section["same_code"] == section["same_code_chance"] == 0.0


def test_half_of_the_cell_is_half_of_the_information():
    cell, parts, rng = labels(cells=16)
    noise = rng.integers(4, size=cell.shape)
    section = codes.section(np.stack([cell % 4, noise], -1), cell, parts)
    assert section["information_bits"] == pytest.approx(2.0, abs=0.02)
    assert section["joint_bits"] == pytest.approx(4.0, abs=0.02)
    assert section["same_code"] == pytest.approx(1 / 4, abs=0.01)


def test_pairs_are_those_of_different_characters_in_one_cell():
    cell, parts, rng = labels(people=6, frames=5, cells=3)
    code = rng.integers(2, size=(*cell.shape, 2))
    frames = [(int(parts[b, 0]), cell[b, t], tuple(code[b, t])) for b, t in np.ndindex(*cell.shape)]
    pairs = [(a, b) for a, b in itertools.combinations(frames, 2) if a[0] != b[0]]
    within = [a[2] == b[2] for a, b in pairs if a[1] == b[1]]
    section = codes.section(code, cell, parts)
    assert section["same_code"] == np.mean(within)
    assert section["same_code_chance"] == np.mean([a[2] == b[2] for a, b in pairs])


def test_one_character_has_nobody_to_agree_with():
    cell, parts, _ = labels(people=2)
    section = codes.section(cell[..., None], cell, parts)
    assert section["same_code"] is None
    assert section["same_code_chance"] is None
