"""Which part of the recipe does what? Equal numbers of steps, one thing changed at a time.

    python experiments/ablations.py --art lpc --steps 600 [--only NAME,...] [--seeds 0,1] [--tiny]

Every variant is a training by `vdd.main` in `runs/ablations/NAME_SEED` (so it resumes), measured on
`--clips` test clips spread over the split. Prints one row a variant: swap accuracies, the share
of swaps that follow the content clip's motion, joint bits per frame, PSNR of reconstructions.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from vdd.evaluation.report import machine

ROOT = Path(__file__).resolve().parents[1]

# What each variant changes in the config.
VARIANTS: dict[str, dict[str, Any]] = {
    "recipe": {},
    "no cross-driving": {"objective.split": "same"},
    "random subsets": {"objective.split": "subsets"},
    "content is free": {
        "steering.content_price": 1e-12,
        "steering.content_price_range": "(1e-12, 1e-12)",
    },
    "price of content by hand": {"steering.content_price": 3e-5, "steering.content_speed": 0.0},
    "content target does not grow": {"steering.content_first_target": 80.0},
    "Gumbel-softmax": {"model.quantizer.kind": "gumbel_softmax"},
    "one codebook of 1024": {"model.quantizer.num_groups": 1, "model.quantizer.num_codes": 1024},
    "no code revival": {"steering.revive_rate": 0.0},
    "content by map only": {"model.denoiser.attention_levels": "()"},
    "content by attention only": {"model.denoiser.content_map": 0},
    "one content token": {"model.encoder.num_content_tokens": 1},
    "no withheld content": {"objective.null_content": 0.0},
    "no coarse head": {
        "model.coarse.width": 0,
        "model.sigma_data": 0.5,
        "objective.sigma_mean": 0.5,
        "objective.denoised_share": 1.0,
        "eval.sampler.steps": 8,
        "eval.sampler.sigma_max": 20.0,
    },
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--art", default="builtin", choices=("builtin", "lpc"))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--clips", type=int, default=592)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--only", help="comma-separated names")
    parser.add_argument("--out", default=str(ROOT / "runs" / "ablations"))
    parser.add_argument("--tiny", action="store_true", help="`smoke` itself, for tests")
    options = parser.parse_args(arguments)
    names = options.only.split(",") if options.only else list(VARIANTS)
    size = "quick"
    if options.tiny:
        names, size, options.steps, options.clips = names[:1], "smoke", 20, 32
    print(f"{options.steps} steps of {options.art}_{size}, {options.clips} clips, {machine()}")
    print("| variant | seed | motion | leak | attributes | joint | bits joint | PSNR |")
    print("|---|---|---|---|---|---|---|---|")
    for name in names:
        for seed in options.seeds.split(","):
            report = train(name, int(seed), size, options)
            transfer, rebuilt = report["transfer"], report["reconstruction"]
            figures = [transfer[f"{key}_acc"] for key in ("motion", "leak", "content", "joint")]
            cells = [f"{x:.3f}" for x in figures]
            cells.append(f"{report['bitrate']['joint_entropy_bits_per_frame']:.2f}")
            cells.append(f"{rebuilt['psnr']:.1f}")
            print(f"| {name} | {seed} | {' | '.join(cells)} |", flush=True)


def train(name: str, seed: int, size: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train and evaluate a variant, unless its report is there; returns the report."""
    workdir = Path(options.out) / f"{options.art}_{name.replace(' ', '-')}_{seed}"
    variant = f"lpc_{size}" if options.art == "lpc" else size
    changes = {
        "seed": seed,
        "train.num_steps": options.steps,
        "train.eval_every": 0,
        "train.sample_every": 0,
        "eval.num_clips": options.clips,
        "data.source": "in_memory",
        **VARIANTS[name],
    }
    command = [sys.executable, "-m", "vdd.main", f"--config={ROOT}/configs/sprites.py:{variant}"]
    command += [f"--workdir={workdir}", *(f"--config.{k}={v}" for k, v in changes.items())]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads((workdir / "eval" / f"{options.steps}.json").read_text())


if __name__ == "__main__":
    main()
