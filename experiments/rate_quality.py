"""What is a face worth at so many bits a second: a run, beside H.264, H.265 and AV1?

    python experiments/rate_quality.py RUN --data-dir DATA [--faces] [--picture FILE] [--out FILE]

Every clip of the split is put together from its windows, up to a gap. The run writes it to a file
(`vdd encode`) and draws it from that file. libx264, libx265 (preset veryslow) and libsvtav1 (preset
4) encode the same frames at the lowest quality that they have (`--crf` 51, of AV1 63) and at better
ones; one that this FFmpeg lacks is left out.

What a clip takes has two parts. Once: of the run's file content and header, of the others the first
packet, which is the key frame. Then, every second: the rest, over the seconds of the clip. So much
is measured. Rates of clips of `--seconds` are those two added up, as if the clip went on as it is
and no other key frame came; of containers nothing is counted. All are means over clips.

Quality: PSNR and SSIM against the frames, and with `--faces` what dlib says of who it is
(`identity_similarity`) and of where the landmarks are (`motion_error`). To read them by: the first
frame of each clip held to its end, and what the run's latents alone leave of the frames.
"""

import argparse
import itertools
import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import outputs
from jaxtyping import Int, UInt8
from matplotlib.figure import Figure
from ways_to_send import CODECS, Clip, Sent, available, by_codec, by_run, through_latents

from vdd import files as own_files
from vdd import markdown
from vdd.codec import files
from vdd.data import video_folder
from vdd.diffusion.samplers import Sampler
from vdd.evaluation import metrics
from vdd.evaluation.faces import Faces, compare, dlib_faces
from vdd.evaluation.report import machine
from vdd.memory import keep_freed_memory

TICKS = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)  # kbit/s, of the picture
QUALITIES = ("PSNR, dB", "SSIM", "identity", "motion error")


class Row(NamedTuple):
    """Means over clips; None: not measured."""

    once: float | None  # kbit
    then: float | None  # kbit/s
    qualities: list[float | None]  # as `QUALITIES` has them
    counts: list[int]  # of how many clips each of them is

    def rate(self, seconds: float) -> float | None:
        """kbit/s of a clip of so many seconds."""
        if self.once is None or self.then is None:
            return None
        return self.once / seconds + self.then


def asked(arguments: list[str] | None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--data-dir", required=True, help="what vdd.data.prepare wrote")
    parser.add_argument("--split", default="test", choices=video_folder.SPLITS)
    parser.add_argument("--frames", type=int, default=0, help="of each clip; 0: all")
    parser.add_argument("--clips", type=int, default=0, help="so many, spread; 0: all")
    parser.add_argument("--seconds", default="5,10,60", help="lengths of clips to tell rates of")
    parser.add_argument("--crf", default="51,45,39,33", help="qualities of H.264 and H.265")
    parser.add_argument("--av1-crf", default="63,57,50,42", help="qualities of AV1")
    parser.add_argument("--prior", default=files.NO_PRIOR, help="by which motion is coded")
    parser.add_argument("--faces", action="store_true", help="ask dlib too (extra face)")
    parser.add_argument("--picture", type=outputs.file, help="where the curves go")
    parser.add_argument("--out", type=outputs.file, help="where the figures go, as JSON")
    parser.add_argument("--tiny", action="store_true", help="a few frames, for tests")
    options = parser.parse_args(arguments)
    if options.tiny:
        options.frames, options.crf, options.av1_crf = 12, "51", "63"
    return options


def main(arguments: list[str] | None = None) -> None:
    options = asked(arguments)
    keep_freed_memory()
    os.environ.setdefault("SVT_LOG", "1")  # AV1 tells errors alone
    coded_run = files.open_run(options.run, options.prior)
    run = coded_run.run
    sampler, lengths = Sampler(**run.config.eval.sampler), list_of(options.seconds)
    clips, fps = load(options.data_dir, options.split, options.frames or None)
    clips = spread(clips, options.clips)
    faces = dlib_faces() if options.faces else None
    shown = [None if faces is None else faces.observe(clip) for clip in clips]
    print(*machine().values(), sep=", ")
    frames = ", ".join(str(len(clip)) for clip in clips)
    size = "x".join(map(str, clips[0].shape[2:0:-1]))
    print(f"{options.run} at step {run.step}; {options.split} clips of {frames} frames of {size}")
    names = ("once, kbit", "then, kbit/s", *(f"kbit/s of {s:g} s" for s in lengths), *QUALITIES)
    print(markdown.table(("", *names)))
    ways: dict[str, Callable[[Clip], Sent]] = {
        "first frame, held": lambda clip: Sent(clip[:1].repeat(len(clip), axis=0)),
        "latents alone": lambda clip: Sent(through_latents(run, clip)),
        "vdd": lambda clip: by_run(coded_run, sampler, clip, fps),
    }
    for codec in available():
        for crf in map(int, list_of(getattr(options, CODECS[codec][0]))):
            ways[f"{codec[3:]}, crf {crf}"] = partial(by_codec, codec, crf, fps)
    rows = {}
    for name, way in ways.items():
        rows[name] = figures(clips, [way(clip) for clip in clips], fps, faces, shown)
        show(name, rows[name], lengths)
    if options.out:
        about = {"run": options.run, "step": run.step, "split": options.split, "fps": fps}
        about["frames"] = [len(clip) for clip in clips]
        named = {name: told(row) for name, row in rows.items()}
        text = json.dumps({**about, "rows": named}, indent=1)
        own_files.write(options.out, text)
    if options.picture:
        outputs.save(draw(rows, lengths), options.picture)


def list_of(text: str) -> list[float]:
    """Numbers with commas between."""
    return [float(part) for part in text.split(",")]


def spread(clips: list[Clip], count: int) -> list[Clip]:
    """So many clips from all over a list; 0: all."""
    if not 0 < count < len(clips):
        return clips
    return [clips[i * len(clips) // count] for i in range(count)]


def load(data_dir: str, split: str, limit: int | None) -> tuple[list[Clip], float]:
    """Clips of a split, each put together from its windows, and their frames a second."""
    windows = video_folder.load_windows(data_dir, split, with_latents=False)
    assert windows.video is not None
    clips = []
    for number in np.unique(windows.clip):
        rows = np.flatnonzero(windows.clip == number)
        rows = rows[np.argsort(windows.start[rows], kind="stable")]
        places = np.rint((windows.start[rows] - windows.start[rows[0]]) * windows.fps)
        clips.append(put_together(windows.video[rows], places.astype(int))[:limit])
    return clips, windows.fps


def put_together(windows: UInt8[np.ndarray, "n t h w 3"], places: Int[np.ndarray, "n"]) -> Clip:
    """A clip from its windows, in order, of which each begins at a frame; up to a gap.

    Windows may overlap. One that shows other frames there than those before it is passed over: it
    is of frames that lie further apart (`vdd.data.prepare --every`).
    """
    whole = windows[0]
    for window, place in zip(windows[1:], places[1:], strict=True):
        shared = len(whole) - place
        if shared < 0:
            break
        if shared < len(window) and np.array_equal(whole[place:], window[:shared]):
            whole = np.concatenate([whole, window[shared:]])
    return whole


def figures(
    clips: Sequence[Clip],
    sent: Sequence[Sent],
    fps: float,
    faces: Faces | None,
    shown: Sequence[Any],
) -> Row:
    """Means over clips."""
    rows = []
    for clip, result, real in zip(clips, sent, shown, strict=True):
        pair, seconds = (clip[None], result.video[None]), len(clip) / fps
        seen = None
        if faces is not None:
            seen = compare(faces.observe(result.video), real, real, same_clip=True)
        rows.append(
            (
                None if result.once is None else 1e-3 * result.once,
                None if result.rest is None else 1e-3 * result.rest / seconds,
                float(metrics.psnr(*pair, peak=255)[0]),
                float(metrics.ssim(*pair, peak=255)[0]),
                seen and seen.identity_similarity,
                seen and seen.motion_error,
            )
        )
    columns = [[x for x in column if x is not None] for column in zip(*rows, strict=True)]
    means = [float(np.mean(column)) if column else None for column in columns]
    return Row(means[0], means[1], means[2:], [len(column) for column in columns[2:]])


def told(row: Row) -> dict[str, Any]:
    """A row by the names of its figures, ready for JSON."""
    rates = {"once, kbit": row.once, "then, kbit/s": row.then}
    clips = dict(zip(QUALITIES, row.counts, strict=True))
    return {**rates, **dict(zip(QUALITIES, row.qualities, strict=True)), "clips": clips}


def show(name: str, row: Row, lengths: Sequence[float]) -> None:
    """A row of the table."""
    values = (row.once, row.then, *(row.rate(seconds) for seconds in lengths), *row.qualities)
    forms = (*[".2f"] * (3 + len(lengths)), ".3f", ".3f", ".4f")
    cells = ["" if x is None else f"{x:{form}}" for x, form in zip(values, forms, strict=True)]
    print(markdown.row((name, *cells)), flush=True)


def draw(rows: dict[str, Row], lengths: Sequence[float]) -> Figure:
    """Quality over rate: a panel for each measure, beside one another, and each length of clips."""
    panels = [i for i, value in enumerate(rows["vdd"].qualities) if value is not None]
    size = (3.2 * len(panels), 2.7 * len(lengths))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(lengths), len(panels), squeeze=False)
    every = [row.rate(seconds) for row in rows.values() for seconds in lengths]
    rates = [rate for rate in every if rate is not None]
    for (i, seconds), (j, panel) in itertools.product(enumerate(lengths), enumerate(panels)):
        for codec in ("vdd", *(codec[3:] for codec in CODECS)):
            some = [row for name, row in rows.items() if name.split(",")[0] == codec]
            points = [(row.rate(seconds), row.qualities[panel]) for row in some]
            points = [point for point in points if None not in point]
            if points:
                axes[i, j].plot(*zip(*points), marker="o", markersize=4, label=codec)
        axes[i, j].set_xscale("log")
        axes[i, j].set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        axes[i, j].minorticks_off()
        axes[i, j].set_xlim(0.8 * min(rates), 1.25 * max(rates))
        axes[i, j].set_title(f"{QUALITIES[panel]}, {seconds:g} s", fontsize=10, loc="left")
        axes[i, j].set_xlabel("kbit/s", fontsize=9)
        axes[i, j].tick_params(labelsize=8)
        axes[i, j].grid(alpha=0.25)
        axes[i, j].spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(fontsize=8, frameon=False)
    return figure


if __name__ == "__main__":
    main()
