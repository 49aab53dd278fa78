"""What is a face worth at so many bits a second: a run, beside H.264 and H.265?

    python experiments/rate_quality.py RUN --data-dir DATA [--faces] [--picture FILE.png] [--tiny]

Every clip of the split is put together from its windows, up to a gap or an overlap. The run writes
it to a file (`vdd encode`, without a prior) and draws it from that file; libx264 and libx265
(preset veryslow) encode the same frames at the lowest quality that they have (`--crf` 51) and at
better ones. Rates are means over clips, kbit/s: of the run the whole file and, beside it, motion
alone, as content is sent once however long the clip is; of the others the packets, without any
container. Quality: PSNR and SSIM against the frames, and with `--faces` what dlib says of who it is
(`identity_similarity`) and of where the landmarks are (`motion_error`). To read them by: the first
frame of each clip held to its end, and what the run's latents alone leave of the frames.
"""

import argparse
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure

import vdd
from vdd import apply, streaming
from vdd.codec import files
from vdd.codec.coded_run import CodedRun
from vdd.codec.container import read
from vdd.codec.description import size_of
from vdd.data import decoding, video_folder
from vdd.diffusion.samplers import Sampler
from vdd.evaluation import metrics
from vdd.evaluation.faces import Faces, compare, dlib_faces
from vdd.evaluation.report import machine
from vdd.memory import keep_freed_memory
from vdd.method.disentangler import Disentangler
from vdd.run import Run

Clip = UInt8[np.ndarray, "t h w 3"]
CODECS = ("libx264", "libx265")
NAMES = ("kbit/s", "motion alone", "PSNR, dB", "SSIM", "identity", "motion error")


class Sent(NamedTuple):
    """What came of a clip, and the bits that it took."""

    video: Clip
    bits: int | None = None  # None: it is not sent
    motion_bits: int | None = None


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--data-dir", required=True, help="what vdd.data.prepare wrote")
    parser.add_argument("--split", default="test", choices=video_folder.SPLITS)
    parser.add_argument("--frames", type=int, default=0, help="of each clip; 0: all")
    parser.add_argument("--crf", default="51,45,39,33", help="qualities of H.264 and H.265")
    parser.add_argument("--faces", action="store_true", help="ask dlib too (extra face)")
    parser.add_argument("--picture", help="where the curves go")
    parser.add_argument("--tiny", action="store_true", help="a few frames, for tests")
    options = parser.parse_args(arguments)
    if options.tiny:
        options.frames, options.crf = 12, "51"
    keep_freed_memory()
    run = vdd.load(options.run)
    coded_run, sampler = CodedRun.create(run, None), Sampler(**run.config.eval.sampler)
    clips, fps = load(options.data_dir, options.split, options.frames or None)
    faces = dlib_faces() if options.faces else None
    shown = [None if faces is None else faces.observe(clip) for clip in clips]
    print(*machine().values(), sep=", ")
    lengths = ", ".join(str(len(clip)) for clip in clips)
    size = "x".join(map(str, clips[0].shape[2:0:-1]))
    print(f"{options.run} at step {run.step}; {options.split} clips of {lengths} frames of {size}")
    print(f"| | {' | '.join(NAMES)} |\n{'|---' * (len(NAMES) + 1)}|")
    ways: dict[str, Callable[[Clip], Sent]] = {
        "first frame, held": lambda clip: Sent(clip[:1].repeat(len(clip), axis=0)),
        "latents alone": lambda clip: Sent(through_latents(run, clip)),
        "vdd": lambda clip: by_run(coded_run, sampler, clip, fps),
    }
    for codec, crf in itertools.product(CODECS, map(int, options.crf.split(","))):
        ways[f"{codec[3:]}, crf {crf}"] = partial(by_codec, codec, crf, fps)
    rows = {}
    for name, way in ways.items():
        rows[name] = figures(clips, [way(clip) for clip in clips], fps, faces, shown)
        show(name, rows[name])
    if options.picture:
        draw(rows).savefig(Path(options.picture), dpi=100)


def load(data_dir: str, split: str, limit: int | None) -> tuple[list[Clip], float]:
    """Clips of a split, each put together from its windows, and their frames a second."""
    windows = video_folder.load_windows(data_dir, split, with_latents=False)
    assert windows.video is not None
    clips, seconds = [], windows.video.shape[1] / windows.fps
    for number in np.unique(windows.clip):
        rows = np.flatnonzero(windows.clip == number)
        rows = rows[np.argsort(windows.start[rows])]
        whole = np.abs(np.diff(windows.start[rows]) - seconds) < 0.5 / windows.fps
        until = len(rows) if whole.all() else int(np.argmin(whole)) + 1  # up to a gap
        clips.append(np.concatenate(list(windows.video[rows[:until]]))[:limit])
    return clips, windows.fps


def by_run(coded_run: CodedRun, sampler: Sampler, clip: Clip, fps: float) -> Sent:
    """Through the bytes of a file."""
    windows = streaming.windows(clip, *coded_run.run.windows)
    data = coded_run.to_bytes(coded_run.take_windows_apart(windows), fps)
    pieces = files.draw(coded_run, coded_run.from_bytes(data), None, sampler, seed=0)
    size = size_of(read(data), len(data))
    return Sent(np.concatenate(list(pieces)), 8 * len(data), 8 * size.motion)


def through_latents(run: Run, clip: Clip) -> Clip:
    """Into the run's latents and back, a window at a time."""

    @jax.jit
    def there_and_back(params: Any, video: Any) -> Any:
        latents = run.model.apply({"params": params}, video, method=Disentangler.to_latents)
        decoded: Any = run.model.apply({"params": params}, latents, method=Disentangler.to_video)
        return apply.to_uint8(decoded)

    windows = streaming.windows(clip, run.windows[0], 0)
    pieces = [
        np.asarray(there_and_back(run.params, window.frames[None]))[0][window.kept]
        for window in windows
    ]
    return np.concatenate(pieces)


def by_codec(codec: str, crf: int, fps: float, clip: Clip) -> Sent:
    """Through an encoder and a decoder of FFmpeg."""
    av: Any = decoding.import_av()
    buffer = io.BytesIO()
    settings = {"crf": str(crf), "preset": "veryslow"}
    if codec == "libx265":
        settings["x265-params"] = "log-level=none"
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream(
            codec, rate=Fraction(fps).limit_denominator(1001), options=settings
        )
        stream.height, stream.width, stream.pix_fmt = *clip.shape[1:3], "yuv420p"
        bits = 0
        for packet in packets(av, stream, clip):
            bits += 8 * packet.size
            container.mux(packet)
    buffer.seek(0)
    with av.open(buffer) as container:
        video = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    return Sent(video, bits)


def packets(av: Any, stream: Any, clip: Clip) -> Iterator[Any]:
    """What the encoder gives for a clip."""
    for frame in clip:
        yield from stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24"))
    yield from stream.encode()


def figures(
    clips: Sequence[Clip],
    sent: Sequence[Sent],
    fps: float,
    faces: Faces | None,
    shown: Sequence[Any],
) -> list[float | None]:
    """Means over clips, as `NAMES` has them; None: not measured."""
    rows = []
    for clip, result, real in zip(clips, sent, shown, strict=True):
        pair, milliseconds = (clip[None], result.video[None]), 1e3 * len(clip) / fps
        seen = None
        if faces is not None:
            seen = compare(faces.observe(result.video), real, real, same_clip=True)
        rows.append(
            (
                None if result.bits is None else result.bits / milliseconds,
                None if result.motion_bits is None else result.motion_bits / milliseconds,
                float(metrics.psnr(*pair, peak=255)[0]),
                float(metrics.ssim(*pair, peak=255)[0]),
                seen and seen.identity_similarity,
                seen and seen.motion_error,
            )
        )
    columns = [[x for x in column if x is not None] for column in zip(*rows, strict=True)]
    return [float(np.mean(column)) if column else None for column in columns]


def show(name: str, row: Sequence[float | None]) -> None:
    """A row of the table."""
    forms = (".2f", ".2f", ".2f", ".3f", ".3f", ".4f")
    cells = ["" if x is None else f"{x:{form}}" for x, form in zip(row, forms, strict=True)]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def draw(rows: dict[str, list[float | None]]) -> Figure:
    """Quality over rate, a panel for each measure."""
    panels = [i for i in range(2, len(NAMES)) if rows["vdd"][i] is not None]
    figure = Figure(figsize=(3.4 * len(panels), 3), layout="constrained")
    for axis, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for codec in ("vdd", *(codec[3:] for codec in CODECS)):
            some = [row for name, row in rows.items() if name.split(",")[0] == codec]
            points = [(row[0], row[panel]) for row in some if row[panel] is not None]
            axis.plot(*zip(*points, strict=True), marker="o", markersize=4, label=codec)
        axis.set_xlim(left=0)
        axis.set_title(NAMES[panel], fontsize=10, loc="left")
        axis.set_xlabel("kbit/s", fontsize=9)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(fontsize=8, frameon=False)
    return figure


if __name__ == "__main__":
    main()
