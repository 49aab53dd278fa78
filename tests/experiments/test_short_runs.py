"""The trainings that `ablations` and `bitrate_sweep` ask for, none of which takes place here."""

import importlib
import json
import subprocess
from pathlib import Path

import pytest
from absl import flags
from matplotlib.figure import Figure
from ml_collections import config_flags
from tiny import ROOT

from vdd.method import step


@pytest.fixture
def short_runs(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    return importlib.import_module("short_runs")


def parsed(command):
    """The config and the workdir of a command line of `vdd.main`."""
    _, dash_m, module, *arguments = command
    assert (dash_m, module) == ("-m", "vdd.main")
    values, argv = flags.FlagValues(), ["vdd.main", *arguments]
    config = config_flags.DEFINE_config_file(
        "config", None, "", flag_values=values, lock_config=True, sys_argv=argv
    )
    workdir = flags.DEFINE_string("workdir", None, "", flag_values=values)
    assert values(argv) == ["vdd.main"]
    return config.value, Path(workdir.value)


@pytest.fixture
def trained(short_runs, monkeypatch):
    """The configs of the trainings that were begun, by their folder; none of them takes place."""
    found = {}

    def run(command, *, check, stdout):
        assert check, "what goes wrong is not passed over"
        config, workdir = parsed(command)
        found[workdir.name] = config
        report = workdir / "eval" / f"{config.train.num_steps}.json"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps({"of": workdir.name}))

    monkeypatch.setattr(short_runs.subprocess, "run", run)
    return found


def test_the_report_is_that_of_the_training(short_runs, trained, tmp_path):
    options = short_runs.parser("About.", "name").parse_args(
        ["--steps", "30", "--clips", "20", "--out", str(tmp_path)]
    )
    changes = {"optimizer.learning_rate": 0.5, "model.denoiser.network.attention_levels": "()"}
    report = short_runs.train("one thing", 7, changes, options)
    assert report == {"of": "builtin_one-thing_7"}
    config = trained["builtin_one-thing_7"]
    assert (config.seed, config.train.num_steps, config.eval.num_clips) == (7, 30, 20)
    assert config.optimizer.learning_rate == 0.5
    assert config.model.denoiser.network.attention_levels == ()
    assert config.model.encoder.num_layers == 3, "it is `quick`"


def test_another_split_is_measured_once(short_runs, trained, tmp_path, monkeypatch):
    measured = []

    def evaluate_run(workdir, split):
        measured.append((workdir.name, split))
        (workdir / "eval" / f"20_{split}.json").write_text('{"of": "test"}')

    monkeypatch.setattr(short_runs, "evaluate_run", evaluate_run)
    options = short_runs.parser("About.", "name").parse_args(
        ["--tiny", "--split", "test", "--out", str(tmp_path)]
    )
    for _ in range(2):
        assert short_runs.train("recipe", 0, {}, options) == {"of": "test"}
    assert measured == [("builtin_recipe_0", "test")]


def test_a_training_that_fails_is_not_passed_over(short_runs, tmp_path, monkeypatch):
    monkeypatch.setattr(short_runs.sys, "executable", "false")
    options = short_runs.parser("About.", "name").parse_args(["--out", str(tmp_path)])
    with pytest.raises(subprocess.CalledProcessError):
        short_runs.train("recipe", 0, {}, options)


@pytest.mark.parametrize("script", ["ablations", "bitrate_sweep"])
@pytest.mark.parametrize("art", ["builtin", "lpc"])
def test_every_variant_is_a_training_that_can_be(
    script, art, short_runs, trained, tmp_path, monkeypatch
):
    module = importlib.import_module(script)
    monkeypatch.setattr(module.short_runs, "cells", lambda report, keys: report["of"])
    monkeypatch.setattr(module, "draw", lambda reports: Figure(), raising=False)
    module.main(["--art", art, "--seeds", "0,1", "--out", str(tmp_path)])
    assert len(trained) == 2 * (len(module.VARIANTS) if script == "ablations" else 6)
    seen = set()
    for name, config in trained.items():
        assert config.data.art == art
        step.build(step.Recipe.from_config(config))
        with config.unlocked():
            del config.seed, config.train
        seen.add((config.to_json(), name[-1]))
    assert len(seen) == len(trained), "two variants are the same"
