"""Experiments that need no run, in their tiny form; those on a run are in test_end_to_end.py."""

import importlib
import json
import re

import pytest
from tiny import ROOT


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    "script", ["throughput", "ablations", "bitrate_sweep", "readout", "sharpness"]
)
def test_experiment_has_a_tiny_form(script, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("VDD_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(ROOT / "experiments")
    monkeypatch.chdir(tmp_path)
    arguments = {
        "ablations": ["--out", "ablations"],
        "bitrate_sweep": ["--out", "sweep"],
        "sharpness": ["--art", "builtin"],
    }
    importlib.import_module(script).main([*arguments.get(script, []), "--tiny"])
    output = capsys.readouterr().out
    assert "cpu" in output  # each names its machine
    if script == "throughput":
        step = json.loads(output)["training step"]
        assert step
        assert all(value > 0 for value in step.values()), step
        return
    head, _, *rows = [line.split("|") for line in output.splitlines() if line.startswith("|")]
    assert rows
    for row in rows:
        assert len(row) == len(head)
        assert any(re.search(r"\d", cell) for cell in row[3:-1]), row
