"""Draws a sheet of characters at play, eight of each split, to look at.

    python -m vdd.data.universal_lpc --out=sheet.png

A row is a clip of 16 frames; the splits stand below each other in the order train, validation,
test, test_parts. Sheets that are left out are listed with the reason.
"""

import argparse
import functools
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import einops
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from vdd import command, files
from vdd.data.universal_lpc import SPLITS, Art, Settings, draw_clips, load_art


def main(argv: Sequence[str] | None = None) -> int:
    """Draws the sheet; the exit status, as `vdd.command.run` has it."""
    options = argparse.ArgumentParser(
        "vdd.data.universal_lpc", description=(__doc__ or "").partition("\n")[0]
    )
    options.add_argument("--out", required=True, type=Path, help="the picture, PNG")
    options.add_argument("--art_dir", type=Path, help="folder of sheets; else $VDD_UNIVERSAL_LPC")
    options.add_argument("--seed", type=int, default=0, help="of the characters (0)")
    options.add_argument("--overwrite", action="store_true", help="replace somebody else's file")
    given = options.parse_args(argv)
    return command.run(functools.partial(_draw, given), "drawing")


def contact_sheet(art: Art, seed: int = 0, each: int = 8) -> UInt8[np.ndarray, "h w 3"]:
    """Some clips of every split, one a row, on grey."""
    settings = Settings(frames=16, channels=3, background="grey")
    videos = [draw_clips(art, settings, split, each, seed).video for split in SPLITS]
    return einops.rearrange(np.concatenate(videos), "n t h w c -> (n h) (t w) c")


def _draw(options: argparse.Namespace) -> None:
    files.check(options.out, overwrite=options.overwrite)
    art = load_art(options.art_dir)
    buffer = io.BytesIO()
    Image.fromarray(contact_sheet(art, options.seed)).save(buffer, "PNG")
    files.write(options.out, buffer.getvalue(), options.overwrite)
    for line in art.left_out:
        print(f"left out: {line}")


if __name__ == "__main__":
    sys.exit(main())
