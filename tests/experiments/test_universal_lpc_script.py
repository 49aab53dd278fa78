"""The table and the sheet of Universal LPC, on a made-up collection and a model that knows all."""

import importlib
import json
import sys

import numpy as np
import pytest
from PIL import Image
from tiny import ROOT

from vdd.data import universal_lpc as lpc
from vdd.data.universal_lpc.sheets import Drawing
from vdd.diffusion.samplers import Sampler

PIXELS = 40  # of each part in each cell


@pytest.fixture
def world(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tests/evaluation")
    return importlib.import_module("lpc_world")


@pytest.fixture
def script(monkeypatch, world):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    module = importlib.import_module("universal_lpc")
    monkeypatch.setattr(module, "load_art", lambda folder: made_up_art(world.WARDROBE))
    monkeypatch.setattr(module.protocol, "of_validation", few_features)
    yield module
    sys.modules.pop("universal_lpc")


def few_features(wardrobe, draw):
    from vdd.evaluation.universal_lpc import features

    cells = np.random.default_rng(0).integers(178, size=(30, 1), dtype=np.int32)
    people = (lpc.draw_character(wardrobe, 0, "validation", number) for number in range(30))
    return features.fit(np.concatenate([draw(*one) for one in zip(people, cells)]))


def made_up_art(wardrobe) -> lpc.Art:
    """Each part is a few pixels of its own colour, in other places in each cell."""
    drawings = {}
    names = [part.name for parts in wardrobe.parts.values() for part in parts]
    for seed, name in enumerate(names):
        rng = np.random.default_rng(seed)
        at = [np.sort(rng.permutation(64 * 64)[:PIXELS]) for _ in range(lpc.NUM_CELLS)]
        starts = np.arange(lpc.NUM_CELLS + 1, dtype=np.int32) * PIXELS
        palette = np.append(rng.integers(256, size=3), 255).astype(np.uint8)[None]
        places = np.concatenate(at).astype(np.uint16)
        drawings[name] = Drawing(starts, places, np.zeros(len(places), np.uint8), palette)
    return lpc.Art(wardrobe, drawings, (), "made up")


def knows_all(script, world, channels=3):
    """A run that finds each clip among all clips, and draws what is asked."""
    art = made_up_art(world.WARDROBE)
    draw = script.protocol.drawer(art, channels)
    known = {}
    settings = lpc.Settings(4, channels, "grey")
    for split in ("validation", "test_parts"):
        clips = lpc.draw_clips(art, settings, split, 6)
        known |= {video.tobytes(): (p, c) for video, c, p in zip(*clips)}

    def encode(video):
        parts, cells = (np.stack(x) for x in zip(*(known[np.asarray(v).tobytes()] for v in video)))
        motion = cells[..., None]
        bits = np.zeros(len(parts))
        return world.Encoded(parts[:, None].astype(float), motion.astype(float), motion, bits)

    def sample(keys, content, motion):
        asked = zip(content[:, 0].astype(np.int32), motion[..., 0].astype(np.int32))
        return np.stack([draw(*one) for one in asked])

    functions = world.Functions(encode, sample, num_codewords=lpc.NUM_CELLS)
    sampler = Sampler("mean", 0, 0.02, 3.0, 7.0)
    return script.Subject("known", 7, functions, sampler, 4, channels, 3)


@pytest.mark.experiment
def test_the_table_has_the_baselines_and_the_run(script, world, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(script, "load", lambda name, steps: [knows_all(script, world)])
    out = tmp_path / "table.json"
    asked = ["--run", "x", "--clips", "4", "--known", "3", "--out", str(out)]
    assert script.main(asked) == 0
    rows = json.loads(out.read_text())["rows"]
    grey, mean, random, best, run = rows.values()
    assert list(rows)[-1] == "known, step 7, 0 sampler steps"
    assert grey["psnr"] < mean["psnr"] < best["psnr"]
    assert random["psnr"] < best["psnr"]
    assert max(grey["parts"], best["parts"]) < run["parts"] == 1
    assert run["pose_acc"] == 1
    assert best["carried"] is None
    table = out.with_suffix(".md").read_text()
    assert "| known, step 7, 0 sampler steps | 100.00 % | – | " in table
    assert table in capsys.readouterr().out


@pytest.mark.experiment
def test_known_characters_do_not_pass_their_floor(script, tmp_path):
    out = tmp_path / "table.json"
    assert script.main(["--split=test_parts", "--clips=4", "--known=3", f"--out={out}"]) == 0
    *_, random, best = json.loads(out.read_text())["rows"].values()
    assert random["carried"] == random["floor"]
    assert 0 <= best["carried"] <= 1


@pytest.mark.experiment
@pytest.mark.parametrize("channels", [3, 4])
def test_the_sheet_has_four_rows_for_each_swap(script, world, monkeypatch, tmp_path, channels):
    monkeypatch.setattr(script, "load", lambda name, steps: [knows_all(script, world, channels)])
    path = tmp_path / "pictures/sheet.png"
    assert script.main(["--run=x", "--clips=6", "--each=1", f"--sheet={path}"]) == 0
    sheet = np.asarray(Image.open(path)).reshape(3, 4, 64, 4 * 64, 3)
    np.testing.assert_array_equal(sheet[:, 2], sheet[:, 3])  # the truth and the result
    assert not np.array_equal(sheet[:, 0], sheet[:, 1])


def test_swaps_are_chosen_by_rule(script):
    psnr = np.array([5.0, 9, 1, 7, 3, 8])
    assert script.by_rule(psnr, 1).tolist() == [1, 3, 2]
    assert script.by_rule(psnr, 2).tolist() == [1, 5, 3, 0, 4, 2]
    assert script.by_rule(psnr, 9).tolist() == [1, 5, 3, 0, 4, 2]


def test_another_run_is_refused_in_a_line(script, tiny_run, capsys):
    assert script.main(["--run", str(tiny_run)]) == 2
    assert "not on universal_lpc" in capsys.readouterr().err
