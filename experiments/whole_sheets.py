"""What is a whole sheet worth that was drawn from five frames of a character?

    python experiments/whole_sheets.py RUN [--split test_parts] [--characters 24] [--out FOLDER]

Each character shows five cells: it stands, seen from all sides, and begins to cast a spell. `vdd
sheet` makes up all 178 cells from these; they are held against the character's own, over grey.
Prints PSNR over the pixels of the figure and over the frame, mean and standard deviation over
characters. Writes, of the best, the middle and the worst, what was given (`given_*.png`) and what
was made (`sheet_*.png`).
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import outputs
from jaxtyping import Int, UInt8

import vdd
from vdd import files, sheet
from vdd.data.universal_lpc import (
    MOTIONS,
    NUM_CELLS,
    SPLITS,
    Art,
    draw_character,
    load_art,
    play,
)
from vdd.data.universal_lpc.clips import SEED
from vdd.errors import UserError
from vdd.evaluation.report import machine
from vdd.evaluation.universal_lpc.likeness import likeness
from vdd.progress import progress_bar
from vdd.run import Run

GIVEN = ("walk_down", "walk_left", "walk_up", "walk_right", "spellcast_down")  # first cells


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--split", default="validation", choices=SPLITS[1:])
    parser.add_argument("--characters", type=int, default=24)
    parser.add_argument("--art_dir", help="folder of sheets")
    parser.add_argument("--out", type=Path, default=Path("whole_sheets"), help="a folder")
    options = parser.parse_args(arguments)
    try:
        run, art = vdd.load(options.run), load_art(options.art_dir)
        folder = files.own(files.check_folder(options.out, "given_*.png", "sheet_*.png"))
        found = []
        with progress_bar("drawing sheets", options.characters) as advance:
            for number in range(options.characters):
                parts = draw_character(art.wardrobe, SEED, options.split, number)
                found.append(of_character(run, art, parts))
                advance(1)
    except UserError as error:
        print(f"whole_sheets: {error}", file=sys.stderr)
        return 2
    print(*machine().values(), sep=", ")
    for key in ("figure_psnr", "psnr", "pose_acc", "alpha_iou"):
        values = [likely[key] for likely, _, _ in found if key in likely]
        print(f"{key} {np.mean(values):.3f}, sd {np.std(values):.3f}, n {len(values)} characters")
    order = sorted(range(len(found)), key=lambda i: -found[i][0]["figure_psnr"])
    for name, place in (("best", 0), ("middle", len(order) // 2), ("worst", -1)):
        likely, given, drawn = found[order[place]]
        print(f"{name}: character {order[place]}, {likely['figure_psnr']:.2f} dB of the figure")
        outputs.save(np.concatenate(list(given), axis=1), Path(folder / f"given_{name}.png"))
        outputs.save(sheet.picture(drawn), Path(folder / f"sheet_{name}.png"))
    return 0


def of_character(
    run: Run, art: Art, parts: Int[np.ndarray, "s"]
) -> tuple[dict[str, float], UInt8[np.ndarray, "t h w 4"], sheet.Drawn]:
    """How like its own sheet a character's is, what was given of it, and what was drawn."""
    truth = play(art, parts, np.arange(NUM_CELLS, dtype=np.int32), None)
    first = {motion.name: motion.first for motion in MOTIONS}
    given = truth[[first[name] for name in GIVEN]]
    drawn = sheet.draw(run, given)
    return likeness(drawn.cells, truth, np.arange(NUM_CELLS), sharp=False), given, drawn


if __name__ == "__main__":
    sys.exit(main())
