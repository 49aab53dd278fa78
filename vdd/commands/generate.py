"""`vdd generate`: show a clip's content in a motion that a prior makes up."""

import argparse
from functools import partial

import vdd
from vdd.commands import options, work
from vdd.errors import UserError

SUMMARY = "show a clip's content in a motion that a prior makes up"
EXAMPLE = "vdd generate sprites --content ann.gif --frames 32 --out ann_moves.gif"
NOUNS = options.SHEET_NOUNS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    options.add_run(parser)
    options.add_content(parser, "who or what is seen")
    parser.add_argument(
        "--frames",
        required=True,
        type=options.length,
        metavar="N",
        help=f"how many (up to {options.MOST_FRAMES:,})",
    )
    options.add_out(parser, ".gif .mp4 .png .npy")
    parser.add_argument(
        "--start", metavar="CLIP", help="how it begins to move: its last frames (made up too)"
    )
    parser.add_argument("--prior", metavar="RUN", help="the prior (RUN/prior, else RUN_prior)")
    parser.add_argument(
        "--temperature",
        type=options.temperature,
        default=1.0,
        metavar="X",
        help="0: the likeliest (1)",
    )
    parser.add_argument(
        "--top-p",
        type=options.share,
        default=1.0,
        metavar="X",
        help="leave out what is unlikely (1)",
    )
    options.add_sampler(parser)
    options.add_seed(parser, "of all that is random (0)")
    options.add_fps(parser, "the start's or content's, else 8")
    options.add_mark(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from vdd.data import video_io

    inputs = (arguments.content, arguments.start)
    out = video_io.check_output(arguments.out, inputs, arguments.overwrite)
    layout = work.layout(arguments)
    with work.working("loading the models"):
        from vdd import compiled, priors, streaming
        from vdd.diffusion import samplers

        work.set_up_jax()
        name = work.run_named(arguments)
        run = vdd.load(name, arguments.step)
        prior = priors.load_prior_of(run, name, arguments.prior)
    content, rate = work.read_content(run, arguments.content, layout, run.windows[0])
    start = None
    if arguments.start:
        start, rate = work.read_end(run, arguments.start, prior.model.window)
        if len(start) >= arguments.frames:
            raise UserError(
                f"{arguments.start} gives {len(start)} frames: --frames, of which they are the"
                f" first, must be more than that, not {arguments.frames}"
            )
    sampler = samplers.choose(run.config.eval, arguments.sampler, arguments.steps)
    fps = arguments.fps or rate or 8.0
    encode = partial(compiled.encode, run.model, run.params)
    pieces = streaming.generate(
        run.model, run.params, prior.model, prior.params, arguments.seed,
        encode(content[None]).content, arguments.frames, sampler,
        None if start is None else encode(start[None]).codes,
        arguments.temperature, arguments.top_p,
    )  # fmt: skip
    pieces = (piece[0] for piece in pieces)
    task = f"compiling and sampling {arguments.frames} frames"
    written = work.write_frames(
        out, pieces, fps, task, overwrite=arguments.overwrite, comment=work.mark(arguments, run)
    )
    print(f"{out}: {written}")
