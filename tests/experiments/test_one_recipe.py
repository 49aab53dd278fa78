"""A training of every data set, and the table of their reports."""

import importlib
import json
import subprocess
from functools import partial
from pathlib import Path

import pytest
from absl import flags
from etils import epath
from ml_collections import config_flags
from tiny import ROOT

from vdd import main
from vdd.evaluation import sections
from vdd.evaluation.probes import ProbeSettings, probe_accuracy
from vdd.method import step

REPORT = {
    "reconstruction": {"psnr": 30.0},
    "transfer": {"joint_acc": 0.5, "pose_acc": 0.25, "psnr": None},
    "bitrate": {
        "target_bits_per_frame": "auto", "joint_entropy_bits_per_frame": None,
        "entropy_bits_per_frame": 6.0,
    },
}  # fmt: skip


@pytest.fixture
def one_recipe(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    return importlib.import_module("one_recipe")


def understood(command):
    """The config and the workdir of a training's command line."""
    values = flags.FlagValues()
    argv = ["vdd.main", *command[3:]]
    config = config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=argv)
    workdir = flags.DEFINE_string("workdir", None, "", flag_values=values)
    values(argv)
    return config.value, epath.Path(str(workdir.value))


@pytest.fixture
def trained(one_recipe, monkeypatch):
    """The configs of the trainings that were begun, by their folder; none of them takes place."""
    found = {}

    def run(command, *, check, stdout):
        assert check
        config, workdir = understood(command)
        found[workdir.name] = config
        report = Path(workdir, "eval", f"{config.train.num_steps}.json")
        report.parent.mkdir(parents=True)
        report.write_text(json.dumps(REPORT))

    monkeypatch.setattr(one_recipe.subprocess, "run", run)
    return found


def rows(text):
    lines = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    head, _, *cells = [[cell.strip() for cell in line] for line in lines]
    return {line[0]: dict(zip(head, line, strict=True)) for line in cells}


@pytest.mark.parametrize("quick", [[], ["--quick"]])
def test_every_data_set_is_trained_as_its_config_says(
    quick, one_recipe, trained, monkeypatch, tmp_path, capsys
):
    for variable in ("VDD_SPRITES_ART", "VDD_UNIVERSAL_LPC"):
        monkeypatch.setenv(variable, str(tmp_path))
    options = ["--out", str(tmp_path), "--faces", "clips", "--set", "objective.null_content=0.25"]
    one_recipe.main([*options, *quick])
    assert len(trained) == len(one_recipe.DATA)
    for name, config in trained.items():
        steps = config.train.num_steps
        assert f"_objective.null_content-0.25_{steps}_0" in name  # no other run is taken for it
        step.build(step.Recipe.from_config(config))
        assert config.objective.null_content == 0.25
        assert config.eval.split == "validation"
        assert (config.data.data_dir == "clips") == name.startswith("talking_head")
    found = rows(capsys.readouterr().out)
    assert list(found) == list(one_recipe.DATA)
    assert found["vivid"]["right, %"] == "50.0"
    assert found["universal_lpc"]["right, %"] == "25.0"
    assert found["faces"] | {"keys": ""} == {
        "data": "faces", "keys": "", "bits told": "auto", "bits held": "6.00", "right, %": "–",
        "steps": found["faces"]["steps"], "swaps, dB": "–", "rebuilt, dB": "30.00",
    }  # fmt: skip
    if not quick:
        assert found["builtin"]["steps"] == "4,000"
        assert 5 < int(found["builtin"]["keys"]) < 20
        assert int(found["faces"]["keys"]) > int(found["builtin"]["keys"])
    trained.clear()
    one_recipe.main([*options, *quick])
    assert not trained, "what has its report is not trained again"


def test_data_that_are_not_here_are_left_out(one_recipe, trained, monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("VDD_SPRITES_ART", raising=False)
    one_recipe.main(["--out", str(tmp_path), "--only", "lpc,faces,vivid"])
    said = capsys.readouterr()
    assert list(rows(said.out)) == ["vivid"]
    assert "lpc is left out: $VDD_SPRITES_ART is not set" in said.err
    assert "faces is left out: give --faces DATA" in said.err


def test_a_training_that_fails_does_not_end_the_table(one_recipe, monkeypatch, tmp_path, capsys):
    def run(command, **_):
        raise subprocess.CalledProcessError(2, command[:3])

    monkeypatch.setattr(one_recipe.subprocess, "run", run)
    one_recipe.main(["--out", str(tmp_path), "--only", "vivid,builtin"])
    said = capsys.readouterr().err
    assert "vivid is left out: Command" in said
    assert "builtin is left out: Command" in said
    with pytest.raises(SystemExit):
        one_recipe.main(["--out", str(tmp_path), "--set", "seed"])
    assert "--set seed: KEY=VALUE is needed" in capsys.readouterr().err


@pytest.mark.experiment
def test_a_training_in_small(one_recipe, few_characters, monkeypatch, tmp_path, capsys):
    def run(command, **_):
        config, workdir = understood(command)
        assert main.train(config, workdir) is None
        main.evaluate(config, workdir)

    monkeypatch.setattr(one_recipe.subprocess, "run", run)
    # That probes learn is in test_probes.
    brief = ProbeSettings(hidden=16, batch_size=16, checks=2, steps_per_check=2)
    monkeypatch.setattr(sections, "probe_accuracy", partial(probe_accuracy, settings=brief))
    network = "model.denoiser.network"
    small = [
        "data.source=in_memory",
        f"{network}.channels=(8,)",
        f"{network}.attention_levels=(0,)",
    ]
    small += ["eval.num_clips=16", "eval.batch_size=8", "eval.probe_clips=36", "eval.judge_steps=2"]
    small = [word for key in small for word in ("--set", key)]
    one_recipe.main(["--quick", "--only", "vivid", "--out", str(tmp_path), *small])
    row = rows(capsys.readouterr().out)["vivid"]
    assert row["steps"] == "20"
    assert 0 < float(row["rebuilt, dB"]) < 30
    assert 0 < float(row["bits held"]) < 7.4
