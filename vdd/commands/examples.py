"""`vdd examples`: write out clips to try a model on."""

import argparse

from vdd import files
from vdd.commands import work

SUMMARY = "write out clips to try a model on"
EXAMPLE = "vdd examples clips"
NOUNS = "One of each motion, drawn by this package."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    parser.add_argument("folder", metavar="FOLDER", help="made if it is not there")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from vdd.data import sprites, video_io

    folder = files.check_folder(arguments.folder, *(f"{name}.gif" for name in sprites.MOTIONS))
    with work.working("drawing"):
        import numpy as np

        clips = sprites.load_arrays("builtin", "test")
    names = []
    for motion, name in enumerate(sprites.MOTIONS):
        # Another character in each motion, none of which a model was trained on.
        row = int(np.flatnonzero(clips.motion == motion)[motion])
        names.append(str(folder / f"{name}.gif"))
        video_io.write_clip(names[-1], clips.video[row], fps=8)
    print(f"wrote {len(names)} clips; try:")
    print(f"  vdd transfer sprites --content {names[0]} --motion {names[-1]} --out swap.gif")
