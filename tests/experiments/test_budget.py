"""What a training would take, told of the smoke config."""

import importlib

import pytest
from tiny import ROOT


@pytest.mark.experiment
def test_what_a_training_takes(capsys, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    budget = importlib.import_module("budget")
    budget.main(["--tiny", "--video", "some=2,more=4"])
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("| ") and "---" not in line
    ]
    _, first, second, _, *devices, _, some, more = rows
    assert [row[0].partition(":")[2] for row in (first, second)] == ["smoke", "smoke_temporal"]
    assert [row[1:3] for row in (first, second)] == [["14", "4"], ["6", "4"]]
    steps = [float(row[3]) * 1e12 for row in (first, second)]
    assert 0 < steps[0] < steps[1], "attention along time costs something"
    total = 14 * steps[0] + 6 * steps[1]
    days = {name: float(value) for name, value in devices}
    assert days["A100"] == pytest.approx(total / (0.4 * 312e12) / 86400, rel=0.02)
    assert days["A100"] > days["H100"]
    # 2 hours at 25 frames a second, 16 frames a window; 80 windows are shown in all.
    assert some[:3] == ["some", "2", "11250"]
    assert float(some[3]) == pytest.approx(80 / 11250, rel=0.01)
    assert float(some[4]) == pytest.approx(2 * 3600 * 25 * 64 * 64 * 3 / 1e9, abs=0.6)
    assert [float(x) for x in more[2:3]] == [22500]
