"""`vdd decode`: draw the clip that a .vdd file holds."""

import argparse

from vdd.commands import options, work

SUMMARY = "draw the clip that a .vdd file holds"
EXAMPLE = "vdd decode sprites bob.vdd --content ann.gif --out swap.gif"
NOUNS = f"{options.RUN}\n{options.CLIP}\n{options.SHEET}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    options.add_coded_run(parser)
    parser.add_argument("clip", metavar="FILE", help="a file that `vdd encode` wrote")
    options.add_content(parser, "who or what is seen instead", required=False)
    options.add_out(parser, ".gif .mp4 .png .npy")
    options.add_sampler(parser)
    options.add_seed(parser, "of the noise (0)")
    options.add_fps(parser, "the file's")
    options.add_mark(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from vdd.data import video_io

    inputs = (arguments.clip, arguments.content)
    out = video_io.check_output(arguments.out, inputs, arguments.overwrite)
    layout = work.layout(arguments)
    with work.working("loading the model"):
        from vdd.codec import files as coded_files
        from vdd.diffusion import samplers

        work.set_up_jax()
        coded = arguments.clip
        data = coded_files.read_bytes(coded)
        coded_run = coded_files.open_run(
            arguments.run, arguments.prior, arguments.step, coded, data
        )
        decoded = coded_files.decode(coded_run, coded, data)
    run, other = coded_run.run, None
    if arguments.content:
        other, _ = work.read_content(run, arguments.content, layout, run.windows[0])
    sampler = samplers.choose(run.config.eval, arguments.sampler, arguments.steps)
    pieces = coded_files.draw(coded_run, decoded, other, sampler, arguments.seed)
    fps, task = arguments.fps or decoded.header.fps, f"drawing, {sampler.told} a window"
    written = work.write_frames(
        out, pieces, fps, task, overwrite=arguments.overwrite, comment=work.mark(arguments, run)
    )
    print(f"{out}: {written}")
