"""Which swaps go wrong? Of which characters, read in which motion, drawn in which.

    python experiments/swap_errors.py RUN [--split validation] [--pairings 4] [--step N] [--tiny]

The swaps of the protocol, mean frames, each clip with `--pairings` others; of no
split more characters than the test split has. Prints the share of each
factor that is right, what is taken for what, and how often what is seen instead is a character that
was trained on.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import numpy as np

import vdd
from vdd import apply, markdown
from vdd.data import sprites as data
from vdd.data.datasets import trained_split
from vdd.data.sprites import ATTRIBUTES, MOTIONS, SpritesArrays, prepared
from vdd.data.sprites.benchmark import split_characters
from vdd.diffusion.samplers import Sampler
from vdd.evaluation import judge
from vdd.evaluation.inference import batches, encode_clips, functions_of, padded
from vdd.evaluation.pairing import pair_clips
from vdd.evaluation.report import machine
from vdd.pixels import to_uint8
from vdd.run import Run


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--split", default="validation", choices=data.SPLITS)
    parser.add_argument("--pairings", type=int, default=4)
    parser.add_argument("--step", type=int, help="of the checkpoint (the latest)")
    parser.add_argument("--tiny", action="store_true", help="three characters, for tests")
    options = parser.parse_args(arguments)
    run = vdd.load(options.run, options.step)
    art, art_dir = run.config.data.art, prepared.sheets_dir(run.config.data)
    trained_on = characters(prepared.load_split(run.config.data, trained_split(run.config.data)))
    clips = prepared.load_split(run.config.data, options.split)
    chosen = characters(clips)[: 3 if options.tiny else len(split_characters("test"))]
    clips = of_characters(clips, chosen)
    settings = judge.JudgeSettings(steps=run.config.eval.judge_steps)
    referee = judge.load_or_train(art, art_dir, settings=settings)
    print(*machine().values(), sep=", ")
    print(f"{options.run} at step {run.step}, {len(chosen)} characters of {options.split}")
    partners = [pair_clips(clips.motion, clips.attributes, i) for i in range(options.pairings)]
    verdicts = [referee(swaps) for swaps in draw_swaps(run, clips, partners)]
    motion = np.stack([verdict.motion for verdict in verdicts])
    attributes = np.stack([verdict.attributes for verdict in verdicts])
    tell(clips, np.stack(partners), motion, attributes, trained_on)


def characters(clips: SpritesArrays) -> np.ndarray:
    """The characters of a split, int [m 4], in order."""
    return np.unique(clips.attributes, axis=0)


def of_characters(clips: SpritesArrays, chosen: np.ndarray) -> SpritesArrays:
    """The clips of some characters."""
    rows = (clips.attributes[:, None] == chosen[None]).all(-1).any(1)
    return SpritesArrays(*(part[rows] for part in clips))


@partial(jax.jit, static_argnums=0)
def _draw(model, params, content, motion):
    mean = Sampler(name="mean", steps=0)
    return to_uint8(apply.sample(model, params, jax.random.key(0), content, motion, mean))


def draw_swaps(run: Run, clips: SpritesArrays, partners: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The swaps of all clips, uint8 [n t h w c], one pairing after another: mean frames."""
    size = min(run.config.eval.batch_size, len(clips.video))
    functions = functions_of(run.model, run.params, Sampler(**run.config.eval.sampler))
    encoded = encode_clips(functions, clips.video, size, show_progress=False)

    def drawn(partner: np.ndarray, piece: slice) -> np.ndarray:
        rows = padded(np.arange(piece.start, piece.stop), size)
        content, motion = encoded.content[rows], encoded.motion[partner[rows]]
        swaps = np.asarray(_draw(run.model, run.params, content, motion))
        return swaps[: piece.stop - piece.start]

    pieces = list(batches(len(clips.video), size))
    for partner in partners:
        yield np.concatenate([drawn(partner, piece) for piece in pieces])


def tell(
    clips: SpritesArrays,
    partner: np.ndarray,  # [p n]
    motion: np.ndarray,  # [p n], as seen
    attributes: np.ndarray,  # [p n 4], as seen
    trained_on: np.ndarray,
) -> None:
    """Prints what is wrong with the swaps of `p` pairings."""
    wrong = attributes != clips.attributes[None]
    lost = motion != clips.motion[partner]
    print(markdown.table(("pairing", "motion", *ATTRIBUTES, "all five")))
    for i in range(len(partner)):
        shares = [lost[i].mean(), *wrong[i].mean(0), (wrong[i].any(-1) | lost[i]).mean()]
        print(markdown.row((i, *(f"{1 - share:.4f}" for share in shares))))
    pairing, row = np.nonzero(wrong.any(-1))
    truth, instead = clips.attributes[row], attributes[pairing, row]
    taken: Counter[Any] = Counter()
    for name, before, after in zip(ATTRIBUTES, truth.T, instead.T, strict=True):
        taken.update((name, a, b) for a, b in zip(before.tolist(), after.tolist()) if a != b)
    for (name, a, b), times in taken.most_common(8):
        print(f"{times} times {name} {a} is taken for {b}")
    print(
        f"in all {len(row)} of {wrong[..., 0].size} swaps have something wrong with the character"
    )
    if not len(row):
        return
    known = set(map(tuple, trained_on.tolist()))
    met = sum(tuple(one) in known for one in instead.tolist())
    print(f"in {met} of them what is seen instead is a character that was trained on")
    read, drawn = clips.motion[row], clips.motion[partner[pairing, row]]
    for name, labels in (("read", read), ("drawn", drawn)):
        counts = Counter(MOTIONS[label] for label in labels.tolist())
        print(f"{name} in " + ", ".join(f"{key} {times}" for key, times in counts.most_common()))
    worst = Counter(map(tuple, truth.tolist())).most_common(8)
    drawings = len(partner) * int((clips.attributes == truth[:1]).all(-1).sum())
    print(f"characters (of {drawings} swaps each): " + ", ".join(f"{k} {n}" for k, n in worst))


if __name__ == "__main__":
    main()
