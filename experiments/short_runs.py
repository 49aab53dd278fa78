"""Short trainings of equal length that differ in one thing, for the scripts beside this one."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from vdd.data.sprites import SPLITS
from vdd.evaluation.run import evaluate_run

ROOT = Path(__file__).resolve().parents[1]


def parser(doc: str | None, name: str) -> argparse.ArgumentParser:
    """The flags that all scripts of short runs share; their runs go to runs/NAME."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--art", default="builtin", choices=("builtin", "lpc", "vivid"))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--split", default="validation", choices=SPLITS)
    parser.add_argument("--clips", type=int, default=592)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--out", default=str(ROOT / "runs" / name))
    parser.add_argument("--tiny", action="store_true", help="one variant of `smoke`, for tests")
    return parser


def train(
    name: str, seed: int, changes: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """Train `quick` with `changes` by dotted key; its report on `--split`.

    What has its report already is neither trained nor measured again; what was stopped resumes.
    """
    size, steps, clips = "quick", options.steps, options.clips
    if options.tiny:
        size, steps, clips = "smoke", 20, 32
    workdir = Path(options.out) / f"{options.art}_{name.replace(' ', '-')}_{seed}"
    variant = size if options.art == "builtin" else f"{options.art}_{size}"
    changes = {
        "seed": seed,
        "train.num_steps": steps,
        "train.eval_every": 0,
        "train.sample_every": 0,
        "eval.num_clips": clips,
        "data.source": "in_memory",
        **changes,
    }
    command = [sys.executable, "-m", "vdd.main", f"--config={ROOT}/configs/sprites.py:{variant}"]
    command += [f"--workdir={workdir}", *(f"--config.{k}={v}" for k, v in changes.items())]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    other = "" if options.split == "validation" else f"_{options.split}"
    report = workdir / "eval" / f"{steps}{other}.json"
    if not report.exists():
        evaluate_run(workdir, split=options.split)
    return json.loads(report.read_text())


def cells(report: dict[str, Any], keys: str) -> list[str]:
    """Figures of a report as the cells of a table; `keys` such as "transfer.joint_acc ..."."""

    def cell(key: str) -> str:
        section, name = key.split(".")
        value = report[section][name]
        if value is None:
            return "-"
        return f"{value:.3f}" if name.endswith("acc") else f"{value:.2f}"

    return [cell(key) for key in keys.split()]
