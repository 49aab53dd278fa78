"""What does the content of a reference take as a file, and what do its steps cost in quality?

    python experiments/content_steps.py RUN --data-dir DATA [--clips 28] [--out FILE] [--tiny]

Of each clip of the split the first window is read. Its content is sent in three ways: not at all,
as tokens that are rounded to multiples of 1/16 (what any model without a basis does), and as
numbers in the model's basis, in steps of so many standard deviations of its noise
(`vdd.codec.basis`). Bits a clip: what the bottleneck counts, what the file's content has, and what
of it the numbers take by tables of Laplace and of normal distributions. PSNR of mean frames that
are drawn from it, against the clip and against those of the exact content.
"""

import argparse
import json
import math

import numpy as np
import outputs

import vdd
from vdd import files, markdown
from vdd.codec import basis, content
from vdd.codec.basis import BasisContent
from vdd.codec.coded_run import CodedRun
from vdd.codec.range_coder import PRECISION
from vdd.data import video_folder
from vdd.evaluation import metrics
from vdd.evaluation.report import machine

FACTORS = (0.5, 0.7, 1.0, 1.5, 2.0, 3.0)  # times sqrt(12) standard deviations
EVERY = 10  # of the frames one is drawn
HEAD = ("bits a clip", "Laplace", "normal", "either", "PSNR", "PSNR to exact")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--data-dir", required=True, help="what vdd.data.prepare wrote")
    parser.add_argument("--split", default="validation", choices=video_folder.SPLITS)
    parser.add_argument("--clips", type=int, default=0, help="so many; 0: all")
    parser.add_argument("--out", type=outputs.file, help="where the figures go, as JSON")
    parser.add_argument("--tiny", action="store_true", help="two clips, for tests")
    options = parser.parse_args(arguments)
    coded_run = CodedRun.create(vdd.load(options.run), None)
    videos = first_windows(options.data_dir, options.split)
    videos = videos[: 2 if options.tiny else options.clips or len(videos)]
    rows: dict[str, list[list[float]]] = {}
    for video in videos:
        for name, row in measure(coded_run, video).items():
            rows.setdefault(name, []).append(row)
    print(*machine().values(), sep=", ")
    print(f"{options.run} at step {coded_run.run.step}, {len(videos)} clips of {options.split}")
    print(markdown.table(("", *HEAD)))
    means = {name: np.mean(found, axis=0).tolist() for name, found in rows.items()}
    for name, mean in means.items():
        cells = (f"{x:.2f}" if x < 100 else f"{x:.0f}" for x in mean)
        print(markdown.row((name, *("" if x == "nan" else x for x in cells))), flush=True)
    if options.out:
        about = {"run": options.run, "step": coded_run.run.step, "split": options.split}
        told = {
            name: {key: x if math.isfinite(x) else None for key, x in zip(HEAD, mean, strict=True)}
            for name, mean in means.items()
        }
        text = json.dumps({**about, "clips": len(videos), "rows": told}, indent=1)
        files.write(options.out, text)


def first_windows(data_dir: str, split: str) -> np.ndarray:
    """The first window of each clip [b t h w c]."""
    windows = video_folder.load_windows(data_dir, split, with_latents=False)
    assert windows.video is not None
    first = [np.flatnonzero(windows.clip == clip)[0] for clip in np.unique(windows.clip)]
    return windows.video[first]


def measure(coded_run: CodedRun, video: np.ndarray) -> dict[str, list[float]]:
    """Figures of one clip, way by way, as `HEAD` has them."""
    run, model = coded_run.run, coded_run.content
    assert isinstance(model, BasisContent)
    encoded = coded_run.read(video[None])
    (said,) = coded_run.values(encoded)
    pose_bits = model.num_groups * math.log2(model.num_codes)
    exact = np.asarray(coded_run.to_tokens(said.mean, said.pose))
    nothing = [math.nan] * 3
    ways = {"exact; as the bottleneck counts": exact}
    bits = [[float(encoded.content_bits[0]) + pose_bits, *nothing]]
    old = content.model_of_tokens(exact.size)
    numbers = old.quantize(exact)
    rounded = np.ldexp(numbers.astype(np.float32), -old.step_bits)
    ways["tokens in steps of 1/16"] = rounded.reshape(exact.shape)
    bits.append([8.0 * len(old.encode(numbers).data), *nothing])
    # The root mean square of a channel's deviations, or their geometric mean.
    geometric = said._replace(std=np.exp(np.log(said.std).mean(axis=0, keepdims=True)))
    steps = [("", said, factor) for factor in FACTORS]
    steps += [(", geometric mean", geometric, factor) for factor in FACTORS[1:4]]
    for name, some, factor in steps:
        numbers = model.quantize(some, factor * math.sqrt(12))
        name = f"in the basis, {factor:g} sqrt(12) deviations{name}"
        ways[name] = np.asarray(coded_run.tokens(numbers))
        tabled = by_tables(model.split(numbers).numbers)
        bits.append([8.0 * len(model.encode(numbers).data), *tabled])
    codes = np.asarray(encoded.codes)[:, ::EVERY].repeat(len(ways), axis=0)
    drawn = run.decode(np.concatenate(list(ways.values())), codes)
    clip = video[None, ::EVERY].repeat(len(ways), axis=0)
    quality = [
        metrics.psnr(real, drawn, peak=255) for real in (clip, drawn[:1].repeat(len(ways), 0))
    ]
    return {
        name: [*some, *(float(row[i]) for row in quality)]
        for i, (name, some) in enumerate(zip(ways, bits, strict=True))
    }


def by_tables(rows: np.ndarray) -> list[float]:
    """Bits of numbers [d p], each channel by the best table: Laplace, normal, and of both."""
    seen = rows[rows.any(axis=1)] + basis.REACH
    costs = [cost[:, seen].sum(axis=2).min(axis=0) for cost in code_lengths()]
    return [float(cost.sum()) for cost in (*costs, np.minimum(*costs))]


def code_lengths() -> list[np.ndarray]:
    """Bits of each number by each scale [s k], of Laplace and of normal distributions."""
    variance = 2.0 ** (np.arange(1, 21) - 6)[:, None]
    square = np.square(np.arange(-basis.REACH, basis.REACH + 1.0)) / variance
    share = np.exp(-square / 2).sum(axis=1, keepdims=True)
    normal = (square / 2 + np.log(share)) / math.log(2)
    return [PRECISION - np.log2(np.stack(basis.scale_tables())), normal]


if __name__ == "__main__":
    main()
