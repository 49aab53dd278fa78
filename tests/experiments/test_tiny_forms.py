"""Experiments that need no run, in their tiny form; those on a run are in test_end_to_end.py."""

import importlib
import itertools
import json
from types import SimpleNamespace

import pytest
import tiny
from tiny import ROOT

import vdd

pytestmark = [pytest.mark.experiment, pytest.mark.usefixtures("few_characters")]


def run_experiment(script, monkeypatch, capsys, *arguments) -> str:
    """What a script prints in its tiny form."""
    monkeypatch.syspath_prepend(ROOT / "experiments")
    importlib.import_module(script).main([*arguments, "--tiny"])
    output = capsys.readouterr().out
    assert "cpu" in output  # each names its machine
    return output


def rows_of(output: str) -> list[list[str]]:
    """The cells of a table without its head."""
    lines = [line.split("|")[1:-1] for line in output.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line] for line in lines]
    assert all(len(row) == len(head) for row in rows)
    return rows


def test_throughput(capsys, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    config = tiny.get_config({
        "objective.reread_clips": 0, "model.denoiser.sight": 0,
        "model.denoiser.network.attention_levels": (),
    })  # fmt: skip
    script, clock = importlib.import_module("throughput"), itertools.count(0.0, 1e-4)
    monkeypatch.setattr(script, "load_config", lambda name: config)
    monkeypatch.setattr(script, "time", SimpleNamespace(perf_counter=clock.__next__))
    report = json.loads(run_experiment("throughput", monkeypatch, capsys))
    step = report["training step"]
    assert step.keys() == {
        "steps/s", "examples/s", "GFLOP a step", "GFLOP/s", "share of matmul peak",
    }  # fmt: skip
    assert step["steps/s"] == pytest.approx(1e4)
    assert step["examples/s"] == pytest.approx(4e4)
    peak = report["matmul GFLOP/s"]["jax"]
    assert peak == pytest.approx(2 * 256**3 / 1e-4 / 1e9, abs=0.1)
    assert step["share of matmul peak"] == pytest.approx(step["GFLOP/s"] / peak, abs=2e-3)
    assert 0 < report["denoiser step"]["jax: GFLOP/s"] < step["GFLOP/s"]


def test_a_config_that_fails_is_told_by_the_script_for_accelerators(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    script, out = importlib.import_module("gpu"), tmp_path / "gpu.json"
    monkeypatch.setattr(script, "measured_apart", lambda name, *rest: {"error": f"no {name}"})
    assert script.main(["--configs", "a", "b", "--out", str(out)]) == 1
    monkeypatch.undo()
    assert json.loads(out.read_text()) == {"a": {"error": "no a"}, "b": {"error": "no b"}}
    assert script.measured_apart("a", True, 0) == {"error": "no time was left"}


def test_readout(capsys, monkeypatch):
    (row,) = rows_of(run_experiment("readout", monkeypatch, capsys))
    assert row[:4] == ["16", "2", "4x4", "8"]
    # Four steps teach nothing, but each is measured: a decibel or two of the frames' own spread.
    quality = [float(text) for text in row[5].split(",")]
    assert len(quality) == 4
    assert len(set(quality)) > 1


def test_sharpness(capsys, monkeypatch):
    output = run_experiment("sharpness", monkeypatch, capsys, "--art", "builtin")
    found = {name: list(map(float, cells)) for name, *cells in rows_of(output)}
    assert found["real"][:3] == [1.0, 1.0, 1.0]  # ratios to themselves
    power = [found[name][0] for name in ("blur 2 px", "blur 1 px", "blur 0.5 px", "real")]
    assert power == sorted(power)
    assert found["noise 0.1"][0] > found["noise 0.05"][0] > found["noise 0.02"][0] > 1
    assert found["mean of 4 poses"][3] < found["real"][3]


def test_what_is_recognised_ends_where_all_is_noise(monkeypatch, tiny_run):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    script, run = importlib.import_module("recognition"), vdd.load(tiny_run)
    video = tiny.random_video(2, 4)
    distance, shares = script.recognise(run, video, video, [0.1, 1e5])
    assert distance > 0
    assert shares[1] == pytest.approx(1.0, abs=1e-3)
    assert abs(shares[0] - 1.0) > 0.01
