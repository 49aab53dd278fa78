"""Experiments that need no run, in their tiny form; those on a run are in test_end_to_end.py."""

import importlib
import importlib.util
import itertools
import json
import re
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
    script, tick = importlib.import_module("throughput"), itertools.count(0.0, 1e-3).__next__
    monkeypatch.setattr(script, "load_config", lambda name: config)
    # A call takes two ticks of a clock that is read twice before it and after.
    clock = SimpleNamespace(perf_counter=tick, process_time=tick, sleep=lambda seconds: None)
    monkeypatch.setattr(script, "time", clock)
    output = run_experiment("throughput", monkeypatch, capsys)
    assert f"in JAX: {2 * 256**3 / 2e-3 / 1e9:.1f} GFLOP/s" in output
    with_torch = importlib.util.find_spec("torch") is not None
    first = next(line for line in output.splitlines() if line.startswith("loss of the first step"))
    losses = [float(x) for x in re.findall(r"\d+\.\d{6}", first)]
    assert losses == pytest.approx([losses[0]] * (3 if with_torch else 1), rel=1e-4)
    steps, parts = (rows_of(part) for part in output.split("of the product's"))
    assert [row[0].split()[0] for row in steps] == ["JAX"] + ["PyTorch"] * (2 * with_torch)
    assert all(row[1:] == ["2.0 (2.0 to 2.0)"] * 2 + ["1.00 (1.00 to 1.00)"] * 2 for row in steps)
    names = ["encoder", "read-out", "UNet", "optimizer", "the rest", "the whole step"]
    assert [row[0] for row in parts] == names
    for row, expected in zip(parts, [*["2.0"] * 4, "-6.0", "2.0"], strict=True):
        assert row[1:] == [expected] * (4 if with_torch else 2)


def test_a_config_that_fails_is_told_by_the_script_for_accelerators(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    script, out = importlib.import_module("gpu"), tmp_path / "gpu.json"
    monkeypatch.setattr(script, "measured_apart", lambda name, *rest: {"error": f"no {name}"})
    assert script.main(["--configs", "a", "b", "--out", str(out)]) == 1
    monkeypatch.undo()
    assert json.loads(out.read_text()) == {"a": {"error": "no a"}, "b": {"error": "no b"}}
    assert script.measured_apart("a", True, 0) == {"error": "no time was left"}


def test_sources_are_timed(capsys, monkeypatch):
    pytest.importorskip("grain", reason="needs grain")
    pytest.importorskip("tensorflow", reason="needs TensorFlow")
    output = run_experiment("input_speed", monkeypatch, capsys, "--steps-per-second", "20")
    rows = rows_of(output)
    assert [row[0] for row in rows] == ["in_memory", "tfdata", "grain"]
    for row in rows:
        median, least, most = map(int, re.findall(r"\d+", row[1]))
        assert 0 < least <= median <= most
        assert row[3] == f"{max(0, 1 - median / (32 * 3)):.0%}"


def test_a_slow_source_is_waited_for(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    script, clock = importlib.import_module("input_speed"), SimpleNamespace(now=0.0)

    def sleep(seconds):
        clock.now += seconds

    instead = SimpleNamespace(sleep=sleep, perf_counter=lambda: clock.now)
    monkeypatch.setattr(script, "time", instead)
    batches = map(sleep, itertools.cycle([0.1, 0.0, 0.0, 0.0]))  # each fourth takes its time
    assert script.share_late(batches, 8.0, 10.0) == 0.25
    assert script.rate(batches, 20.0) == pytest.approx(40.0, abs=1)
    assert script.waiting(960.0, 32, 30.0) == 0
    assert script.waiting(480.0, 32, 30.0) == 0.5


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
