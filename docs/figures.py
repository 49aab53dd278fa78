"""What the tables of results show: `docs/tables.py` fills them from reports."""

from collections.abc import Sequence
from typing import NamedTuple


class Figure(NamedTuple):
    """A row of a table: where a report has the figure, how it is shown, and what to hold it to."""

    label: str
    path: str  # of the keys in a report
    form: str = ".2f"
    percent: bool = False
    scale: str = ""  # what would be best, chance or an aim; or the path of it in the report
    beside: str = ""  # path of what stands in brackets behind the figure, in each column


def _attributes(where: str) -> list[Figure]:
    names = ("body", "bottomwear", "topwear", "hair")
    return [Figure(name, f"{where}.{name}_acc", ".2f", True, "100 %") for name in names]


_BITS = (
    Figure("bits a frame, entropy of the codes", "bitrate.joint_entropy_bits_per_frame"),
    Figure("bits of content a clip", "bitrate.content_bits_per_clip", ".1f"),
)
_LEAKS = (
    Figure(
        "action, read from content",
        "leakage.motion_from_content_acc",
        ".1f",
        True,
        "leakage.chance_motion",
    ),
    Figure(
        "attributes, read from the codes",
        "leakage.content_from_motion_acc",
        ".1f",
        True,
        "leakage.chance_content",
    ),
)
_SWAPS = (
    Figure("all five factors right", "transfer.joint_acc", ".2f", True, "100 %"),
    Figure("motion right", "transfer.motion_acc", ".2f", True, "100 %"),
    Figure("attributes right", "transfer.content_acc", ".2f", True, "100 %"),
    Figure("shows the content clip's motion", "transfer.leak_acc", ".2f", True, "0 %"),
    Figure("PSNR, dB", "transfer.psnr", ".1f"),
)

# Kind of report and rows of each table. README's is one choice from the rest.
_STRANGERS = (
    Figure("rebuilt: PSNR, dB", "rebuilt.psnr.mean", ".1f"),
    Figure(
        "over the last frame held, dB (standard error)",
        "rebuilt over last frame held, dB.mean",
        scale="≥ 1.5",
        beside="rebuilt over last frame held, dB.error",
    ),
    Figure(
        "over the mean frame held, dB (standard error)",
        "rebuilt over mean frame held, dB.mean",
        scale="≥ 1",
        beside="rebuilt over mean frame held, dB.error",
    ),
    Figure(
        "rebuilt: SSIM (mean frame held)", "rebuilt.ssim.mean", beside="mean frame held.ssim.mean"
    ),
    Figure(
        "driven by another: recognised (real footage)",
        "recognised.driven",
        ".0f",
        True,
        "≥ 85 %",
        beside="recognised.real",
    ),
    Figure("taken for the driver", "recognised.driven, taken for the driver", ".0f", True, "≤ 2 %"),
    Figure(
        "follows the driver: correlation, all six tracks",
        "follows.driven.all.correlation",
        scale="≥ .6",
    ),
    *(
        Figure(
            f"{track} (amplitude)",
            f"follows.driven.{track}.correlation",
            beside=f"follows.driven.{track}.amplitude",
        )
        for track in (
            "place across",
            "place down",
            "nose across",
            "nose down",
            "mouth open",
            "eyes open",
        )
    ),
    Figure("amplitude, of the driver's", "follows.driven.all.amplitude", scale=".6 to 1.3"),
    Figure("of so many clips, in which it can be followed", "follows.driven.clips", ".0f"),
    Figure(
        "landmarks' error within a clip, face sizes (last frame held)",
        "landmark error.rebuilt.mean",
        ".3f",
        beside="landmark error.last frame held.mean",
    ),
    Figure(
        "of so many clips (last frame held)",
        "landmark error.rebuilt.n",
        ".0f",
        beside="landmark error.last frame held.n",
    ),
    Figure("bits a frame, entropy of the codes", "bits_per_frame", ".1f", scale="≤ 40"),
    Figure("bits of content a clip", "content_bits.mean", ",.0f"),
    Figure(
        "the mean code finds its clip (chance)",
        "mean code finds its clip",
        ".0f",
        True,
        "≤ 15 %",
        beside="by chance",
    ),
)

TABLES: dict[str, tuple[str, Sequence[Figure]]] = {
    "readme": ("sprites", (*_SWAPS, *_BITS, *_LEAKS)),
    "swaps": (
        "sprites",
        (
            *_SWAPS[:3],
            *_attributes("transfer"),
            *_SWAPS[3:],
            Figure("SSIM", "transfer.ssim", ".3f", scale="1"),
        ),
    ),
    "reconstructions": (
        "sprites",
        (
            Figure("motion right", "reconstruction.motion_acc", ".2f", True, "100 %"),
            *_attributes("reconstruction"),
            Figure("PSNR, dB", "reconstruction.psnr", ".1f"),
            Figure("SSIM", "reconstruction.ssim", ".3f", scale="1"),
        ),
    ),
    "representation": (
        "sprites",
        (
            *_BITS,
            Figure("bits a frame, as the code of each clip", "bitrate.coded_bits_per_frame", ".3f"),
            Figure("codewords in use", "bitrate.distinct_codes", ".0f"),
            *_LEAKS,
            *(
                Figure(
                    f"{name}, read from the codes",
                    f"leakage.per_attribute.{name}",
                    ".1f",
                    True,
                    "leakage.chance_content",
                )
                for name in ("body", "bottomwear", "topwear", "hair")
            ),
            Figure(
                "attributes, read from content",
                "leakage.content_from_content_acc",
                ".2f",
                True,
                "100 %",
            ),
        ),
    ),
    "cdsvae": (
        "sprites",
        (
            Figure("accuracy", "cdsvae_protocol.acc", ".2f", True, "100 %"),
            Figure("inception score", "cdsvae_protocol.inception_score", ".3f", scale="9"),
            Figure("H(y given x), nats", "cdsvae_protocol.h_y_given_x", ".1e", scale="0"),
            Figure("H(y), nats", "cdsvae_protocol.h_y", ".3f", scale="2.197"),
        ),
    ),
    "prior": (
        "prior",
        (
            Figure("bits a frame, by the prior", "bitrate.prior_bits_per_frame", ".3f"),
            Figure("bits a clip, by the prior", "bitrate.prior_bits_per_clip", ".2f"),
            Figure("bits a frame, each frame alone", "bitrate.joint_entropy_bits_per_frame", ".3f"),
        ),
    ),
    "videos": (
        "videos",
        (
            Figure("reconstruction: PSNR, dB", "reconstruction.psnr", ".1f"),
            Figure("transfer within a clip: PSNR, dB", "transfer.within_clip.psnr", ".1f"),
            Figure(
                "across people: like who gave the content",
                "transfer.across_identities.identity_similarity",
                ".3f",
                scale="real.same_clip_similarity",
            ),
            Figure(
                "across people: like who gave the motion",
                "transfer.across_identities.driving_similarity",
                ".3f",
                scale="real.other_identity_similarity",
            ),
            Figure("across people: motion error", "transfer.across_identities.motion_error", ".4f"),
            Figure("bits a frame, entropy of the codes", "bitrate.entropy_bits_per_frame", ".1f"),
        ),
    ),
    "strangers": ("strangers", _STRANGERS),
    "card": ("strangers", _STRANGERS),
    "universal_lpc": (
        "universal_lpc",
        (
            Figure("pose right", "transfer.pose_acc", ".1f", True),
            Figure("PSNR, dB", "transfer.psnr", ".1f"),
            Figure("PSNR of the figure, dB", "transfer.figure_psnr", ".1f"),
            Figure("SSIM", "transfer.ssim", ".3f"),
            Figure("overlap of what is opaque", "transfer.alpha_iou", ".3f"),
            Figure("parts right", "parts.mean", ".1f", True),
            *(
                Figure(slot, f"parts.{slot}", ".0f", True)
                for slot in (
                    "body", "eyes", "legs", "feet", "torso", "hands", "cape", "facial", "hair",
                    "head",
                )
            ),
            Figure("nearer to the new part than to its twin (floor)", "carried.carried", ".1f",
                   True, beside="carried.floor"),
            Figure("of so many pairs", "carried.num_pairs", ".0f"),
            Figure("reconstruction: PSNR, dB", "reconstruction.psnr", ".1f"),
            Figure("bits a frame, entropy of the codes (of the cells)",
                   "bitrate.joint_entropy_bits_per_frame", beside="codes.cell_bits"),
            Figure("bits of them about the cell (with codes shuffled)", "codes.information_bits",
                   beside="codes.information_chance"),
            Figure("two people in one cell have one code (chance)", "codes.same_code", ".1f", True,
                   beside="codes.same_code_chance"),
            Figure("bits of content a clip", "bitrate.content_bits_per_clip", ".0f"),
            *(
                Figure(f"{what}, read from {where} (chance)", f"leakage.{what}_from_{where}", ".1f",
                       True, beside=f"leakage.{what}_chance")
                for what, where in (
                    ("skin", "codes"), ("hairstyle", "codes"), ("torso", "codes"),
                    ("direction", "content"), ("action", "content"),
                )
            ),
        ),
    ),
}  # fmt: skip


# Tables that begin with what was trained.
DESCRIBED = ("readme", "swaps", "prior", "videos", "strangers", "universal_lpc")

# Tables that hold figures to aims; others to what would be best, or to chance.
AIMS = ("strangers", "card")

# Tables that show some columns alone, and what marks these.
SHOWN = {"readme": "in_readme", "card": "in_card"}
