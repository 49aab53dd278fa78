"""How good is a run on Universal LPC, beside what is reached without a model?

    python experiments/universal_lpc.py [--run RUN] [--split validation] [--out FILE.json]
        [--steps 0,1,2,4,8] [--known 0]
    python experiments/universal_lpc.py --run RUN --sheet FILE.png [--split validation]

The first form measures on the swaps of `vdd evaluate`: nothing but grey, the mean of the split's
frames, the best and any of 600 characters of the training in the exact pose, and the run. The best
is told the truth: a run that is nearer has carried over what it had not seen. The run has a row for
each number of sampler steps that is named (0: the mean frame). Prints a table, and writes it beside
the figures (`FILE.md`). What results are asked: `vdd.evaluation.universal_lpc`.

The second form draws swaps chosen by a rule, that of their PSNR: the best, those in the middle and
the worst. Content, driving clip, truth and result, a row each.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import einops
import known_characters
import numpy as np
import outputs
from diffusion import counts
from jaxtyping import Float, Int, UInt8
from known_characters import Answer

import vdd
from vdd import files, runs
from vdd.data.universal_lpc import NUM_CELLS, SPLITS, Art, Clips, Settings, draw_clips, load_art
from vdd.data.universal_lpc.clips import COUNTS
from vdd.diffusion import samplers
from vdd.diffusion.samplers import Sampler
from vdd.errors import UserError
from vdd.evaluation import metrics
from vdd.evaluation.inference import (
    Functions,
    batches,
    clip_keys,
    encode_clips,
    functions_of,
    padded,
)
from vdd.evaluation.measure import Measure
from vdd.evaluation.report import machine, number, share
from vdd.evaluation.universal_lpc import carried, protocol
from vdd.evaluation.universal_lpc.ground import on_grey
from vdd.markdown import table
from vdd.progress import progress_bar
from vdd.run import frames_shown

_SWAP_STREAM = 1  # of random keys, as `vdd evaluate` draws swaps
FRAMES = 16  # of a clip, where no run says otherwise
COLUMNS = {
    "pose": ("pose_acc", share),
    "PSNR, dB": ("psnr", number),
    "of the figure": ("figure_psnr", number),
    "SSIM": ("ssim", lambda x: number(x, ".3f")),
    "parts": ("parts", share),
    "carried": ("carried", share),
    "floor": ("floor", share),
    "sharpness": ("sharpness", number),
    "Fréchet": ("frechet", lambda x: number(x, ".1f")),
}

Row = dict[str, float | None]


class Subject(NamedTuple):
    """A run, as it is measured."""

    name: str
    step: int
    functions: Functions
    sampler: Sampler
    frames: int
    channels: int
    batch_size: int


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    try:
        for path in (options.out, options.out.with_suffix(".md")):
            files.check(path)
        subjects = load(options.run, options.steps) if options.run else []
        subject = subjects[0] if subjects else None
        art = load_art(options.art_dir)
        frames, channels = (subject.frames, subject.channels) if subject else (FRAMES, 3)
        count = options.clips or COUNTS[options.split]
        clips = draw_clips(art, Settings(frames, channels, "grey"), options.split, count)
    except UserError as error:
        print(f"universal_lpc: {error}", file=sys.stderr)
        return 2
    print(*machine().values(), sep=", ")
    print(f"{count} swaps of universal_lpc ({options.split})")
    if options.sheet and subject:
        draw_sheet(subject, art, clips, options)
        return 0
    rows: dict[str, Row] = {}
    asked = {key: vars(options)[key] for key in ("split", "known", "seed")}
    for name, row in measured(subjects, art, clips, options):
        rows[name] = row
        text = {**machine(), **asked, "clips": count, "rows": rows}
        files.write(options.out, json.dumps(text, indent=2, allow_nan=False) + "\n")
        files.write(options.out.with_suffix(".md"), page(rows) + "\n")
    print(page(rows))
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options; a mistake ends the program."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", help="a run on Universal LPC")
    parser.add_argument("--split", default="validation", choices=SPLITS[1:])
    parser.add_argument("--clips", type=int, default=0, help="so many of the split; 0: all")
    parser.add_argument("--steps", type=counts, help="the run's own, if not given")
    parser.add_argument(
        "--known", type=int, default=known_characters.NUM_KNOWN, help="characters; 0: no baselines"
    )
    parser.add_argument("--seed", type=int, default=0, help="of pairs, samples and baselines")
    parser.add_argument("--art_dir", help="folder of sheets")
    parser.add_argument("--out", type=Path, default=Path("universal_lpc.json"), help="FILE.json")
    parser.add_argument(
        "--sheet", type=outputs.file, help="FILE.png: draw swaps of the run by rule"
    )
    parser.add_argument("--each", type=int, default=3, help="best, middle and worst swaps drawn")
    options = parser.parse_args(arguments)
    if options.out.suffix != ".json":
        parser.error(f"--out {options.out}: name a .json file; the table goes beside it")
    if options.sheet and not options.run:
        parser.error("--sheet draws the swaps of a run: give --run")
    return options


def load(name: str, steps: list[int] | None) -> list[Subject]:
    """A run on Universal LPC, drawn in so many steps each; None: by its own sampler.

    Raises:
      UserError: it is none.
    """
    run = vdd.load(name)
    config = run.config
    if config.data.dataset != "universal_lpc":
        raise UserError(f"{name}: on {runs.data_name(config)}, not on universal_lpc")
    shape = frames_shown(config), config.data.channels, config.eval.batch_size
    chosen = [samplers.choose(config.eval)]
    if steps is not None:
        chosen = [samplers.choose(config.eval, "sharp", count) for count in steps]
    return [
        Subject(name, run.step, functions_of(run.model, run.params, sampler), sampler, *shape)
        for sampler in chosen
    ]


def measured(
    subjects: Sequence[Subject], art: Art, clips: Clips, options: argparse.Namespace
) -> Iterator[tuple[str, Row]]:
    """The name and the row of each baseline, then of the run."""
    if options.known:
        yield from baseline_rows(art, clips, options)
    for subject in subjects:
        how = Measure(
            subject.step, "universal_lpc", options.split, sampler=subject.sampler,
            seed=options.seed, batch_size=subject.batch_size,
        )  # fmt: skip
        truth = protocol.truth_of(art, subject.channels)
        report = protocol.evaluate(subject.functions, clips, truth, how)
        steps = subject.sampler.steps
        yield f"{subject.name}, step {subject.step}, {steps} sampler steps", row_of(report)


def baseline_rows(art: Art, clips: Clips, options: argparse.Namespace) -> Iterator[tuple[str, Row]]:
    """The name and the row of each baseline."""
    flat = clips._replace(video=on_grey(clips.video))
    truth = protocol.truth_of(art, 3)
    answers = known_answers(truth, flat, options.known, options.seed)
    for name, answer in answers.items():
        yield name, baseline_row(name, answer, truth, flat, options.seed)


def known_answers(truth: protocol.Truth, clips: Clips, known: int, seed: int) -> dict[str, Answer]:
    """The baselines by their names."""
    characters = known_characters.draw_known(truth.wardrobe, seed, known)
    frames = einops.rearrange(clips.video, "n t ... -> (n t) ...")
    return {
        "grey": known_characters.grey(frames.shape[1]),
        "mean of the split": known_characters.mean_of(frames),
        f"any of {known} known": known_characters.random_known(truth.draw, characters, seed),
        f"best of {known} known": known_characters.nearest_known(truth.draw, characters),
    }


def baseline_row(name: str, answer: Answer, truth: protocol.Truth, clips: Clips, seed: int) -> Row:
    """The figures of a baseline on the swaps that `vdd evaluate` draws."""
    partner = protocol.partners(len(clips.video), seed)
    cells, tally = clips.cell[partner], protocol.Tally(truth, seed, with_parts=True)
    every = np.arange(NUM_CELLS, dtype=np.int32)
    with progress_bar(name, len(cells)) as advance:
        for video, *asked in zip(answer(clips.parts, cells), clips.parts, cells):
            tally.add(video, truth.draw(asked[0], every), *asked)
            advance(1)
    pairs = carried.choose(truth.wardrobe, truth.draw, clips, partner, seed)
    new, old = (
        list(answer(parts, cells[pairs.rows])) if len(parts) else []
        for parts in (clips.parts[pairs.rows], pairs.twins)
    )
    section = carried.section(pairs, clips, partner, truth.draw, new, old)
    return row_of({"transfer": tally.section(), "parts": tally.parts_section(), "carried": section})


def row_of(report: Mapping[str, Any]) -> Row:
    """What of a report stands in the table, and each part."""
    parts = dict(report["parts"])
    return {
        **report["transfer"],
        "parts": parts.pop("mean"),
        **report["carried"],
        **{f"parts_{slot}": right for slot, right in parts.items()},
    }


def page(rows: Mapping[str, Row]) -> str:
    """The table in Markdown."""
    forms = COLUMNS.values()
    lines = [(name, *(form(row[key]) for key, form in forms)) for name, row in rows.items()]
    return table(("", *COLUMNS), lines)


def draw_sheet(subject: Subject, art: Art, clips: Clips, options: argparse.Namespace) -> None:
    """Writes the sheet, and prints which clips are on it."""
    partner = protocol.partners(len(clips.video), options.seed)
    draw = protocol.drawer(art, subject.channels)
    truth = np.stack([on_grey(draw(*asked)) for asked in zip(clips.parts, clips.cell[partner])])
    made = on_grey(swaps(subject, clips, partner, options.seed))
    psnr = np.concatenate([
        metrics.psnr(truth[piece], made[piece], 255) for piece in batches(len(made), 64)
    ])  # fmt: skip
    chosen = by_rule(psnr, options.each)
    print("from above: " + ", ".join(f"clip {row} {psnr[row]:.2f} dB" for row in chosen))
    video = on_grey(clips.video)
    rows = (video[chosen], video[partner[chosen]], truth[chosen], made[chosen])
    sheet = einops.rearrange(np.stack(rows), "k n t h w c -> (n k h) (t w) c")
    outputs.save(sheet, options.sheet)


def swaps(
    subject: Subject, clips: Clips, partner: Int[np.ndarray, "n"], seed: int
) -> UInt8[np.ndarray, "n t h w c"]:
    """The swaps that `vdd evaluate` draws."""
    size, rows = subject.batch_size, np.arange(len(partner))
    encoded = encode_clips(subject.functions, clips.video, size)
    keys, made = clip_keys(seed, _SWAP_STREAM, rows), []
    for piece in batches(len(rows), size):
        at = padded(rows[piece], size)
        video = subject.functions.sample(keys[at], encoded.content[at], encoded.motion[partner[at]])
        made.append(np.asarray(video)[: piece.stop - piece.start])
    return np.concatenate(made)


def by_rule(psnr: Float[np.ndarray, "n"], each: int) -> Int[np.ndarray, "m"]:
    """Rows of the best, of those in the middle and of the worst, the best first."""
    order = np.argsort(-psnr, kind="stable")
    each, middle = min(each, len(order)), max(0, (len(order) - each) // 2)
    starts = (0, middle, len(order) - each)
    places = np.unique(np.concatenate([start + np.arange(each) for start in starts]))
    return order[places]


if __name__ == "__main__":
    sys.exit(main())
