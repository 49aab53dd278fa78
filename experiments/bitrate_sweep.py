"""What does a bit of motion buy? Where motion starves, where content leaks, over the bit rate.

    python experiments/bitrate_sweep.py --art lpc --steps 800 [--targets 1,2,4]
        [--split validation] [--tiny]

One short training of `quick` for each target and seed, with three groups of 32 codewords (15 bits),
so that no target is out of reach; measured on clips of `--split`. Prints a row each and draws the
means over the seeds.
"""

from typing import Any

import numpy as np
import outputs
import short_runs
from matplotlib.figure import Figure

from vdd import markdown
from vdd.evaluation.report import machine

COLUMNS = {
    "joint bits": "bitrate.joint_entropy_bits_per_frame",
    "sum of groups": "bitrate.entropy_bits_per_frame",
    "swap motion": "transfer.motion_acc",
    "leak": "transfer.leak_acc",
    "swap attributes": "transfer.content_acc",
    "all five": "transfer.joint_acc",
    "motion from content": "leakage.motion_from_content_acc",
    "attributes from codes": "leakage.content_from_motion_acc",
    "PSNR, dB": "reconstruction.psnr",
}
CHANCES = {"motion from content": 1 / 9, "attributes from codes": 1 / 6}


def main(arguments: list[str] | None = None) -> None:
    parser = short_runs.parser(__doc__, "bitrate_sweep")
    parser.add_argument("--targets", default="1,2,4,6,8,12", help="bits per frame")
    parser.add_argument(
        "--picture", type=outputs.file, help="where the curve goes (bitrate.png beside the runs)"
    )
    options = parser.parse_args(arguments)
    picture = options.picture or outputs.file(f"{options.out}/bitrate.png")
    targets = [float(target) for target in options.targets.split(",")]
    if options.tiny:
        targets = targets[:1]
    print(*machine().values(), sep=", ")
    measured = f"{options.clips} {options.split} clips of {options.art}"
    print(f"{options.steps} steps, {measured}")
    print(markdown.table(("target", "seed", *COLUMNS)))
    reports: dict[float, list[dict[str, Any]]] = {target: [] for target in targets}
    for target in targets:
        for seed in options.seeds.split(","):
            changes = {
                "rates.target_bits_per_frame": target,
                "model.quantizer.num_groups": 3,
                "model.quantizer.num_codes": 32,
                "model.quantizer.code_dim": 8,
            }
            report = short_runs.train(f"{target:g}-bits", int(seed), changes, options)
            cells = short_runs.cells(report, " ".join(COLUMNS.values()))
            print(markdown.row((f"{target:g}", seed, *cells)), flush=True)
            reports[target].append(report)
    outputs.save(draw(reports), picture)


def draw(reports: dict[float, list[dict[str, Any]]]) -> Figure:
    """Swaps, leaks and PSNR over the joint entropy of the codes, means over the seeds."""

    def mean_of(row: list[dict[str, Any]], column: str) -> float:
        section, name = COLUMNS[column].split(".")
        figures = [report[section][name] for report in row]
        return float(np.mean([np.nan if x is None else x for x in figures]))

    # A higher target need not come to more bits of all groups together.
    rows = sorted(reports.values(), key=lambda row: mean_of(row, "joint bits"))

    def mean(column: str) -> list[float]:
        return [mean_of(row, column) for row in rows]

    figure = Figure(figsize=(11, 3.2), layout="constrained")
    panels = [
        ("swaps", "share", ("swap motion", "swap attributes", "all five", "leak")),
        ("what probes read", "share", ("motion from content", "attributes from codes")),
        ("reconstruction", "PSNR, dB", ("PSNR, dB",)),
    ]
    for axis, (title, unit, columns) in zip(figure.subplots(1, 3), panels, strict=True):
        for column in columns:
            (line,) = axis.plot(mean("joint bits"), mean(column), marker="o", label=column)
            if column in CHANCES:
                axis.axhline(CHANCES[column], color=line.get_color(), linestyle=":", linewidth=1)
        if unit == "share":
            axis.set_ylim(-0.02, 1.02)
            axis.legend(fontsize=8, frameon=False)
        axis.set_title(title, fontsize=10, loc="left")
        axis.set_xlabel("joint entropy of the codes, bits per frame", fontsize=9)
        axis.set_ylabel(unit, fontsize=9)
        axis.grid(alpha=0.25)
    return figure


if __name__ == "__main__":
    main()
