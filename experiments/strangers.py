"""How people whom a run has not seen fare: do they stay themselves, and do they move?

    python experiments/strangers.py RUN --clips CLIPS --data DATA [--split test] [--out FOLDER]

CLIPS is what `vdd.data.prepare` made DATA from, the run's data. Of each clip of a person of the
split the first second gives content, and rest pose. Then the rest of it is rebuilt, and drives
somebody else. A still frame is recognised too, and no worse in decibels than much that moves: so
who it is and how it moves are told together. With the extra `face` dlib tells both. Prints the
table, and writes it with a contact sheet of the best, the median and the worst by the rebuilt PSNR.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from strangers_seen import Stranger, progress, seen, told

import vdd
from vdd import compiled, files, markdown, streaming
from vdd.data import encoders, video_io
from vdd.errors import UserError
from vdd.evaluation import faces, metrics
from vdd.evaluation.pairing import pair_across
from vdd.run import Run

MOST = 48  # later frames of a clip
LEAST = 8
STRIP = 8  # frames of a row of the contact sheet
WRITTEN = ("strangers.json", "strangers.png")  # below --out


class Read(NamedTuple):
    """What the run reads of a clip."""

    content: Float[np.ndarray, "1 k d"]
    content_bits: float
    own: Int[np.ndarray, "t n"]  # codes of the later frames, from where the first second rests
    alone: Int[np.ndarray, "t n"]  # from where they rest themselves


def main(arguments: list[str] | None = None) -> int:
    options = parser((__doc__ or "").splitlines()[0]).parse_args(arguments)
    try:
        if options.out:
            files.check_folder(options.out, *WRITTEN)
        run = vdd.load(options.run)
        clips = strangers(options.clips, options.data, options.split, run.model.latents.size[0])
        figures, sheet = measure(run, clips)
        print(table(figures))
        if options.out:
            files.own(options.out)
            text = json.dumps({"run": run.name, "split": options.split, **figures}, indent=1)
            for name, data in zip(WRITTEN, (text, encoders.png(sheet[None])), strict=True):
                files.write(options.out / name, data)
    except UserError as error:
        print(f"strangers: {error}", file=sys.stderr)
        return 2
    return 0


def parser(description: str) -> argparse.ArgumentParser:
    """What a script asks for that looks at people of a split."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("run")
    options.add_argument("--clips", type=Path, required=True)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--split", default="validation")
    options.add_argument("--out", type=Path)
    return options


def strangers(clips: Path, data: Path, split: str, size: int) -> list[Stranger]:
    """The clips of a split that are long enough, by name, as many frames a second as the data."""
    try:
        prepared = json.loads((data / "report.json").read_text())
        listed, fps = prepared["clips"], float(Fraction(prepared["settings"]["fps"]))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{data}: no report.json of vdd.data.prepare ({error})") from error
    chosen = sorted(row["path"] for row in listed if row["split"] == split)
    names = {row["path"]: row["identity_name"] for row in listed}
    found = []
    for path in chosen:
        with video_io.open_clip(clips / path, size) as clip:
            frames, rate = np.stack(list(clip.frames)), (clip.fps or fps) / fps
        # The frame nearest in time to each tick of the slower clock.
        frames = frames[np.round(np.arange(0, len(frames) - 0.5, rate)).astype(int)]
        first, later = np.split(frames[: round(fps) + MOST], [round(fps)])
        if len(later) >= LEAST:
            found.append(Stranger(names[path], first, later))
    if len({clip.person for clip in found}) < 2:
        raise UserError(f"{data}: fewer than two people in {split} with clips that are long enough")
    return found


def read(run: Run, clip: Stranger) -> Read:
    encoded = compiled.encode(run.model, run.params, clip.first[None])
    rest = compiled.rest_pose(run.model, run.params, clip.first[None])

    def codes(rest: Any) -> np.ndarray:
        reader = compiled.Reader(run.model, run.params, rest)
        cut = streaming.windows(clip.later, *run.windows)
        parts = [np.asarray(reader(window.frames[None]).codes)[0, window.kept] for window in cut]
        return np.concatenate(parts)

    content = np.asarray(encoded.content)
    return Read(content, float(encoded.content_bits[0]), codes(rest), codes(None))


def measure(
    run: Run, clips: Sequence[Stranger], see: faces.Faces | None = None
) -> tuple[dict[str, Any], UInt8[np.ndarray, "h w 3"]]:
    """All figures, and the contact sheet."""
    parts = [read(run, clip) for clip in progress(clips, "reading")]
    driver = pair_across(np.unique([clip.person for clip in clips], return_inverse=True)[1], 0)
    rebuilt = [
        run.decode(part.content, part.own[None])[0] for part in progress(parts, "rebuilding")
    ]
    driven = [
        run.decode(part.content, parts[other].alone[None])[0]
        for part, other in zip(progress(parts, "driving"), driver, strict=True)
    ]
    figures: dict[str, Any] = {"clips": len(clips), "people": len({clip.person for clip in clips})}
    figures |= pixels(clips, rebuilt) | rates(run, clips, parts)
    if see is None and _can_see():
        see = faces.dlib_faces()
    if see is not None:
        figures |= seen(see, clips, rebuilt, driven, driver)
    return figures, contact_sheet(clips, rebuilt, driven, driver, figures.pop("order"))


def pixels(clips: Sequence[Stranger], rebuilt: Sequence[np.ndarray]) -> dict[str, Any]:
    """Rebuilt clips, and two stills, against what was to be rebuilt; dB, SSIM."""
    later = [clip.later for clip in clips]
    last = [np.repeat(clip.first[-1:], len(clip.later), 0) for clip in clips]
    mean = [np.round(clip.first.mean(0, keepdims=True)).astype(np.uint8) for clip in clips]
    mean = [np.repeat(still, len(clip.later), 0) for still, clip in zip(mean, clips)]
    rows = {"rebuilt": rebuilt, "last frame held": last, "mean frame held": mean}
    psnr = {name: _each(metrics.psnr, made, later) for name, made in rows.items()}
    ssim = {name: _each(metrics.ssim, made, later) for name, made in rows.items()}
    over = {
        f"rebuilt over {name}, dB": told(list(psnr["rebuilt"] - psnr[name]))
        for name in ("last frame held", "mean frame held")
    }
    both = {name: {"psnr": told(list(psnr[name])), "ssim": told(list(ssim[name]))} for name in rows}
    return {**both, **over, "order": np.argsort(psnr["rebuilt"])[::-1]}


def _each(measure: Any, made: Sequence[np.ndarray], real: Sequence[np.ndarray]) -> np.ndarray:
    pairs = zip(made, real, strict=True)
    return np.array([float(measure(x[None], y[None], peak=255)[0]) for x, y in pairs])


def rates(run: Run, clips: Sequence[Stranger], parts: Sequence[Read]) -> dict[str, Any]:
    """Bits of a frame and of content, and whether codes tell whose they are."""
    codes = np.concatenate([part.alone for part in parts])
    count = run.model.quantizer.codebook.num_codes
    entropy = 0.0
    for group in codes.T:
        share = np.bincount(group, minlength=count) / len(group)
        entropy -= float(np.sum(share * np.log2(np.maximum(share, 1e-12))))
    halves = [np.array_split(part.alone, 2) for part in parts]
    one, other = (np.stack([half[i].mean(0) for half in halves]) for i in (0, 1))
    nearest = np.linalg.norm(one[:, None] - other[None], axis=-1).argmin(1)
    return {
        "bits_per_frame": entropy,
        "content_bits": told([part.content_bits for part in parts]),
        "mean code finds its clip": float(np.mean(nearest == np.arange(len(parts)))),
        "by chance": 1 / len(parts),
    }


def table(figures: dict[str, Any]) -> str:
    """The figures as a table in Markdown."""
    return markdown.table(("figure", "value"), _rows(figures))


def _rows(figures: dict[str, Any], name: str = "") -> Iterator[tuple[str, str]]:
    for key, value in figures.items():
        place = f"{name}, {key}" if name else key
        if isinstance(value, dict) and "mean" not in value:
            yield from _rows(value, place)
        elif isinstance(value, dict):
            of = f"{_number(value['mean'])} ± {_number(value['error'])} ({value['n']})"
            yield place, of
        else:
            yield place, _number(value)


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "–" if value is None else str(value)


def contact_sheet(
    clips: Sequence[Stranger],
    rebuilt: Sequence[np.ndarray],
    driven: Sequence[np.ndarray],
    driver: Int[np.ndarray, "n"],
    order: Int[np.ndarray, "n"],
) -> UInt8[np.ndarray, "h w 3"]:
    """Best, median and worst by rebuilt PSNR: as it was, rebuilt, the driver, and driven by it."""
    rows = []
    for i in map(int, (order[0], order[len(order) // 2], order[-1])):
        j = int(driver[i])
        for video in (clips[i].later, rebuilt[i], clips[j].later, driven[i]):
            at = np.linspace(0, len(video) - 1, STRIP).round().astype(int)
            rows.append(np.concatenate([video[k] for k in at], axis=1))
    return np.concatenate(rows)


def _can_see() -> bool:
    try:
        faces.dlib_faces()
    except UserError as error:
        print(f"left out: {error}")
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
