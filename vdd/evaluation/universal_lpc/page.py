"""The figures of a run on Universal LPC as Markdown."""

from vdd.data.universal_lpc import SLOTS
from vdd.evaluation.report import number, rates, share
from vdd.markdown import table
from vdd.values import Report

# What a result is asked, in the order of the page: its name, its key and its form.
LIKENESS = (
    ("pose", "pose_acc", share),
    ("PSNR, dB", "psnr", number),
    ("PSNR of the figure, dB", "figure_psnr", number),
    ("SSIM", "ssim", lambda x: number(x, ".3f")),
    ("alpha, intersection over union", "alpha_iou", share),
    ("sharpness (1 is as the truth)", "sharpness", lambda x: number(x, ".3f")),
    ("power of the Laplacian (1 is as the truth)", "laplacian_power", lambda x: number(x, ".3f")),
    ("Fréchet distance", "frechet", lambda x: number(x, ".1f")),
)


def sections(report: Report) -> list[str]:
    """The figures of `protocol.evaluate` as sections of a page."""
    transfer, rebuilt = report["transfer"], report["reconstruction"]
    rows = [
        (name, form(transfer[key]), form(rebuilt[key]))
        for name, key, form in LIKENESS
        if key in transfer
    ]
    return [
        "## Swaps and reconstructions",
        f"{report['num_clips']} clips, each given the motion of another, against drawings of what"
        " they ought to show, over grey. The pose is right where the nearest cell of the"
        " character's own sheet is the right one. Noise adds to the power of the Laplacian, but not"
        " to sharpness. The Fréchet distance is between these frames and their truths, in"
        " components of true frames and of their detail.",
        table(("", "swaps", "reconstructions"), rows),
        *_parts(report["parts"]),
        *_carried(report.get("carried")),
        *rates(report["bitrate"]),
        *_codes(report.get("codes")),
        *_leakage(report.get("leakage")),
    ]


def _parts(parts: Report) -> list[str]:
    rows = [(slot, share(parts[slot])) for slot in SLOTS]
    return [
        "## Parts",
        "Share of swaps that are nearer to the character than to the same character with another"
        f" part in that slot: all others of its kind, or {parts['alternatives']} of them.",
        table(("slot", "right"), [*rows, ("mean", share(parts["mean"]))]),
    ]


def _carried(carried: Report | None) -> list[str]:
    if not carried or not carried["num_pairs"]:
        return []
    rows = (
        ("new characters, nearer to their own truth", "carried"),
        ("floor: twins, nearer to the new character's truth", "floor"),
        ("twins, nearer to their own truth", "twin"),
    )
    return [
        "## New parts",
        f"{carried['num_pairs']} characters with parts that no training clip showed, and their"
        " twins, who wear known parts in their place, in the same cells and driven by the same"
        " clips.",
        table(("", "share"), [(name, share(carried[key])) for name, key in rows]),
    ]


def _codes(codes: Report | None) -> list[str]:
    if not codes:
        return []
    rows = (
        ("entropy of the codes, bits a frame", number(codes["joint_bits"])),
        ("of it about the cell, bits a frame", number(codes["information_bits"])),
        ("the same of codes that are shuffled", number(codes["information_chance"])),
        ("entropy of the cell, bits a frame", number(codes["cell_bits"])),
        ("two people in one cell have one code", share(codes["same_code"])),
        ("the same in any two cells", share(codes["same_code_chance"])),
    )
    return [
        "## What codes say",
        "Entropies are corrected for their few frames.",
        table(("", ""), rows),
    ]


def _leakage(leakage: Report | None) -> list[str]:
    if not leakage:
        return []
    looks = [
        (f"{name}, from the clip's codes", share(leakage[f"{name}_from_codes"]),
         share(leakage[f"{name}_chance"]), "")
        for name in ("skin", "hairstyle", "torso", "sex")
    ]  # fmt: skip
    motions = [
        (f"{name} of a frame, from content", share(leakage[f"{name}_from_content"]),
         share(leakage[f"{name}_chance"]), share(leakage[f"{name}_in_clip"]))
        for name in ("direction", "action")
    ]  # fmt: skip
    return [
        "## Leakage",
        "What a linear probe reads in the representation where it ought not to be, tested on other"
        " characters than it learned from. Chance is the share of the largest class. All that"
        " content can tell of a frame is what its clip shows most.",
        table(("", "probe", "chance", "at most"), [*looks, *motions]),
    ]
