"""The report of a run: `eval/<step>.json`, and `report.md` with the figures and the pictures.

A figure that was not measured is null in the JSON and a dash on the page.
"""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from etils import epath

from vdd.evaluation import curves
from vdd.evaluation.gallery import Picture
from vdd.training.workdir import write_text

Report = Mapping[str, Any]

PICTURES = "samples"


def json_path(folder: epath.PathLike, report: Report, split: str) -> epath.Path:
    """`eval/<step>.json` for the run's own `split`; another split's report has its name added."""
    other = "" if report["split"] == split else f"_{report['split']}"
    return epath.Path(folder) / "eval" / f"{report['step']}{other}.json"


def write_json(path: epath.Path, report: Report) -> None:
    """Writes the figures in one replacement.

    Raises:
      ValueError: a figure is not finite: what was not measured is None.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(report, indent=2, allow_nan=False) + "\n")


def write_page(
    run_dir: epath.PathLike,
    report: Report,
    pictures: Sequence[Picture],
    description: Mapping[str, Any],
    folder: epath.PathLike | None = None,
) -> epath.Path:
    """Writes `report.md`, with the training curves drawn from `metrics.jsonl`; returns its path.

    Args:
      run_dir: the run directory, which has the metrics.
      report: as `sprites.evaluate` returns it.
      pictures: files in `samples` of the folder, as `gallery.draw` returns them.
      description: what the run is (art, config variant, parameters, ...), shown in its order.
      folder: where the page goes; None stands for the run directory.
    """
    folder = epath.Path(folder or run_dir)
    records = curves.read_records(epath.Path(run_dir) / "metrics.jsonl")
    has_curves = curves.write_curves(records, folder / PICTURES / "curves.png")
    text = page(report, pictures, {**description, **machine()}, has_curves)
    write_text(folder / "report.md", text)
    return folder / "report.md"


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
    pictures: Sequence[Picture],
    description: Mapping[str, Any],
    has_curves: bool,
) -> str:
    """The page as Markdown."""
    sampler = report["sampler"]
    head = {
        "step": f"{report['step']:,}",
        "measured on": f"{report['num_clips']} clips of {report['dataset']} ({report['split']})",
        "sampler": "none"
        if sampler is None
        else f"{sampler['name']}, {sampler['steps']} steps, {sampler['nfe']} evaluations",
        **description,
    }
    parts = [
        "# Run report",
        "A clip is taken apart into *content* (who: sent once) and *motion* (what it does: a few"
        " bits a frame), and put together again, also with the motion of another clip."
        + (" No character here was seen in training." if report["split"] == "test" else ""),
        _table(("", ""), [(name, str(value)) for name, value in head.items()]),
        *_figures(report),
        *_pictures(pictures),
    ]
    if has_curves:
        parts += ["## Training", f"![training curves]({PICTURES}/curves.png)"]
    return "\n\n".join(parts) + "\n"


def _figures(report: Report) -> list[str]:
    transfer, rebuilt, judge = report["transfer"], report["reconstruction"], report["judge"]
    names = ("motion", "body", "bottomwear", "topwear", "hair")
    accuracy = [(name, *(_share(s[f"{name}_acc"]) for s in (transfer, rebuilt))) for name in names]
    accuracy += [
        ("all five at once (joint)", _share(transfer["joint_acc"]), ""),
        ("shows the content clip's motion (leak)", _share(transfer["leak_acc"]), ""),
        ("PSNR, dB", _number(transfer.get("psnr")), _number(rebuilt["psnr"])),
        ("SSIM", _number(transfer.get("ssim")), _number(rebuilt["ssim"])),
    ]
    protocol, rate, leak = report["cdsvae_protocol"], report["bitrate"], report["leakage"]
    return [
        "## Swaps and reconstructions",
        "Share of clips in which a judge sees what ought to be there: over"
        f" {transfer['num_pairs']} swaps (content of one clip, motion of another, of unlike"
        " character and motion), and over as many clips rebuilt. The judge, a supervised"
        f" classifier, names {_share(judge['motion_acc'])} of the motions and"
        f" {_share(judge['content_acc'])} of the attributes of real clips.",
        _table(("", "swaps", "reconstructions"), accuracy),
        "## C-DSVAE protocol",
        "Motion of a real clip, content from elsewhere: does the judge see the action?",
        _table(
            ("", "measured", "best possible"),
            [
                ("accuracy", _share(protocol["acc"]), "100 %"),
                ("inception score", _number(protocol["inception_score"], form=".4f"), "9"),
                ("H(y given x), nats", _number(protocol["h_y_given_x"], form=".2g"), "0"),
                ("H(y), nats", _number(protocol["h_y"], form=".4f"), "2.197"),
            ],
        ),
        "## Rates",
        _table(
            ("", "bits"),
            [
                ("motion target, per frame", _number(rate["target_bits_per_frame"])),
                ("entropy of the codes, sum of groups, per frame",
                 _number(rate["entropy_bits_per_frame"])),
                ("joint entropy of the codes, per frame",
                 _number(rate["joint_entropy_bits_per_frame"])),
                ("coded file, per frame", _number(rate["coded_bits_per_frame"])),
                ("content, per clip", _number(rate["content_bits_per_clip"])),
            ],
        ),
        f"{_share(rate['codebook_usage'])} of the codewords are in use.",
        "## Leakage",
        "What a small network reads out of the representation where it ought not to be, trained on"
        " train clips and tested on these. At chance nothing leaks.",
        _table(
            ("", "probe", "chance"),
            [
                ("motion class, from content", _share(leak["motion_from_content_acc"]),
                 _share(leak["chance_motion"])),
                ("attributes, from the clip's motion codes",
                 _share(leak["content_from_motion_acc"]), _share(leak["chance_content"])),
            ],
        ),
    ]  # fmt: skip


def _pictures(pictures: Sequence[Picture]) -> list[str]:
    if not pictures:
        return []
    images = [f"![{caption}]({PICTURES}/{file})\n\n{caption}" for file, caption in pictures]
    return ["## Pictures", *images]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"


def _number(value: float | None, form: str = ".2f") -> str:
    return "–" if value is None else format(value, form)


def _processor() -> str:
    info = epath.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
