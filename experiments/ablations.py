"""Which part of the recipe does what? Equal numbers of steps, one thing changed at a time.

    python experiments/ablations.py --art lpc --steps 600 [--only NAME,...] [--seeds 0,1]
        [--split validation] [--tiny]

Every variant is a training by `vdd.main` in `runs/ablations` (so it resumes), measured on `--clips`
clips spread over the split. Prints one row a variant and seed: swap accuracies, the share of
swaps that follow the content clip's motion, joint bits per frame, what probes read, PSNR of
reconstructions.
"""

from typing import Any

import short_runs

from vdd import markdown
from vdd.evaluation.report import machine

# What each variant changes in the config.
VARIANTS: dict[str, dict[str, Any]] = {
    "recipe": {},
    "no cross-driving": {"objective.split": "same", "model.motion_window": 0},
    "random subsets": {"objective.split": "subsets"},
    "segments of 2 frames": {"objective.split": "quarters", "model.motion_window": 2},
    "one frame rebuilt": {"objective.mean_frames": 1},
    "four frames rebuilt": {"objective.mean_frames": 4},
    "content is free": {
        "rates.content_price": 1e-12,
        "rates.content_price_range": "(1e-12, 1e-12)",
    },
    "price of content by hand": {"rates.content_price": 3e-5, "rates.content_speed": 0.0},
    "Gumbel-softmax": {"model.quantizer.kind": "gumbel_softmax"},
    "two codebooks of 32": {
        "model.quantizer.num_groups": 2,
        "model.quantizer.num_codes": 32,
        "model.quantizer.code_dim": 8,
        "rates.target_bits_per_frame": 9.0,
    },
    "two codebooks of 32, at 6.35 bits": {
        "model.quantizer.num_groups": 2,
        "model.quantizer.num_codes": 32,
        "model.quantizer.code_dim": 8,
    },
    "no code revival": {"revival.rate": 0.0},
    "content by map only": {"model.denoiser.network.attention_levels": "()"},
    "content by attention only": {"model.denoiser.network.content_map": 0},
    "one content token": {"model.encoder.num_content_tokens": 1},
    "content never withheld": {"objective.null_content": 0.0},
    "swaps read again": {"objective.reread_clips": 16},
    "content read from swaps, motion not": {
        "objective.reread_clips": 16,
        "objective.weights.reread_commitment": 0.0,
    },
    "EDM's own prediction": {
        "model.denoiser.prediction": "edm",
        "objective.highest_snr": 1e9,
    },
    "x-prediction": {"model.denoiser.prediction": "x"},
}


COLUMNS = {
    "motion": "transfer.motion_acc",
    "leak": "transfer.leak_acc",
    "attributes": "transfer.content_acc",
    "joint": "transfer.joint_acc",
    "bits joint": "bitrate.joint_entropy_bits_per_frame",
    "motion from content": "leakage.motion_from_content_acc",
    "attributes from codes": "leakage.content_from_motion_acc",
    "PSNR": "reconstruction.psnr",
}


def main(arguments: list[str] | None = None) -> None:
    parser = short_runs.parser(__doc__, "ablations")
    parser.add_argument("--only", help="comma-separated names")
    options = parser.parse_args(arguments)
    names = options.only.split(",") if options.only else list(VARIANTS)
    if options.tiny:
        names = names[:1]
    print(*machine().values(), sep=", ")
    measured = f"{options.clips} {options.split} clips of {options.art}"
    print(f"{options.steps} steps, {measured}")
    print(markdown.table(("variant", "seed", *COLUMNS)))
    for name in names:
        for seed in options.seeds.split(","):
            report = short_runs.train(name, int(seed), VARIANTS[name], options)
            cells = short_runs.cells(report, " ".join(COLUMNS.values()))
            print(markdown.row((name, seed, *cells)), flush=True)


if __name__ == "__main__":
    main()
