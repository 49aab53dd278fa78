"""Which swaps go wrong? Of which characters, read in which motion, drawn in which.

    python experiments/swap_errors.py RUN [--split test] [--pairings 4] [--step N] [--tiny]

The swaps of the protocol, by the coarse head alone, each clip with `--pairings` others. `--split
train` takes as many characters of the train split as the test split has. Prints the share of each
factor that is right, what is taken for what, and how often what is seen instead is a character that
was trained on.
"""

import argparse
from collections import Counter
from functools import partial
from typing import Any

import jax
import numpy as np

from vdd import apply, runs
from vdd.data import sprites as data
from vdd.data.sprites import ATTRIBUTES, MOTIONS, SpritesArrays, prepared
from vdd.diffusion.samplers import Sampler
from vdd.evaluation import judge
from vdd.evaluation.inference import batches, encode_clips, functions_of, padded, to_uint8
from vdd.evaluation.pairing import pair_clips
from vdd.evaluation.report import machine


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--split", default="test", choices=data.SPLITS)
    parser.add_argument("--pairings", type=int, default=4)
    parser.add_argument("--step", type=int, help="of the checkpoint (the latest)")
    parser.add_argument("--tiny", action="store_true", help="three characters, for tests")
    options = parser.parse_args(arguments)
    run = runs.load(options.run, options.step)
    art, art_dir = run.config.data.art, prepared.sheets_dir(run.config.data)
    count = 3 if options.tiny else len(characters(data.load_arrays(art, "test", art_dir)))
    trained_on = characters(data.load_arrays(art, "train", art_dir))
    clips = data.load_arrays(art, options.split, art_dir)
    clips = of_characters(clips, characters(clips)[:count])
    settings = judge.JudgeSettings(steps=run.config.eval.judge_steps)
    referee = judge.load_or_train(art, art_dir, settings=settings)
    print(*machine().values(), sep=", ")
    print(f"{options.run} at step {run.step}, {count} characters of {options.split}")
    partners = [pair_clips(clips.motion, clips.attributes, i) for i in range(options.pairings)]
    motion, attributes = zip(
        *(swaps_as_seen(run, clips, partner, referee) for partner in partners), strict=True
    )
    tell(clips, np.stack(partners), np.stack(motion), np.stack(attributes), trained_on)


def characters(clips: SpritesArrays) -> np.ndarray:
    """The characters of a split, int [m 4], in order."""
    return np.unique(clips.attributes, axis=0)


def of_characters(clips: SpritesArrays, chosen: np.ndarray) -> SpritesArrays:
    """The clips of some characters."""
    rows = (clips.attributes[:, None] == chosen[None]).all(-1).any(1)
    return SpritesArrays(*(part[rows] for part in clips))


@partial(jax.jit, static_argnums=0)
def _draw(model, params, content, motion):
    return to_uint8(apply.mean_video(model, params, content, motion))


def swaps_as_seen(
    run: runs.Run, clips: SpritesArrays, partner: np.ndarray, referee: judge.Judge
) -> tuple[np.ndarray, np.ndarray]:
    """Motions [n] and attributes [n 4] that the judge names in the swaps of all clips."""
    size = min(run.config.eval.batch_size, len(partner))
    functions = functions_of(run.model, run.params, Sampler(**run.config.eval.sampler))
    encoded = encode_clips(functions, clips.video, size, show_progress=False)
    motion, attributes = [], []
    for piece in batches(len(partner), size):
        rows = padded(np.arange(piece.start, piece.stop), size)
        swaps = _draw(run.model, run.params, encoded.content[rows], encoded.motion[partner[rows]])
        verdict = referee(np.asarray(swaps)[: piece.stop - piece.start])
        motion.append(verdict.motion)
        attributes.append(verdict.attributes)
    return np.concatenate(motion), np.concatenate(attributes)


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
    print("| pairing | motion | " + " | ".join(ATTRIBUTES) + " | all five |")
    print("|---" * (len(ATTRIBUTES) + 3) + "|")
    for i in range(len(partner)):
        shares = [lost[i].mean(), *wrong[i].mean(0), (wrong[i].any(-1) | lost[i]).mean()]
        print(f"| {i} | " + " | ".join(f"{1 - share:.4f}" for share in shares) + " |")
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
