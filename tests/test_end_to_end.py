"""A shrunken shipped config from the command line to the report, and what is done with its run."""

import importlib
import json
import re
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from etils import epath
from tiny import ROOT, load_module, order_of_writing, perturbed

from vdd import cli, main
from vdd.evaluation import sections
from vdd.evaluation.probes import ProbeSettings, probe_accuracy
from vdd.method.content import ContentCode

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

JUDGE_STEPS, CLIPS = 2, 16
BRIEF = ProbeSettings(hidden=16, batch_size=16, checks=2, steps_per_check=2)


@pytest.fixture(scope="module")
def place(tmp_path_factory, few_characters) -> Path:
    """A folder with a run of the smoke config in runs/sprites, trained and evaluated."""
    folder = tmp_path_factory.mktemp("end_to_end")
    config = load_module("sprites").get_config("smoke")
    config.data.source = "in_memory"
    config.model.denoiser.network.update(channels=(8,), attention_levels=(0,))
    config.eval.update(num_clips=CLIPS, batch_size=8, probe_clips=36, judge_steps=JUDGE_STEPS)
    with pytest.MonkeyPatch.context() as patch:
        # That probes learn is in test_probes, and that judges do in test_judge.
        patch.setattr(sections, "probe_accuracy", partial(probe_accuracy, settings=BRIEF))
        patch.setenv("VDD_CACHE", str(folder / "cache"))  # the judge is trained once, here
        patch.chdir(folder)
        run = epath.Path("runs/sprites")
        assert main.train(config.lock(), run) is None
        main.evaluate(config, run)
        yield folder


def test_report_has_every_key_of_the_contract(place):
    report = json.loads((place / "runs/sprites/eval/20.json").read_text())
    assert {"step", "dataset", "split", "num_clips", "seen_in_training"} <= set(report)
    assert (report["split"], report["seen_in_training"]) == ("validation", False)
    for section, keys in KEYS.items():
        assert keys <= set(report[section]), section
    assert report["dataset"] == "sprites/builtin"
    assert report["transfer"]["num_pairs"] == report["num_clips"] == CLIPS
    assert report["bitrate"]["coded_bits_per_frame"] is None  # not measured, so not guessed


def test_run_directory_has_its_files_and_pictures_that_the_page_shows(place):
    run = place / "runs/sprites"
    for name in ("config.json", "metrics.jsonl", "checkpoints/20", "report.md"):
        assert (run / name).exists(), name
    order = order_of_writing(run)  # a run that is stopped before the report evaluates again
    assert (
        order.index("eval/20.json") > order.index("report.md") > order.index("samples/curves.png")
    )
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
    assert (report["split"], report["num_clips"]) == ("test", CLIPS)
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


def run_experiment(script, monkeypatch, capsys, *arguments) -> list[str]:
    """The lines that a script prints of the run in its tiny form."""
    monkeypatch.syspath_prepend(ROOT / "experiments")
    importlib.import_module(script).main(["runs/sprites", *arguments, "--tiny"])
    machine, *lines = capsys.readouterr().out.splitlines()
    assert "cpu" in machine
    return lines


def cells_of(lines: list[str]) -> list[list[str]]:
    """The rows of a table, without the lines around it and the one under its head."""
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    del rows[1]
    assert all(len(row) == len(rows[0]) for row in rows)
    return rows


@pytest.mark.experiment
def test_samplers_are_compared(place, capsys, monkeypatch):
    _, *rows = cells_of(run_experiment("samplers", monkeypatch, capsys))
    assert [row[:3] for row in rows] == [
        ["mean", "0", "0"], ["euler", "1", "1"], ["heun", "2", "3"], ["dpmpp_2m", "2", "2"],
    ]  # fmt: skip
    shares = np.array([row[3:6] for row in rows], float)
    assert ((shares >= 0) & (shares <= 1)).all()
    assert all(float(row[6]) > 0 for row in rows)


@pytest.mark.experiment
def test_content_codes_are_compared(place, capsys, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    script, asked = importlib.import_module("content_code"), []
    code = ContentCode(num_numbers=3, width=8, shape=(4, 32), reach=2, num_modes=3)

    def learn(model, params, readings, settings):  # that it learns is in test_content_code
        asked.append((settings.price, settings.num_steps, settings.seed, len(readings.content)))
        shapes = jax.eval_shape(code.init, jax.random.key(0), readings.content[:, 0])["params"]
        return model.clone(content_code=code), {**params, "content_code": perturbed(shapes)}

    monkeypatch.setattr(script.content_code, "learn", learn)
    lines = run_experiment("content_code", monkeypatch, capsys, "--prices", "1e-4,1e-3")
    _, plain, *coded = cells_of(lines)
    assert [row[0] for row in (plain, *coded)] == ["none", "1e-4", "1e-3"]
    count = asked[0][-1]
    assert asked == [(1e-4, 2, 0, count), (1e-3, 2, 0, count)]
    assert float(plain[1]) > 0
    for row in coded:  # the same code twice, of at most five values for each of three numbers
        assert row[1:-1] == coded[0][1:-1]
        assert 0 < float(row[1]) < 100
        assert 1 <= int(row[2]) <= int(plain[2])


@pytest.mark.experiment
def test_what_accuracy_costs(place, capsys, monkeypatch):
    lines = run_experiment("cost_curve", monkeypatch, capsys, "--picture", "cost.png")
    _, row = cells_of(lines)  # swaps were judged once
    assert row[:2] == ["runs/sprites", "20"]
    assert float(row[2]) > 0
    assert (place / "cost.png").stat().st_size > 10_000


@pytest.mark.experiment
def test_errors_in_swaps_are_told(place, capsys, monkeypatch):
    lines = run_experiment("swap_errors", monkeypatch, capsys, "--pairings", "2")
    assert "3 characters of validation" in lines[0]
    _, *rows = cells_of(lines)
    assert [row[0] for row in rows] == ["0", "1"]
    wrong = [round(27 * (1 - float(share))) for row in rows for share in row[2:6]]
    told = [int(line.split()[0]) for line in lines if " is taken for " in line]
    assert len(told) <= 8
    assert sum(told) <= sum(wrong)
    assert any("of 54 swaps have something wrong" in line for line in lines)


@pytest.mark.experiment
def test_judges_are_compared(place, capsys, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    script, asked = importlib.import_module("judges"), []
    # Of the nearest clip, no more characters are looked at than there are here.
    monkeypatch.setattr(script, "NUM_VARIANTS", 3)
    usual = script.judge.load_or_train

    def load_or_train(*given, settings):  # none is trained but that of the run
        asked.append((settings.steps, settings.seed))
        return usual(*given, settings=script.judge.JudgeSettings(steps=JUDGE_STEPS))

    monkeypatch.setattr(script.judge, "load_or_train", load_or_train)
    lines = run_experiment("judges", monkeypatch, capsys, "--steps", "2", "--seeds", "0")
    assert asked == [(2, 0)]
    _, *rows = cells_of(lines)
    assert [row[0] for row in rows] == [
        "2 steps, seed 0", "its member 0", "its member 1", "its member 2", "nearest real clip",
    ]  # fmt: skip
    # Real clips are nearest to themselves, and next to themselves where they are blurred.
    assert rows[-1][1] == "0 (-, 0, 0, 0, 0)"


@pytest.mark.experiment
def test_what_diffusion_adds(place, capsys, monkeypatch):
    arguments = ("--steps", "0,1", "--out", "tables/diffusion.json")
    lines = run_experiment("diffusion", monkeypatch, capsys, *arguments)
    rows = [line.split(" | ") for line in lines if line.startswith("| ")][2:]
    assert [row[1:3] for row in rows] == [["0", "1"], ["1", "1"]]
    table = json.loads((place / "tables/diffusion.json").read_text())
    assert [row["steps"] for row in table["rows"]] == [0, 1]
    assert table["swaps"] == 27
    for picture in ("diffusion.png", "diffusion_swaps.png"):
        assert (place / "tables" / picture).stat().st_size > 5_000


@pytest.mark.experiment
@pytest.mark.parametrize("script", ["ablations", "bitrate_sweep"])
def test_short_runs_are_told_in_the_figures_of_a_report(script, place, capsys, monkeypatch):
    """That the trainings are those that are asked for is in test_short_runs."""
    monkeypatch.syspath_prepend(ROOT / "experiments")
    module = importlib.import_module(script)
    report = json.loads((place / "runs/sprites/eval/20.json").read_text())
    monkeypatch.setattr(module.short_runs, "train", lambda *given: report)
    module.main(["--out", script, "--tiny"])
    machine, *lines = capsys.readouterr().out.splitlines()
    assert "cpu" in machine
    head, row = cells_of(lines)
    figures = dict(zip(head, row, strict=True))
    assert figures["seed"] == "0"
    assert float(figures["PSNR" if script == "ablations" else "PSNR, dB"]) == pytest.approx(
        report["reconstruction"]["psnr"], abs=0.01
    )


@pytest.mark.experiment
def test_sweep_over_the_bit_rate_tells_of_every_target(place, capsys, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    sweep = importlib.import_module("bitrate_sweep")
    report = json.loads((place / "runs/sprites/eval/20.json").read_text())
    asked = []

    def train(name, seed, changes, options):
        asked.append((seed, changes["rates.target_bits_per_frame"]))
        return report

    monkeypatch.setattr(sweep.short_runs, "train", train)
    sweep.main(["--targets", "1,12", "--seeds", "0,1", "--picture", "pictures/sweep.png"])
    assert asked == [(0, 1), (1, 1), (0, 12), (1, 12)]
    rows = capsys.readouterr().out.splitlines()
    bits = report["bitrate"]["joint_entropy_bits_per_frame"]
    assert sum(row.startswith(("| 1 |", "| 12 |")) and f"{bits:.2f}" in row for row in rows) == 4
    assert (place / "pictures/sweep.png").stat().st_size > 10_000
