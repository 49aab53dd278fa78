"""Training curves of a run, drawn from its metrics.jsonl."""

import io
import json
from collections.abc import Callable, Sequence

from etils import epath
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vdd import files
from vdd.values import Figures, Report

Records = Sequence[Report]

_LOSSES = ("loss", "codebook", "commitment", "reread_commitment", "l1", "gradient")

# Panel title, unit, and which metrics it shows.
_PANELS: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    (
        "losses",
        "log scale",
        lambda key: key in _LOSSES,
    ),
    ("denoising, by noise level", "log scale", lambda key: key.startswith("denoise")),
    ("motion rate", "bits per frame", lambda key: "bits_per_frame" in key),
    ("content rate", "bits per clip", lambda key: "bits_per_clip" in key),
    ("prices of a bit (Lagrange multipliers)", "loss per bit", lambda key: key.endswith("_price")),
    ("swaps and reconstructions, judged", "share", lambda key: key.endswith(("_acc", "_share"))),
    ("reconstruction, swaps", "PSNR, dB", lambda key: key.endswith("psnr")),
    ("motion that stays in a clip", "share of variance", lambda key: key == "static_motion"),
    ("codewords in use", "codewords", lambda key: key == "codes_in_use"),
    ("speed", "steps per second", lambda key: key == "steps_per_second"),
)
_LOG_PANELS = ("losses", "denoising, by noise level")
_COLUMNS = 2


def read_records(path: epath.Path) -> list[Figures]:
    """The objects of a metrics.jsonl; a last line that was cut short is left out."""
    records = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


def series(records: Records, key: str) -> tuple[list[int], list[float]]:
    """Steps and values of a metric, where it was measured."""
    measured = [(r["step"], r[key]) for r in records if r.get(key) is not None]
    return [step for step, _ in measured], [value for _, value in measured]


def plot_curves(records: Records) -> Figure | None:
    """One panel for each kind of metric that there is; None if there is none."""
    keys = sorted({key for record in records for key in record})
    panels = [
        (title, unit, shown)
        for title, unit, shows in _PANELS
        if (shown := [key for key in keys if shows(key) and series(records, key)[0]])
    ]
    if not panels:
        return None
    rows = -(-len(panels) // _COLUMNS)
    figure = Figure(figsize=(11, 2.9 * rows), layout="constrained")
    axes = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    for axis, (title, unit, shown) in zip(axes, panels):
        _plot_panel(axis, records, title, unit, shown)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    return figure


def _plot_panel(axis: Axes, records: Records, title: str, unit: str, keys: Sequence[str]) -> None:
    for key in keys:
        steps, values = series(records, key)
        marker = "o" if len(steps) < 30 else ""
        label = key.removesuffix("_acc").removesuffix("_price").replace("_", " ")
        axis.plot(steps, values, label=label, linewidth=1.4, marker=marker, markersize=3)
    if title in _LOG_PANELS:
        axis.set_yscale("log")
    if unit == "share":
        axis.set_ylim(-0.02, 1.02)
    axis.set_title(title, fontsize=10, loc="left")
    axis.set_xlabel("step", fontsize=9)
    axis.set_ylabel(unit, fontsize=9)
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    if len(keys) > 1:
        axis.legend(fontsize=8, frameon=False, ncols=2 if len(keys) > 4 else 1)


def write_curves(records: Records, path: epath.Path) -> bool:
    """Draws the curves into a PNG; whether there was anything to draw."""
    figure = plot_curves(records)
    if figure is None:
        return False
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    files.write(path, buffer.getvalue())
    return True
