"""`vdd sheet`: draw a character's whole sprite sheet."""

import argparse
import os

import vdd
from vdd import files
from vdd.commands import options, work

SUMMARY = "draw a character's whole sprite sheet, in the Universal LPC layout"
EXAMPLE = "vdd sheet runs/universal_lpc --content idle.png --layout 1x1 --out hero.png"
NOUNS = f"""\
{options.SHEET_NOUNS}
What is drawn are the 178 cells of 21 motions, by the codes that `vdd motions RUN` keeps. Cells of a
content sheet in the lpc layout are kept to the pixel. Beside the sheet go a preview (.gif), all
motions one after the other, and descriptions for Aseprite's readers (.json, which says of each
frame whether it was given) and for Tiled (.tsx)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    options.add_run(parser)
    options.add_content(parser, "the character: a few frames of it")
    options.add_out(parser, ".png")
    told = "colours of what is made up: from-content, or so many (2 to 256)"
    parser.add_argument("--palette", type=options.palette, metavar="P", help=told)
    options.add_sampler(parser)
    options.add_seed(parser, "of the noise (0)")
    options.add_fps(parser, "of all motions (8)")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    with work.working("loading the model"):
        from vdd import motions, sheet
        from vdd.data import palettes, sheet_files, video_io

        name = work.run_named(arguments)
        of_run = (os.path.join(name, file) for file in ("config.json", motions.FILE))
        read = [arguments.content, *filter(os.path.exists, of_run)]
        out, *others = sheet.outputs(arguments.out)
        video_io.check_output(out, read, arguments.overwrite)
        for path in others:
            files.check(path, read, arguments.overwrite)
        layout = work.layout(arguments)
        given = sheet_files.read_sheet(arguments.content, layout) if layout else None
        work.set_up_jax()
        run = vdd.load(name, arguments.step)
    content, _ = work.read_content(run, arguments.content, layout, run.windows[0])
    colours = arguments.palette
    if colours == options.FROM_CONTENT:
        size = run.model.latents.size[:2]
        whole = sheet_files.as_clip(given, size, run.ground).video if given else content
        colours = palettes.colours_of(whole)
    with work.working("drawing"):
        how = (arguments.sampler, arguments.steps, arguments.seed)
        drawn = sheet.draw(run, content, given, colours, *how)
        out, *beside = sheet.write(
            drawn, arguments.out, arguments.fps or sheet.FPS, arguments.overwrite
        )
    kept, cells = int(drawn.given.sum()), len(drawn.given)
    if kept:
        print(f"{out}: {kept} cells as they were given, {cells - kept} made up")
    else:
        print(f"{out}: all {cells} cells made up; cells of a sheet in the lpc layout are kept")
    if drawn.ground is not None:
        print(f"{out}: this model knows no alpha: what it made up stands on {drawn.ground}")
    print(f"beside it: {', '.join(path.name for path in beside)}")
