"""What does accuracy cost? Swaps judged during training against operations and hours.

    python experiments/cost_curve.py RUN [RUN ...] [--picture FILE] [--tiny]

Reads what the runs logged and trains nothing. Operations are counted from the shapes of the traced
step (matrix products and convolutions); hours are steps at the run's median speed, so that a pause
does not count.
"""

import argparse
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import outputs
from matplotlib.figure import Figure

from vdd import markdown, runs
from vdd.evaluation.curves import read_records
from vdd.evaluation.report import machine
from vdd.method import step
from vdd.training.flops import count_flops

SHOWN = ("motion", "leak", "body", "bottomwear", "topwear", "hair", "content", "joint")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", nargs="+")
    parser.add_argument("--picture", type=outputs.file, help="draw the curves into this file")
    parser.add_argument("--tiny", action="store_true", help="as always: there is nothing to shrink")
    options = parser.parse_args(arguments)
    curves = {run: curve(run) for run in options.run}
    print(*machine().values(), sep=", ")
    print("swaps during training, as the runs logged them")
    print(markdown.table(("run", "step", "PFLOP", "hours", *SHOWN)))
    for run, points in curves.items():
        for point in points:
            cells = [f"{point[f'swap_{name}_acc']:.3f}" for name in SHOWN]
            spent = f"{point['pflop']:.3g}", f"{point['hours']:.2f}"
            print(markdown.row((run, point["step"], *spent, *cells)))
    if options.picture:
        outputs.save(draw(curves), options.picture)


def curve(run: str) -> list[dict[str, Any]]:
    """The logged evaluations of a run, each with `pflop` and `hours` spent until then."""
    path = runs.find(run)
    records = read_records(path / "metrics.jsonl")
    speed = float(np.median([r["steps_per_second"] for r in records if "steps_per_second" in r]))
    operations = flops_per_step(runs.load_config(path))
    return [
        {**r, "pflop": r["step"] * operations / 1e15, "hours": r["step"] / speed / 3600}
        for r in records
        if r.get("swap_joint_acc") is not None
    ]


def flops_per_step(config: Any) -> float:
    """Operations of one training step on a batch of clips of 8 frames."""
    training = step.build(step.Recipe.from_config(config))
    size = (config.train.batch_size, 8, *config.model.latents.size)
    batch = {
        "video": jax.ShapeDtypeStruct(size, jnp.uint8),
    }
    state = jax.eval_shape(training.init, jax.random.key(0), batch)
    return count_flops(training.step, state, batch)


def draw(curves: dict[str, list[dict[str, Any]]]) -> Figure:
    """Joint accuracy and mean attribute accuracy of each run over operations and over hours."""
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    panels = (("pflop", "PFLOP of training"), ("hours", "hours at the run's median speed"))
    for axis, (x, label) in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
        for run, points in curves.items():
            xs = [point[x] for point in points]
            (line,) = axis.plot(
                xs, [p["swap_joint_acc"] for p in points], marker="o", label=f"{run}: all five"
            )
            attributes = [p["swap_content_acc"] for p in points]
            axis.plot(xs, attributes, linestyle="--", color=line.get_color(), label="attributes")
        axis.set_xlabel(label, fontsize=9)
        axis.set_ylim(0, 1.02)
        axis.grid(alpha=0.25)
        axis.legend(fontsize=8, frameon=False)
    return figure


if __name__ == "__main__":
    main()
