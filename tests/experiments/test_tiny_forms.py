"""Experiments that need no run, in their tiny form; those on a run are in test_end_to_end.py."""

import importlib

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
    assert len(output.splitlines()) >= 4
