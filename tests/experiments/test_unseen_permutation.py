"""The other run is the first with another permutation, and both are measured on their tests."""

import importlib
import json

import numpy as np
import pytest
import tiny

from vdd import runs
from vdd.data.sprites import benchmark
from vdd.errors import UserError
from vdd.training.workdir import claim


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(tiny.ROOT / "experiments")
    return importlib.import_module("unseen_permutation")


def report_of(accuracy: float) -> dict:
    sections = ("transfer", "reconstruction", "bitrate", "leakage", "judge")
    keys = (
        "motion_acc", "content_acc", "joint_acc", "leak_acc", "psnr",
        "joint_entropy_bits_per_frame", "motion_from_content_acc", "content_from_motion_acc",
    )  # fmt: skip
    return {"step": 7, **{section: dict.fromkeys(keys, accuracy) for section in sections}}


@pytest.mark.experiment
def test_both_runs_are_measured_on_the_test_split_of_their_permutation(
    script, tiny_run, tmp_path, capsys, monkeypatch
):
    measured = []

    def train(config, workdir):
        claim(workdir, config)

    def evaluate_run(folder, split):
        measured.append((str(folder), split))
        return report_of(0.25 * len(measured))

    monkeypatch.setattr(script.training, "train", train)
    monkeypatch.setattr(script, "evaluate_run", evaluate_run)
    script.main([str(tiny_run), "--seed", "7", "--workdir", str(tmp_path / "other")])
    assert measured == [(str(tiny_run), "test"), (str(tmp_path / "other"), "test")]
    before, after = (
        json.loads((folder / "config.json").read_text())
        for folder in (tiny_run, tmp_path / "other")
    )
    assert after["data"].pop("permutation_seed") == 7
    assert before["data"].pop("permutation_seed") == 423
    assert after["data"].pop("source") == "in_memory"
    del before["data"]["source"]
    assert before == after
    said = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1:4] for line in said[-2:]] == [
        [" 423 ", " 7 ", " 0.250 "], [" 7 ", " 7 ", " 0.500 "],
    ]  # fmt: skip
    numbers = [np.random.RandomState(seed).permutation(1296)[1000:] for seed in (423, 7)]
    assert f"{np.intersect1d(*numbers).size} of 296 test characters" in said[1]


def test_it_wants_a_run_on_sprites_and_another_permutation(script, tiny_run):
    config = runs.load_config(runs.find(tiny_run))
    with pytest.raises(UserError, match="the permutation of the run itself"):
        script.permuted(config, benchmark.PERMUTATION_SEED)
    with pytest.raises(UserError, match="before `vdd compress`"):
        script.permuted(runs.load_config(runs.find("sprites")), 7)
