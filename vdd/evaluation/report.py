"""The report of a run: `eval/<step>.json`, and `report.md` with the figures and the pictures.

A figure that was not measured is null in the JSON and a dash on the page.
"""

import json
import os
import platform
from collections.abc import Sequence

import jax
from etils import epath
from jaxtyping import PyTree

from vdd import files, runs
from vdd.config import Config
from vdd.data import datasets
from vdd.evaluation import curves
from vdd.evaluation.gallery import Picture
from vdd.markdown import table
from vdd.values import Report

PICTURES = "samples"
_OPENING = (
    "A clip is taken apart into *content* (who: sent once) and *motion* (what it does: a few bits a"
    " frame), and put together again, also with the motion of another clip."
)
_SEEN = {
    None: "",
    False: " No clip here was seen in training.",
    True: " **The training saw these clips, or some of them.**",
}


def json_path(folder: epath.PathLike, report: Report, split: str) -> epath.Path:
    """`eval/<step>.json` for the run's own `split`; another split's report has its name added."""
    other = "" if report["split"] == split else f"_{report['split']}"
    return epath.Path(folder) / "eval" / f"{report['step']}{other}.json"


def write_json(path: epath.Path, report: Report) -> None:
    """Writes the figures in one replacement.

    Raises:
      ValueError: a figure is not finite: what was not measured is None.
    """
    files.write(path, json.dumps(report, indent=2, allow_nan=False) + "\n")


def write_page(
    run_dir: epath.PathLike,
    report: Report,
    sections: Sequence[str],
    pictures: Sequence[Picture],
    description: Report,
    folder: epath.PathLike | None = None,
    opening: str = _OPENING,
) -> epath.Path:
    """Writes `report.md`, with the training curves drawn from `metrics.jsonl`; returns its path.

    Args:
      run_dir: the run directory, which has the metrics.
      report: the figures.
      sections: these, as Markdown.
      pictures: files in `samples` of the folder, as `gallery.draw` returns them.
      description: what the run is (art, config variant, parameters, ...), shown in its order.
      folder: where the page goes; None stands for the run directory.
      opening: what was trained, in a sentence.
    """
    folder = epath.Path(folder or run_dir)
    records = curves.read_records(epath.Path(run_dir) / "metrics.jsonl")
    has_curves = curves.write_curves(records, folder / PICTURES / "curves.png")
    text = page(report, sections, pictures, {**description, **machine()}, has_curves, opening)
    files.write(folder / "report.md", text)
    return folder / "report.md"


def describe(config: Config, params: PyTree) -> dict[str, str]:
    """What was trained on what, for the page."""
    return {
        "data": runs.data_name(config),
        "parameters": f"{runs.count_parameters(params) / 1e6:.1f} million",
        "training": f"{config.train.num_steps} steps of {config.train.batch_size} clips of the "
        f"{datasets.trained_split(config.data)} split, seed {config.seed}",
    }


def machine() -> dict[str, str]:
    """What this process runs on, for the record."""
    device = jax.devices()[0]
    return {
        "machine": f"{jax.device_count()} x {device.device_kind} ({device.platform}), "
        f"{os.cpu_count()} CPU cores, {_processor()}",
        "software": f"Python {platform.python_version()}, JAX {jax.__version__}",
    }


def page(
    report: Report,
    sections: Sequence[str],
    pictures: Sequence[Picture],
    description: Report,
    has_curves: bool,
    opening: str = _OPENING,
) -> str:
    """The page as Markdown."""
    what = "clips" if "num_clips" in report else "frames"
    measured = f"{report[f'num_{what}']} {what} of {report['dataset']} ({report['split']})"
    head = {"step": f"{report['step']:,}", "measured on": measured, **_sampler(report)}
    parts = [
        "# Run report",
        opening + _SEEN[report.get("seen_in_training")],
        table(("", ""), {**head, **description}.items()),
        *sections,
        *_pictures(pictures),
    ]
    if has_curves:
        parts += ["## Training", f"![training curves]({PICTURES}/curves.png)"]
    return "\n\n".join(parts) + "\n"


def _sampler(report: Report) -> dict[str, str]:
    """A line for it, where there is one to be told of."""
    if "sampler" not in report:
        return {}
    sampler = report["sampler"]
    if sampler is None:
        return {"sampler": "none"}
    told = f"{sampler['name']}, {sampler['steps']} steps, {sampler['nfe']} evaluations"
    return {"sampler": told}


def _pictures(pictures: Sequence[Picture]) -> list[str]:
    if not pictures:
        return []
    return ["## Pictures", *(_picture(*picture) for picture in pictures)]


def _picture(file: str, caption: str) -> str:
    if file.endswith(".mp4"):  # Markdown shows no video
        return f"[{caption}]({PICTURES}/{file})"
    return f"![{caption}]({PICTURES}/{file})\n\n{caption}"


def rates(rate: Report) -> list[str]:
    """The section `bitrate` of a report on the page."""
    rows = (
        ("motion target, per frame", "target_bits_per_frame"),
        ("entropy of the codes, sum of groups, per frame", "entropy_bits_per_frame"),
        ("the same where it is known who it is", "entropy_given_identity_bits_per_frame"),
        ("joint entropy of the codes, per frame", "joint_entropy_bits_per_frame"),
        ("coded file, per frame", "coded_bits_per_frame"),
        ("content, per clip", "content_bits_per_clip"),
    )
    return [
        "## Rates",
        table(("", "bits"), [(name, number(rate[key])) for name, key in rows if key in rate]),
        f"{share(rate['codebook_usage'])} of the codewords are in use.",
    ]


def share(value: float | None) -> str:
    """A fraction in per cent; a dash for None."""
    return "–" if value is None else f"{100 * value:.2f} %"


def number(value: float | str | None, form: str = ".2f") -> str:
    """A figure; a word, as `auto` of a target, as it is; a dash for None."""
    if isinstance(value, str):
        return value
    return "–" if value is None else format(value, form)


def _processor() -> str:
    info = epath.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
