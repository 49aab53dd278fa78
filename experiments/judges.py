"""How many errors in swaps are the judge's? Judges compared with each other and with pixels.

    python experiments/judges.py RUN [RUN ...] [--split validation] [--steps 300,1000]
        [--seeds 0,1] [--tiny]

Judges have learned from real clips of every character but those of the test split. Prints how many
clips of `--split` have something wrong, by each judge and by each of its
members alone: real clips, real clips augmented as half of the judge's training batches are (and
then rounded to pixels), and the swaps of each run (those of the protocol, mean frames
alone). The last row needs no training: of all characters, in the motion that is asked for, it takes
the real clip that is nearest in mean square. It cannot tell motions from each other.

Raises UserError for runs on different art.
"""

import argparse
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from swap_errors import characters, draw_swaps, of_characters

import vdd
from vdd import markdown
from vdd.data import sprites as data
from vdd.data.sprites import NUM_VARIANTS, SpritesArrays, prepared
from vdd.data.sprites.renderer import Art, render
from vdd.errors import UserError
from vdd.evaluation import judge
from vdd.evaluation.judge import Judge
from vdd.evaluation.judge_training import JudgeSettings, augment, to_float
from vdd.evaluation.pairing import pair_clips
from vdd.evaluation.report import machine
from vdd.pixels import to_uint8

_NOISE_SEED = 1234  # not that of a judge


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--split", default="validation", choices=data.SPLITS)
    parser.add_argument("--steps", default="300,1000", help="training steps of the judges")
    parser.add_argument("--seeds", default="0,1", help="seeds of the judges")
    parser.add_argument("--tiny", action="store_true", help="three characters, for tests")
    options = parser.parse_args(arguments)
    loaded = [vdd.load(name) for name in options.runs]
    if len({run.config.data.art for run in loaded}) > 1:
        raise UserError("these runs are on different art, which one judge cannot classify")
    art_name, art_dir = loaded[0].config.data.art, prepared.sheets_dir(loaded[0].config.data)
    clips = data.load_arrays(art_name, options.split, art_dir)
    if options.tiny:
        clips = of_characters(clips, characters(clips)[:3])
    partner = pair_clips(clips.motion, clips.attributes, 0)
    shown = {"real": clips, "augmented": clips._replace(video=augmented(clips.video))}
    for name, run in zip(options.runs, loaded, strict=True):
        (swaps,) = draw_swaps(run, clips, [partner])
        shown[name] = SpritesArrays(swaps, clips.motion[partner], clips.attributes)
    print(*machine().values(), sep=", ")
    factors = f"motion, {', '.join(data.ATTRIBUTES)}"
    print(f"wrong of {len(partner)} {options.split} clips (of these: {factors})")
    print(markdown.table(("judge", *shown)))
    for steps in map(int, options.steps.split(",")):
        for seed in map(int, options.seeds.split(",")):
            settings = JudgeSettings(steps=steps, seed=seed)
            ensemble = judge.load_or_train(art_name, art_dir, settings=settings)
            print_row(f"{steps} steps, seed {seed}", shown, partial(errors, ensemble))
            for i, member in enumerate(ensemble.members()):
                print_row(f"its member {i}", shown, partial(errors, member))
    nearest = nearest_characters(data.load_art(art_name, art_dir), list(shown.values()))
    wrong = [found != clips.attributes for found in nearest]
    cells = [f"{miss.any(1).sum()} (-, {', '.join(map(str, miss.sum(0)))})" for miss in wrong]
    print(markdown.row(("nearest real clip", *cells)))


def print_row(
    name: str, shown: dict[str, SpritesArrays], errors: Callable[[SpritesArrays], np.ndarray]
) -> None:
    """Prints how many clips of each set have anything wrong, and how many each factor."""
    wrong = [errors(clips) for clips in shown.values()]
    cells = [f"{miss.any(1).sum()} ({', '.join(map(str, miss.sum(0)))})" for miss in wrong]
    print(markdown.row((name, *cells)), flush=True)


def errors(judge: Judge, clips: SpritesArrays) -> np.ndarray:
    """Which factors the judge does not classify as labelled: bool [n 5], motion first."""
    verdict = judge(clips.video)
    motion, attributes = verdict.motion != clips.motion, verdict.attributes != clips.attributes
    return np.concatenate([motion[:, None], attributes], axis=1)


def augmented(video: np.ndarray, size: int = 72) -> np.ndarray:
    """Clips with blur, noise and brightness changes, as half of a judge's training batch has them.

    They are pixels again, uint8, as generated clips are: what is beyond black or white is cut off.
    """
    settings, key = JudgeSettings(), jax.random.key(_NOISE_SEED)
    bank = jax.random.normal(key, (2 * size * video[0].size,))

    @jax.jit
    def spoil(key, clips):
        return to_uint8(augment(key, to_float(clips), bank, settings))

    starts = range(0, len(video), size)
    parts = [spoil(jax.random.fold_in(key, i), video[i : i + size]) for i in starts]
    return np.concatenate(parts)


@jax.jit
def _distances(video, bank):
    """Squared distances [n m] of clips to a bank of clips, less the squares of the former."""
    video, bank = (
        rearrange(x, "n ... -> n (...)").astype(jnp.float32) / 255.0 for x in (video, bank)
    )
    product = jnp.matmul(video, bank.T, precision="highest")
    return (bank**2).sum(1)[None] - 2.0 * product


def nearest_characters(art: Art, shown: list[SpritesArrays]) -> list[np.ndarray]:
    """The character [n 4] of the nearest real clip of the same motion, for each set of clips."""
    every = np.stack(np.meshgrid(*[np.arange(NUM_VARIANTS)] * 4, indexing="ij")).reshape(4, -1).T
    nearest = [np.empty_like(clips.attributes) for clips in shown]
    for motion in range(len(data.MOTIONS)):
        bank = render(art, every, np.full(len(every), motion))
        for clips, found in zip(shown, nearest, strict=True):
            rows = np.flatnonzero(clips.motion == motion)
            if rows.size:
                distances = _distances(clips.video[rows], bank)
                found[rows] = every[np.asarray(distances).argmin(1)]
    return nearest


if __name__ == "__main__":
    main()
