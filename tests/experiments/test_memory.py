"""The memory script in its tiny form, as in tests/test_end_to_end.py."""

import importlib

import pytest
from tiny import ROOT


@pytest.mark.timeout(1500)  # it compiles a whole training step
def test_memory_of_devices_is_told(capsys, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    importlib.import_module("memory").main(["--tiny"])
    machine, title, *table = capsys.readouterr().out.splitlines()
    assert "cpu" in machine
    assert "sprites.py:smoke" in title
    names, _, four = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table)
    row = dict(zip(names, four, strict=True))
    assert (row.pop("data x fsdp"), row["devices"]) == ("1 x 4", "4")
    row = {name: float(text) for name, text in row.items()}
    assert row["gradients"] == row["averages"] == row["parameters"] > 0
    assert row["moments"] == pytest.approx(2 * row["parameters"], abs=0.1)
    assert row["batch"] == pytest.approx(8 * 8 * 64 * 64 * 3 / 4 / 2**20, abs=0.1)
    # What is counted of the state is what the compiler is given.
    state = sum(row[name] for name in ("parameters", "moments", "averages", "batch"))
    assert row["state and batch"] == pytest.approx(state, abs=0.3)
    assert row["activations"] > row["parameters"]
    assert row["scratch"] > 0
