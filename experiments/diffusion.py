"""What does diffusion add to the mean frame? Swaps over the bits of motion and the sampler's steps.

    python experiments/diffusion.py RUN [RUN ...] [--split validation] [--steps 0,1,2,4,8,16]
        [--sampler NAME] [--sigma_max S] [--out FILE.json] [--tiny]

0 steps are the conditional mean, without noise. Runs of one target rate
(`rates.target_bits_per_frame`) are seeds of each other. All draw the same swaps, those of `vdd
evaluate`: content of one clip, motion of another, and a real clip that each ought to be. Measured:

- PSNR and SSIM against that clip: the mean is best at these by definition;
- the Fréchet distance of the judge's features (`Judge.features`) between swaps and those clips,
  without its bias (`frechet.frechet_estimate`): are the samples distributed as real clips are?
- sharpness: the gain over the nearest real frame of the content's character, in whichever pose, so
  that a sharp sample of another pose counts as sharp, and noise does not (`metrics.sharpness`).

Prints the table of means over seeds; writes every run's figures to `--out`, and beside it a plot
(`FILE.png`) and a swap at all rates and steps (`FILE_swaps.png`). Raises UserError for runs that
one judge cannot see.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import outputs
from diffusion_tables import Row, contact_sheet, means, page, plot
from einops import rearrange
from frechet import frechet_estimate
from jaxtyping import Float, Int, UInt8
from swap_errors import characters, of_characters

import vdd
from vdd import files, runs
from vdd.data import sprites as data
from vdd.data.sprites import SpritesArrays, prepared
from vdd.diffusion import samplers
from vdd.errors import UserError
from vdd.evaluation import judge, metrics
from vdd.evaluation.inference import (
    Encoded,
    Functions,
    batches,
    clip_keys,
    encode_clips,
    functions_of,
    padded,
)
from vdd.evaluation.judge import Judge
from vdd.evaluation.pairing import matching_rows, pair_clips
from vdd.evaluation.report import machine
from vdd.evaluation.sections import mean_or_none
from vdd.progress import progress_bar
from vdd.run import Run

_SWAP_STREAM = 1  # of random keys, as `vdd evaluate` draws swaps


class Swaps(NamedTuple):
    """Rows of clips: whose content and motion each swap has, and the clip that it ought to be."""

    content: Int[np.ndarray, "n"]
    motion: Int[np.ndarray, "n"]
    truth: Int[np.ndarray, "n"]


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        pictures = (
            options.out.with_suffix(".png"),
            options.out.with_name(f"{options.out.stem}_swaps.png"),
        )
        for path in (options.out, *pictures):
            files.check(path)
        loaded = {name: load(name) for name in options.runs}
        first = next(iter(loaded.values())).config
        if any(run.config.data.art != first.data.art for run in loaded.values()):
            raise UserError("these runs are on different art, which one judge cannot see")
        art_dir = prepared.sheets_dir(first.data)
        clips = data.load_arrays(first.data.art, options.split, art_dir)
        settings = judge.JudgeSettings(steps=options.judge_steps or first.eval.judge_steps)
        referee = judge.load_or_train(first.data.art, art_dir, settings=settings)
    except UserError as error:
        print(f"diffusion: {error}", file=sys.stderr)
        return 2
    if options.tiny:
        clips = of_characters(clips, characters(clips)[:3])
    swaps = choose(clips, options.pairs, options.seed)
    print(*machine().values(), sep=", ")
    print(f"{len(swaps.truth)} swaps of sprites/{first.data.art} ({options.split})")
    rows: list[Row] = []
    frames: dict[tuple[float, int], UInt8[np.ndarray, "h w 3"]] = {}
    for name, run in loaded.items():
        for steps, video in drawn(run, clips, swaps, options):
            about = {"bits": run.config.rates.target_bits_per_frame, "steps": steps}
            found = measure(video, clips, swaps, referee, options.seed)
            rows.append({**about, "run": name, "step": run.step, **found})
            frames.setdefault(tuple(about.values()), middle(video[0]))
        asked = {key: vars(options)[key] for key in ("split", "sampler", "sigma_max", "seed")}
        text = {**machine(), **asked, "swaps": len(swaps.truth), "rows": rows}
        files.write(options.out, json.dumps(text, indent=2) + "\n")  # after each run: none is lost
    found = means(rows)
    print(page(found))
    outputs.save(plot(found, rows), pictures[0])
    outputs.save(contact_sheet(frames, middle(clips.video[swaps.truth[0]])), pictures[1])
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options; a mistake ends the program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--split", default="validation", choices=data.SPLITS)
    parser.add_argument("--steps", default="0,1,2,4,8,16", type=counts, help="0: the mean frame")
    parser.add_argument("--sampler", choices=samplers.SAMPLERS, help="each run's, if not given")
    parser.add_argument("--sigma_max", type=float, help="each run's, if not given")
    parser.add_argument("--pairs", type=int, default=0, help="swaps; 0: one for every clip")
    parser.add_argument("--judge_steps", type=int, help="the first run's, if not given")
    parser.add_argument("--seed", type=int, default=0, help="of pairs, samples and bootstrap")
    parser.add_argument("--out", type=Path, default=Path("diffusion.json"), help="FILE.json")
    parser.add_argument("--tiny", action="store_true", help="three characters, for tests")
    options = parser.parse_args(arguments)
    if options.out.suffix != ".json":
        parser.error(f"--out {options.out}: name a .json file; pictures go beside it")
    return options


def counts(text: str) -> list[int]:
    """Numbers of steps, from text with commas."""
    steps = [int(part) for part in text.split(",")]
    if min(steps) < 0:
        raise ValueError(text)
    return steps


def load(name: str) -> Run:
    """A run on Sprites.

    Raises:
      UserError: it is none.
    """
    run = vdd.load(name)
    if run.config.data.dataset != "sprites":
        raise UserError(f"{name}: on {runs.data_name(run.config)}, where no swap has a truth")
    return run


def choose(clips: SpritesArrays, count: int, seed: int) -> Swaps:
    """`count` of the swaps that `vdd evaluate` draws; 0: all."""
    partner = pair_clips(clips.motion, clips.attributes, seed)
    content = np.arange(len(partner))
    if count:
        content = np.random.default_rng(seed).permutation(content)[:count]
    motion = partner[content]
    truth = matching_rows(clips.motion, clips.attributes, content, motion)
    return Swaps(*(part[truth >= 0] for part in (content, motion, truth)))


def drawn(
    run: Run, clips: SpritesArrays, swaps: Swaps, options: argparse.Namespace
) -> Iterator[tuple[int, UInt8[np.ndarray, "n t h w c"]]]:
    """For each number of steps the swaps that a run draws."""
    size, encoded = min(run.config.eval.batch_size, len(swaps.truth)), None
    for steps in options.steps:
        functions = functions_at(run, steps, options.sampler, options.sigma_max)
        encoded = encoded or encode_clips(functions, clips.video, size)
        yield steps, draw(functions, encoded, swaps, options.seed, size, f"{steps} steps")


def functions_at(run: Run, steps: int, sampler: str | None, sigma_max: float | None) -> Functions:
    """A run drawn in so many steps, at its own noise levels unless others are given."""
    given = {"name": sampler, "sigma_max": sigma_max}
    chosen = samplers.choose(run.config.eval, "sharp", steps)
    if steps:
        chosen = replace(chosen, **{key: x for key, x in given.items() if x})
    return functions_of(run.model, run.params, chosen)


def draw(
    functions: Functions, encoded: Encoded, swaps: Swaps, seed: int, batch_size: int, title: str
) -> UInt8[np.ndarray, "n t h w c"]:
    """The swaps; each depends on its clips and the seed alone."""
    keys, parts = clip_keys(seed, _SWAP_STREAM, swaps.content), []
    with progress_bar(title, len(swaps.truth)) as advance:
        for piece in batches(len(swaps.truth), batch_size):
            rows = padded(np.arange(piece.start, piece.stop), batch_size)
            content = encoded.content[swaps.content[rows]]
            video = functions.sample(keys[rows], content, encoded.motion[swaps.motion[rows]])
            video = np.asarray(video)
            parts.append(video[: piece.stop - piece.start])
            advance(len(parts[-1]))
    return np.concatenate(parts)


def measure(
    video: UInt8[np.ndarray, "n t h w c"],
    clips: SpritesArrays,
    swaps: Swaps,
    referee: Judge,
    seed: int,
) -> dict[str, float | None]:
    """The figures of swaps, means over them; PSNR is None where it is infinite."""
    psnr, ssim = [], []
    for piece in batches(len(video), 64):  # in double precision all together would fill the memory
        pair = clips.video[swaps.truth[piece]], video[piece]
        psnr.append(metrics.psnr(*pair, peak=255))
        ssim.append(metrics.ssim(*pair, peak=255))
    real, made = referee.features(clips.video[swaps.truth]), referee.features(video)
    frechet = frechet_estimate(real, made, seed)
    return {
        "frechet": frechet.value,
        "frechet_error": frechet.error,
        "psnr": mean_or_none(np.concatenate(psnr)),
        "ssim": mean_or_none(np.concatenate(ssim)),
        "sharpness": mean_or_none(sharpness(video, clips, swaps.content)),
    }


def sharpness(
    video: UInt8[np.ndarray, "n t h w c"], clips: SpritesArrays, content: Int[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Of each swap, against all frames of the character that its content is of."""
    character = np.unique(clips.attributes, axis=0, return_inverse=True)[1].ravel()
    found = np.empty(len(video))
    for one in np.unique(character[content]):
        mine = character[content] == one
        poses, made = clips.video[character == one], video[mine]
        gains = metrics.sharpness(*(rearrange(x, "n t ... -> (n t) ...") for x in (poses, made)))
        found[mine] = rearrange(gains, "(n t) -> n t", n=len(made)).mean(1)
    return found


def middle(clip: UInt8[np.ndarray, "t h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """The frame that the contact sheet shows."""
    return clip[len(clip) // 2]


if __name__ == "__main__":
    sys.exit(main())
