"""The figures of a run on Sprites as Markdown."""

from vdd.evaluation.report import number, rates, share
from vdd.markdown import table
from vdd.values import Report


def sections(report: Report) -> list[str]:
    """The figures of `sprites.evaluate` as sections of a page."""
    transfer, rebuilt, judge = report["transfer"], report["reconstruction"], report["judge"]
    names = ("motion", "body", "bottomwear", "topwear", "hair")
    accuracy = [(name, *(share(s[f"{name}_acc"]) for s in (transfer, rebuilt))) for name in names]
    accuracy += [
        ("all five at once (joint)", share(transfer["joint_acc"]), ""),
        ("shows the content clip's motion (leak)", share(transfer["leak_acc"]), ""),
        ("PSNR, dB", number(transfer.get("psnr")), number(rebuilt["psnr"])),
        ("SSIM", number(transfer.get("ssim")), number(rebuilt["ssim"])),
    ]
    protocol, rate, leak = report["cdsvae_protocol"], report["bitrate"], report["leakage"]
    return [
        "## Swaps and reconstructions",
        "Share of clips in which a judge sees what ought to be there: over"
        f" {transfer['num_pairs']} swaps (content of one clip, motion of another, of unlike"
        " character and motion), and over as many clips rebuilt. The judge, an ensemble"
        f" of supervised classifiers, names {share(judge['motion_acc'])} of the motions and"
        f" {share(judge['content_acc'])} of the attributes of real clips.",
        table(("", "swaps", "reconstructions"), accuracy),
        "## C-DSVAE protocol",
        "Motion of a real clip, content from elsewhere: does the judge see the action?",
        table(
            ("", "measured", "best possible"),
            [
                ("accuracy", share(protocol["acc"]), "100 %"),
                ("inception score", number(protocol["inception_score"], form=".4f"), "9"),
                ("H(y given x), nats", number(protocol["h_y_given_x"], form=".2g"), "0"),
                ("H(y), nats", number(protocol["h_y"], form=".4f"), "2.197"),
            ],
        ),
        *rates(rate),
        "## Leakage",
        "What a small network reads out of the representation where it ought not to be, trained on"
        " clips of other characters and tested on these. At chance nothing leaks.",
        table(
            ("", "probe", "chance"),
            [
                ("motion class, from content", share(leak["motion_from_content_acc"]),
                 share(leak["chance_motion"])),
                ("attributes, from the clip's motion codes",
                 share(leak["content_from_motion_acc"]), share(leak["chance_content"])),
            ],
        ),
    ]  # fmt: skip
