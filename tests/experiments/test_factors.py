import importlib

import numpy as np
import pytest
from tiny import ROOT

from vdd.data.sprites import ATTRIBUTES, SpritesArrays


@pytest.fixture
def factors(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    return importlib.import_module("factors")


def clips_that_show(changed):
    """Every motion with every character, each once; one colour of one pixel tells one factor."""
    motion, *attributes = np.indices((9, 6, 6, 6, 6)).reshape(5, -1)
    values = {"action": motion // 3, "direction": motion % 3}
    values |= dict(zip(ATTRIBUTES, attributes, strict=True))
    video = np.zeros((len(motion), 2, 4, 8, 3), np.uint8)
    video[:, :, 1, 2, 0] = 40 * values[changed][:, None]
    return SpritesArrays(video, motion, np.stack(attributes, 1))


@pytest.mark.parametrize("changed", ["action", "direction", *ATTRIBUTES])
def test_a_factor_tells_the_pixels_that_it_changes(factors, changed):
    told = factors.variances(clips_that_show(changed))
    count = 6 if changed in ATTRIBUTES else 3
    spread = (40.0 * np.arange(count) / 16 / 255).var()
    shown = {"action": ["pose"], "direction": ["pose", "direction"]}.get(changed, [changed])
    expected = {name: spread if name in shown else 0.0 for name in told}
    assert told == pytest.approx(expected, rel=1e-4, abs=1e-9)


@pytest.mark.experiment
def test_the_table_of_the_built_in_art(factors, capsys, monkeypatch):
    monkeypatch.setattr(factors, "load_arrays", lambda art, split: clips_that_show("direction"))
    factors.main(["--tiny"])
    head, _, row = capsys.readouterr().out.splitlines()
    cells = dict(zip(head.split("|"), row.split("|"), strict=True))
    assert cells[" art "] == " builtin "
    assert cells[" hair "] == cells[" hair / direction "] == " 0.00 "
