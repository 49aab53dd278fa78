"""The figures of a run on real videos as Markdown."""

from collections.abc import Mapping

from vdd.evaluation.report import number, rates
from vdd.markdown import table
from vdd.values import Report

_ROWS = (
    ("PSNR, dB", "psnr", ".2f"),
    ("the content's last frame held, dB", "psnr_last_frame_held", ".2f"),
    ("the mean of its frames held, dB", "psnr_mean_frame_held", ".2f"),
    ("SSIM", "ssim", ".3f"),
    ("flicker, times the driving window's", "flicker", ".3f"),
    ("identity: similarity to the content clip", "identity_similarity", ".3f"),
    ("identity: similarity to the driving clip", "driving_similarity", ".3f"),
    ("identity: distance to the content clip", "identity_distance", ".3f"),
    ("motion error", "motion_error", ".4f"),
    ("cross error", "cross_error", ".4f"),
)


def sections(report: Report) -> list[str]:
    """The figures of `videos.evaluate` as sections of a page."""
    transfer, rate = report["transfer"], report["bitrate"]
    columns = (report["reconstruction"], transfer["within_clip"], transfer["across_identities"])
    rows = [
        (name, *(number(column.get(key), form) for column in columns)) for name, key, form in _ROWS
    ]
    networks = [f"{what}: {name}" for what, name in report["networks"].items() if name]
    seen_by = f"Networks behind these figures: {', '.join(networks)}." if networks else (
        "No network looked at the faces, so what only networks can say is left out."
    )  # fmt: skip
    return [
        "## Reconstructions and transfers",
        f"Over {report['num_windows']} windows of {report['num_clips']} clips and"
        f" {report['num_identities']} people. A transfer within a clip has the content of one"
        " window and the motion of another that shares no time with it, and ought to be that other"
        f" window; across identities the motion is somebody else's. {seen_by}",
        table(("", "reconstructions", "within a clip", "across identities"), rows),
        *_scale(report["real"]),
        *rates(rate),
    ]


def _scale(real: Mapping[str, float | None]) -> list[str]:
    same, other = real["same_clip_similarity"], real["other_identity_similarity"]
    if same is None and other is None:
        return []
    return [
        f"To read the similarities by: real windows of one clip have {number(same, '.3f')}, of two"
        f" people {number(other, '.3f')}."
    ]
