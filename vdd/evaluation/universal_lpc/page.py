"""The figures of a run on Universal LPC as Markdown."""

from collections.abc import Mapping
from typing import Any

from vdd.evaluation.report import number, rates, share, table


def sections(report: Mapping[str, Any]) -> list[str]:
    """The figures of `protocol.evaluate` as sections of a page."""
    transfer, rebuilt = report["transfer"], report["reconstruction"]
    rows = [
        ("pose", share(transfer["pose_acc"]), share(rebuilt["pose_acc"])),
        *(
            (name, number(transfer[key], form), number(rebuilt[key], form))
            for name, key, form in (
                ("PSNR, dB", "psnr", ".2f"),
                ("PSNR of the figure, dB", "figure_psnr", ".2f"),
                ("SSIM", "ssim", ".3f"),
            )
        ),
    ]
    return [
        "## Swaps and reconstructions",
        f"{report['num_clips']} clips, each given the motion of another, against drawings of what"
        " they ought to show. The pose is right where the nearest cell of the character's own sheet"
        " is the right one.",
        table(("", "swaps", "reconstructions"), rows),
        *rates(report["bitrate"]),
    ]
