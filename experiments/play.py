"""Does motion that the prior makes up go on as a game's motions do? Universal LPC.

    python experiments/play.py RUN [--clips 64] [--frames 64] [--split validation]

The prior makes up motion for the content of each clip. Of every frame the nearest cell of that
character's own sheet is taken. A step from one frame to the next is *right* if the game has it so:
to the next cell of the same action, or from the last cell of an action to the first of any. Beside
it stand the same clips rebuilt from their own codes, whose motion is a game's, and the made-up
frames in random order, which is chance.
"""

import argparse
import sys

import numpy as np
from einops import rearrange
from jaxtyping import Bool, Int

import vdd
from vdd.data.universal_lpc import MOTIONS, NUM_CELLS, SPLITS, Settings, draw_clips, load_art
from vdd.errors import UserError
from vdd.evaluation.report import machine
from vdd.evaluation.universal_lpc import protocol
from vdd.evaluation.universal_lpc.ground import on_grey
from vdd.evaluation.universal_lpc.likeness import nearest_cells
from vdd.progress import progress_bar


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--frames", type=int, default=64, help="made up for each clip")
    parser.add_argument("--split", default="validation", choices=SPLITS[1:])
    parser.add_argument("--art_dir", help="folder of sheets")
    options = parser.parse_args(arguments)
    try:
        run, art = vdd.load(options.run), load_art(options.art_dir)
        settings = Settings(run.config.data.frames, run.config.data.channels, "grey")
        clips = draw_clips(art, settings, options.split, options.clips)
        draw = protocol.drawer(art, settings.channels)
        found: dict[str, list[np.ndarray]] = {"made up": [], "rebuilt": [], "in random order": []}
        with progress_bar("playing", options.clips) as advance:
            for number, (video, parts) in enumerate(zip(clips.video, clips.parts)):
                sheet = on_grey(draw(parts, np.arange(NUM_CELLS, dtype=np.int32)))
                seen = run.encode(video[None])
                made = run.generate(video[None], options.frames, seed=number)[0]
                cells = nearest_cells(on_grey(made), sheet)
                found["made up"].append(follows(cells, sheet))
                mixed = np.random.default_rng(number).permutation(cells)
                found["in random order"].append(follows(mixed, sheet))
                rebuilt = run.decode(seen.content, seen.codes)[0]
                found["rebuilt"].append(follows(nearest_cells(on_grey(rebuilt), sheet), sheet))
                advance(1)
    except UserError as error:
        print(f"play: {error}", file=sys.stderr)
        return 2
    print(*machine().values(), sep=", ")
    for name, right in found.items():
        each = [np.mean(one) for one in right]
        print(f"{name}: {np.mean(each):.2%} of the steps are right, sd {np.std(each):.2%} of clips")
    return 0


def follows(cells: Int[np.ndarray, "t"], sheet: np.ndarray) -> Bool[np.ndarray, "t-1"]:
    """Of each frame but the first, whether it may come after the one before; twins are one cell."""
    alike = np.unique(rearrange(sheet, "n ... -> n (...)"), axis=0, return_inverse=True)[1].ravel()
    allowed = np.zeros((NUM_CELLS, NUM_CELLS), bool)
    firsts = [motion.first for motion in MOTIONS]
    for motion in MOTIONS:
        own = np.arange(motion.first, motion.first + motion.frames)
        allowed[own[:-1], own[1:]] = True
        allowed[own[-1], firsts] = True
    pairs = np.zeros((alike.max() + 1,) * 2, bool)
    np.logical_or.at(pairs, (alike[:, None], alike[None]), allowed)
    return pairs[alike[cells[:-1]], alike[cells[1:]]]


if __name__ == "__main__":
    sys.exit(main())
