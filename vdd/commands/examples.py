"""`vdd examples`: write out clips to try a model on."""

import argparse

from vdd import files
from vdd.commands import work

SUMMARY = "write out clips to try a model on"
EXAMPLE = "vdd examples clips"
NOUNS = """\
One of each motion, drawn by this package. Beside them what lies with the other shipped models,
under the licence that lies there: five frames of a character."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    parser.add_argument("folder", metavar="FOLDER", help="made if it is not there")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from vdd import runs
    from vdd.data import sprites, video_io

    sheets = sorted(runs.PRETRAINED.glob("*/examples/*.png"))
    written = (*(f"{name}.gif" for name in sprites.MOTIONS), *(path.name for path in sheets))
    folder = files.check_folder(arguments.folder, *written)
    with work.working("drawing"):
        import numpy as np

        clips = sprites.load_arrays("builtin", "test")
    names = []
    for motion, name in enumerate(sprites.MOTIONS):
        # Another character in each motion, none of which a model was trained on.
        row = int(np.flatnonzero(clips.motion == motion)[motion])
        names.append(str(folder / f"{name}.gif"))
        video_io.write_clip(names[-1], clips.video[row], fps=8)
    for path in sheets:
        files.write(folder / path.name, path.read_bytes())
    content, model = folder / sheets[0].name, sheets[0].parent.parent.name
    print(f"wrote {len(names)} clips, and {content.name}, frames of a character; try:")
    print(f"  vdd sheet {model} --content {content} --layout 5x1 --out hero.png")
    print(f"  vdd transfer sprites --content {names[0]} --motion {names[-1]} --out swap.gif")
