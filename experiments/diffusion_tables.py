"""Tables and pictures of `diffusion.py`."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

from vdd.evaluation.report import number
from vdd.evaluation.sections import mean_or_none
from vdd.markdown import table

Row = Mapping[str, Any]  # `bits`, `steps`, and figures by name

TITLES = {
    "frechet": "Fréchet distance",
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "sharpness": "sharpness",
}
FORMS = {"frechet": ".2f", "psnr": ".2f", "ssim": ".3f", "sharpness": ".3f"}


def means(rows: Sequence[Row]) -> list[Row]:
    """Means of runs of one rate and number of steps, in order of these.

    `<figure>_spread` is the standard deviation over the runs, None of one. All runs draw the same
    swaps, so the error of their mean Fréchet distance is taken to be as large as that of one.
    """

    def key(row: Row) -> tuple[float, int]:
        return row["bits"], row["steps"]

    found = []
    for (bits, steps), group in itertools.groupby(sorted(rows, key=key), key):
        some = list(group)
        cell = {"bits": bits, "steps": steps, "runs": len(some)}
        for name in TITLES:
            values = np.array([row[name] for row in some], float)
            values = values[~np.isnan(values)]
            cell[name] = mean_or_none(values)
            cell[f"{name}_spread"] = float(values.std(ddof=1)) if len(values) > 1 else None
        cell["frechet_error"] = float(np.mean([row["frechet_error"] for row in some]))
        found.append(cell)
    return found


def page(cells: Sequence[Row]) -> str:
    """The table in Markdown."""
    columns = ["frechet", "frechet_error", "frechet_spread"]
    columns += [key for name in list(TITLES)[1:] for key in (name, f"{name}_spread")]
    names = TITLES | {"frechet_error": "error"}
    lines = []
    for cell in cells:
        figures = [number(cell[key], FORMS[key.split("_")[0]]) for key in columns]
        lines.append([f"{cell['bits']:g}", str(cell["steps"]), str(cell["runs"]), *figures])
    head = [names.get(key, "spread") for key in columns]
    return table(["bits", "steps", "runs", *head], lines)


def plot(cells: Sequence[Row], rows: Sequence[Row]) -> Figure:
    """Each figure over the steps: lines of means, bars of bootstrap errors, a dot for each run."""
    figure = Figure(figsize=(13, 3.2), layout="constrained")
    steps = sorted({cell["steps"] for cell in cells})
    for axis, name in zip(figure.subplots(1, len(TITLES)), TITLES, strict=True):
        for colour, bits in enumerate(sorted({cell["bits"] for cell in cells})):
            line, dots = ([x for x in some if x["bits"] == bits] for some in (cells, rows))
            place = [steps.index(cell["steps"]) for cell in line]
            bars = [2 * cell["frechet_error"] for cell in line] if name == "frechet" else None
            axis.errorbar(
                place,
                [np.nan if cell[name] is None else cell[name] for cell in line],
                bars,
                capsize=2,
                linewidth=1,
                color=f"C{colour}",
                label=f"{bits:g} bits",
            )
            values = [np.nan if row[name] is None else row[name] for row in dots]
            axis.scatter([steps.index(row["steps"]) for row in dots], values, 8, f"C{colour}")
        axis.set_xticks(range(len(steps)), map(str, steps))
        axis.set_title(TITLES[name], fontsize=10, loc="left")
        axis.set_xlabel("steps (0: the mean frame)", fontsize=9)
        axis.grid(alpha=0.25)
    figure.axes[0].legend(fontsize=8, frameon=False)
    return figure


def contact_sheet(
    frames: Mapping[tuple[float, int], UInt8[np.ndarray, "h w 3"]],
    truth: UInt8[np.ndarray, "h w 3"],
) -> Figure:
    """One frame at all rates (rows) and numbers of steps (columns), and as it ought to be."""
    rates, steps = (sorted(set(part)) for part in zip(*frames, strict=True))
    size = (1.4 * (len(steps) + 1), 1.5 * len(rates))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(rates), len(steps) + 1, squeeze=False)
    for row, (line, bits) in enumerate(zip(axes, rates, strict=True)):
        line[0].set_ylabel(f"{bits:g} bits", fontsize=9)
        shown = {f"{n} steps": frames[bits, n] for n in steps}
        for axis, (title, frame) in zip(line, (shown | {"truth": truth}).items(), strict=True):
            axis.imshow(frame, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            if row == 0:
                axis.set_title(title, fontsize=9)
    return figure
