"""A shrunken shipped config from the command line to the report, and what is done with its run."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import ROOT

from vdd import cli

# The contract: scripts outside the project read these keys.
KEYS = {
    "sampler": {"name", "steps", "nfe"},
    "reconstruction": {
        "motion_acc", "body_acc", "bottomwear_acc", "topwear_acc", "hair_acc", "psnr", "ssim",
    },
    "transfer": {
        "motion_acc", "body_acc", "bottomwear_acc", "topwear_acc", "hair_acc", "content_acc",
        "joint_acc", "leak_acc", "num_pairs",
    },
    "cdsvae_protocol": {"acc", "inception_score", "h_y_given_x", "h_y"},
    "judge": {"motion_acc", "content_acc"},
    "bitrate": {
        "target_bits_per_frame", "entropy_bits_per_frame", "joint_entropy_bits_per_frame",
        "coded_bits_per_frame", "codebook_usage", "content_bits_per_clip",
    },
    "leakage": {
        "motion_from_content_acc", "content_from_motion_acc", "chance_motion", "chance_content",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a run of the smoke config in runs/sprites, trained as the README says."""
    folder = tmp_path_factory.mktemp("end_to_end")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VDD_CACHE", str(folder / "cache"))  # the judge is trained once, here
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.chdir(folder)
        command = (
            "-m", "vdd.main", f"--config={ROOT}/configs/sprites.py:smoke",
            "--workdir=runs/sprites", "--config.data.source=in_memory",
        )  # fmt: skip
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        yield folder


@pytest.mark.timeout(1500)
def test_report_has_every_key_of_the_contract(place):
    report = json.loads((place / "runs/sprites/eval/20.json").read_text())
    assert {"step", "dataset", "split", "num_clips", "seen_in_training"} <= set(report)
    assert (report["split"], report["seen_in_training"]) == ("validation", False)
    for section, keys in KEYS.items():
        assert keys <= set(report[section]), section
    assert report["dataset"] == "sprites/builtin"
    assert report["transfer"]["num_pairs"] == report["num_clips"] == 32
    assert report["bitrate"]["coded_bits_per_frame"] is None  # not measured, so not guessed


def test_run_directory_has_its_files_and_pictures_that_the_page_shows(place):
    run = place / "runs/sprites"
    for name in ("config.json", "metrics.jsonl", "checkpoints/20", "report.md"):
        assert (run / name).exists(), name
    shown = re.findall(r"\]\((samples/[^)]+)\)", (run / "report.md").read_text())
    assert len(shown) >= 6
    assert all((run / file).stat().st_size > 1000 for file in shown)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {"loss", "bits_per_frame", "content_price", "motion_price"} <= set(lines[-1])
    assert "swap_joint_acc" in lines[-1]


def test_an_evaluation_elsewhere_is_the_same_and_leaves_the_run_alone(place):
    run, there = place / "runs/sprites", place / "elsewhere"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert cli.main(["evaluate", "runs/sprites", "--out", "elsewhere"]) == 0
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    reports = [json.loads((folder / "eval/20.json").read_text()) for folder in (run, there)]
    assert reports[0] == reports[1]
    assert (there / "report.md").read_text() == (run / "report.md").read_text()
    assert (there / "samples/curves.png").exists()


def test_the_test_split_is_measured_when_asked_for(place):
    run = place / "runs/sprites"
    page = (run / "report.md").read_text()
    assert "clips of sprites/builtin (validation)" in page
    assert cli.main(["evaluate", "runs/sprites", "--split", "test"]) == 0
    report = json.loads((run / "eval/20_test.json").read_text())
    assert (report["split"], report["num_clips"]) == ("test", 32)
    assert report["leakage"]["motion_from_content_acc"] is not None
    assert report["seen_in_training"] is False
    assert (run / "report.md").read_text() == page


def test_transfer_between_clips_on_disk(place):
    video = np.zeros((5, 64, 64, 3), np.uint8)
    np.save("who.npy", video)
    np.save("how.npy", video + 99)
    clips = ("--content", "who.npy", "--motion", "how.npy", "--out", "out.npy")
    assert cli.main(["transfer", "runs/sprites", *clips]) == 0
    assert np.load(place / "out.npy").shape == (5, 64, 64, 3)


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    "script", ["samplers", "content_code", "cost_curve", "swap_errors", "judges", "diffusion"]
)
def test_experiment_on_a_run_has_a_tiny_form(place, script, capsys, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    arguments = {
        "samplers": [],
        "content_code": ["--prices", "1e-4"],
        "cost_curve": ["--picture", "cost.png"],
        "swap_errors": ["--pairings", "2"],
        "judges": ["--steps", "2", "--seeds", "0"],
        "diffusion": ["--steps", "0,1", "--out", "tables/diffusion.json"],
    }
    importlib.import_module(script).main(["runs/sprites", *arguments[script], "--tiny"])
    output = capsys.readouterr().out
    assert "cpu" in output  # each names its machine
    assert len(output.splitlines()) >= 4
    if script == "content_code":
        assert "\n| 1e-4 |" in output
    if script == "diffusion":
        rows = [line.split(" | ") for line in output.splitlines() if line.startswith("| ")][2:]
        assert [row[1:3] for row in rows] == [["0", "1"], ["1", "1"]]
        table = json.loads((place / "tables/diffusion.json").read_text())
        assert [row["steps"] for row in table["rows"]] == [0, 1]
        assert table["swaps"] == 27
        for picture in ("diffusion.png", "diffusion_swaps.png"):
            assert (place / "tables" / picture).stat().st_size > 5_000
    if script == "judges":
        rows = [line.split(" | ") for line in output.splitlines() if line.startswith("| ")][1:]
        assert [row[0].strip("| ") for row in rows] == [
            "2 steps, seed 0", "its member 0", "its member 1", "its member 2", "nearest real clip",
        ]  # fmt: skip
        # Real clips are nearest to themselves, and next to themselves where they are blurred.
        assert rows[-1][1] == "0 (-, 0, 0, 0, 0)"


def test_sweep_over_the_bit_rate_tells_of_every_target(place, capsys, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    sweep = importlib.import_module("bitrate_sweep")
    report = json.loads((place / "runs/sprites/eval/20.json").read_text())
    asked = []

    def train(name, seed, changes, options):  # its tiny form trains in earnest
        asked.append((seed, changes["objective.target_bits_per_frame"]))
        return report

    monkeypatch.setattr(sweep.short_runs, "train", train)
    sweep.main(["--targets", "1,12", "--seeds", "0,1", "--picture", "pictures/sweep.png"])
    assert asked == [(0, 1), (1, 1), (0, 12), (1, 12)]
    rows = capsys.readouterr().out.splitlines()
    bits = report["bitrate"]["joint_entropy_bits_per_frame"]
    assert sum(row.startswith(("| 1 |", "| 12 |")) and f"{bits:.2f}" in row for row in rows) == 4
    assert (place / "pictures/sweep.png").stat().st_size > 10_000
