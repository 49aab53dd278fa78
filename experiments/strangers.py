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
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

import vdd
from vdd import compiled, files, streaming
from vdd.data import encoders, video_io
from vdd.errors import UserError
from vdd.evaluation import faces, metrics
from vdd.evaluation.pairing import pair_across
from vdd.progress import progress_bar
from vdd.run import Run

FPS = 12.5  # frames a second that are looked at
MOST = 48  # later frames of a clip
LEAST = 8
STRIP = 8  # frames of a row of the contact sheet


class Stranger(NamedTuple):
    """A clip of somebody."""

    person: str
    first: UInt8[np.ndarray, "s h w 3"]  # its first second
    later: UInt8[np.ndarray, "t h w 3"]


class Read(NamedTuple):
    """What the run reads of a clip."""

    content: Float[np.ndarray, "1 k d"]
    content_bits: float
    own: Int[np.ndarray, "t n"]  # codes of the later frames, from where the first second rests
    alone: Int[np.ndarray, "t n"]  # from where they rest themselves


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    try:
        run = vdd.load(options.run)
        clips = strangers(options.clips, options.data, options.split, run.model.latents.size[0])
        figures, sheet = measure(run, clips)
        print(table(figures))
        if options.out:
            files.own(options.out)
            text = json.dumps({"run": run.name, "split": options.split, **figures}, indent=1)
            files.write(options.out / "strangers.json", text.encode(), overwrite=True)
            files.write(options.out / "strangers.png", encoders.png(sheet[None]), overwrite=True)
    except UserError as error:
        print(f"strangers: {error}", file=sys.stderr)
        return 2
    return 0


def strangers(clips: Path, data: Path, split: str, size: int) -> list[Stranger]:
    """The clips of a split that are long enough, in the order of their names."""
    listed = json.loads((data / "report.json").read_text())["clips"]
    chosen = sorted(row["path"] for row in listed if row["split"] == split)
    names = {row["path"]: row["identity_name"] for row in listed}
    found = []
    for path in chosen:
        with video_io.open_clip(clips / path, size) as clip:
            stride = max(1, round((clip.fps or FPS) / FPS))
            frames = np.stack(list(clip.frames))[::stride]
        first, later = np.split(frames[: round(FPS) + MOST], [round(FPS)])
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
    figures = {"clips": len(clips), "people": len({clip.person for clip in clips})}
    figures |= pixels(clips, rebuilt) | rates(run, clips, parts)
    if see is None and _can_see():
        see = faces.dlib_faces()
    if see is not None:
        figures |= seen(see, clips, rebuilt, driven, driver)
    return figures, contact_sheet(clips, rebuilt, driven, driver, figures.pop("order"))


def pixels(clips: Sequence[Stranger], rebuilt: Sequence[np.ndarray]) -> dict[str, Any]:
    """Rebuilt clips, and two stills, against what was to be rebuilt; dB, SSIM."""
    rows = {"rebuilt": rebuilt}
    rows["last frame held"] = [np.repeat(c.first[-1:], len(c.later), 0) for c in clips]
    mean = [np.round(clip.first.mean(0, keepdims=True)).astype(np.uint8) for clip in clips]
    rows["mean frame held"] = [np.repeat(m, len(c.later), 0) for m, c in zip(mean, clips)]
    found = {}
    for name, made in rows.items():
        pairs = [(clip.later[None], video[None]) for clip, video in zip(clips, made, strict=True)]
        found[name] = {
            "psnr": told([float(metrics.psnr(*pair, peak=255)[0]) for pair in pairs]),
            "ssim": told([float(metrics.ssim(*pair, peak=255)[0]) for pair in pairs]),
        }
    each = [
        float(metrics.psnr(c.later[None], v[None], peak=255)[0]) for c, v in zip(clips, rebuilt)
    ]
    return {**found, "order": np.argsort(each)[::-1]}


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


def seen(
    see: faces.Faces,
    clips: Sequence[Stranger],
    rebuilt: Sequence[np.ndarray],
    driven: Sequence[np.ndarray],
    driver: Int[np.ndarray, "n"],
) -> dict[str, Any]:
    """What networks see: who it is, and how it moves."""
    observe = see.observe
    first = [observe(clip.first) for clip in progress(clips, "looking at content")]
    later = [observe(clip.later) for clip in progress(clips, "looking at motion")]
    again = [observe(video) for video in progress(rebuilt, "looking at the rebuilt")]
    other = [observe(video) for video in progress(driven, "looking at the driven")]
    people = np.array([clip.person for clip in clips])
    held = [np.repeat(o.landmarks[-1:], len(c.later), 0) for o, c in zip(first, clips)]
    still = [faces.motion_error(x, y.landmarks) for x, y in zip(held, later)]
    error = [faces.motion_error(x.landmarks, y.landmarks) for x, y in zip(again, later)]
    same = [faces.followed(x.landmarks, y.landmarks) for x, y in zip(again, later)]
    across = [faces.followed(x.landmarks, later[j].landmarks) for x, j in zip(other, driver)]
    return {
        "networks": see.networks,
        "recognised": {
            "real": recognised(later, first, people, people),
            "rebuilt": recognised(again, first, people, people),
            "driven": recognised(other, first, people, people),
            "driven, taken for the driver": recognised(other, first, people, people[driver]),
        },
        "landmark error": {"rebuilt": told(error), "last frame held": told(still)},
        "follows": {"rebuilt": moved(same), "driven": moved(across)},
    }  # fmt: skip


def recognised(
    made: Sequence[faces.Observed],
    gallery: Sequence[faces.Observed],
    people: np.ndarray,
    expected: np.ndarray,
) -> float | None:
    """Share of clips whose nearest embedding of the gallery is of the person that is expected.

    Where no face is found nobody is recognised. None where nothing could be.
    """
    known = [i for i, one in enumerate(gallery) if one.embedding is not None]
    if not known:
        return None
    bank = np.stack([gallery[i].embedding for i in known])  # type: ignore[misc]
    hits = [
        one.embedding is not None
        and people[known[np.linalg.norm(bank - one.embedding[None], axis=1).argmin()]] == who
        for one, who in zip(made, expected, strict=True)
    ]
    return float(np.mean(hits))


def moved(compared: Sequence[faces.Followed | None]) -> dict[str, Any]:
    """Mean correlation and median amplitude of each track, and of all."""
    known = [one for one in compared if one is not None]
    if not known:
        return {}
    correlation = np.stack([one.correlation for one in known])
    amplitude = np.stack([one.amplitude for one in known])
    rows = {
        name: {
            "correlation": float(np.nanmean(correlation[:, i])),
            "amplitude": float(np.nanmedian(amplitude[:, i])),
        }
        for i, name in enumerate(faces.TRACKS)
        if np.isfinite(correlation[:, i]).any()
    }
    means = {key: float(np.mean([row[key] for row in rows.values()])) for key in
             ("correlation", "amplitude")}  # fmt: skip
    return {"clips": len(known), **rows, "all": means}


def told(values: Sequence[float | None]) -> dict[str, float]:
    """Mean, standard error and number of what was measured."""
    known = np.array([value for value in values if value is not None], np.float64)
    error = known.std(ddof=1) / np.sqrt(len(known)) if len(known) > 1 else np.nan
    mean = known.mean() if len(known) else np.nan
    return {"mean": float(mean), "error": float(error), "n": len(known)}


def table(figures: dict[str, Any], name: str = "") -> str:
    """The figures as the rows of a Markdown table."""
    lines = ["| figure | value |", "|---|---|"] if not name else []
    for key, value in figures.items():
        place = f"{name}, {key}" if name else key
        if isinstance(value, dict) and "mean" not in value:
            lines += table(value, place).splitlines()
        elif isinstance(value, dict):
            lines.append(f"| {place} | {value['mean']:.3f} ± {value['error']:.3f} ({value['n']}) |")
        else:
            number = isinstance(value, float)
            lines.append(f"| {place} | {f'{value:.3f}' if number else value} |")
    return "\n".join(lines)


def contact_sheet(
    clips: Sequence[Stranger],
    rebuilt: Sequence[np.ndarray],
    driven: Sequence[np.ndarray],
    driver: Int[np.ndarray, "n"],
    order: Int[np.ndarray, "n"],
) -> UInt8[np.ndarray, "h w 3"]:
    """Best, median and worst by rebuilt PSNR: as it was, rebuilt, the driver, and driven by it."""
    rows = []
    for i in (order[0], order[len(order) // 2], order[-1]):
        for video in (clips[i].later, rebuilt[i], clips[driver[i]].later, driven[i]):
            at = np.linspace(0, len(video) - 1, STRIP).round().astype(int)
            rows.append(np.concatenate(list(video[at]), axis=1))
    return np.concatenate(rows)


def progress(items: Sequence[Any], title: str) -> Iterator[Any]:
    with progress_bar(title, len(items), True) as advance:
        for item in items:
            yield item
            advance(1)


def _can_see() -> bool:
    try:
        faces.dlib_faces()
    except UserError as error:
        print(f"left out: {error}")
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
