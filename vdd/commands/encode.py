"""`vdd encode`: write a clip as content, once, and a few bits of motion a frame."""

import argparse

from vdd.commands import options, work

SUMMARY = "write a clip as content, once, and a few bits of motion a frame"
EXAMPLE = "vdd encode sprites bob.gif --out bob.vdd"
NOUNS = f"{options.RUN}\n{options.CLIP}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    options.add_coded_run(parser)
    parser.add_argument("clip", metavar="CLIP", help="what to encode")
    options.add_out(parser, "a file that ends in .vdd")
    parser.add_argument(
        "--chunk",
        type=options.count,
        default=256,
        metavar="N",
        help="frames that stand alone (256)",
    )
    options.add_frames(parser)
    options.add_fps(parser, "the clip's, else 8")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    with work.working("loading the model"):
        from vdd.codec import description
        from vdd.codec import files as coded_files

        out = coded_files.check_output(arguments.out, [arguments.clip], arguments.overwrite)
        work.set_up_jax()
        coded_run = coded_files.open_run(arguments.run, arguments.prior, arguments.step)
    with work.working("encoding"):
        size = coded_files.encode(
            coded_run,
            arguments.clip,
            out,
            chunk_frames=arguments.chunk,
            max_frames=arguments.frames,
            fps=arguments.fps,
            overwrite=arguments.overwrite,
        )
    print(f"{out}: {size.frames} frames, {description.summary(size)}")
