"""`vdd transfer`: show one clip's content in another's motion."""

import argparse
import math
from itertools import islice
from typing import TYPE_CHECKING

from etils import epath

import vdd
from vdd.commands import framed, options, work
from vdd.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from vdd.diffusion.samplers import Sampler
    from vdd.run import Run

SUMMARY = "show one clip's content in another's motion"
EXAMPLE = "vdd transfer sprites --content ann.gif --motion bob.gif --out swap.gif"
NOUNS = options.SHEET_NOUNS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    options.add_run(parser)
    options.add_content(parser, "who or what is seen")
    how = "how it moves: a clip, or a named motion (lpc:slash_left; see `vdd motions`)"
    parser.add_argument("--motion", required=True, metavar="CLIP|NAME", help=how)
    options.add_out(parser, ".gif .mp4 .png .npy")
    options.add_frames(parser)
    options.add_sampler(parser)
    options.add_seed(parser, "of the noise (0)")
    options.add_fps(parser, "the motion clip's, else 8")
    relative = "begin at the content's own pose, and move from there as the motion clip does"
    parser.add_argument("--relative", action="store_true", help=relative)
    window = "frames that are read and drawn together (as many as training showed)"
    parser.add_argument("--window", type=options.count, metavar="N", help=window)
    overlap = "frames that a window shares with the one before (an eighth)"
    parser.add_argument("--overlap", type=options.whole, metavar="N", help=overlap)
    framed.add_arguments(parser)
    options.add_mark(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from vdd.data import video_io

    with work.working("loading the model"):
        from vdd import motions
        from vdd.diffusion import samplers

        named = motions.named(arguments.motion)
        inputs = (arguments.content, None if named else arguments.motion)
        out = video_io.check_output(arguments.out, inputs, arguments.overwrite)
        layout = work.layout(arguments)
        of_clips = ("relative", "window", "overlap", "paste_back")
        told = [name for name in of_clips if vars(arguments)[name] not in (None, False)]
        if named and told:
            option = told[0].replace("_", "-")
            raise UserError(f"--{option} needs a clip as --motion, not a name")
        framed.check(arguments, layout)
        work.set_up_jax()
        run = vdd.load(work.run_named(arguments), arguments.step)
    size, _ = _windows(arguments, run)
    frames = min(arguments.frames or size, size)
    content, scene = framed.read_content(arguments, run, layout, frames)
    sampler = samplers.choose(run.config.eval, arguments.sampler, arguments.steps)
    if named:
        written = _play(arguments, run, content, named, sampler, out)
    else:
        written = _follow(arguments, run, content, scene, sampler, out)
    print(f"{out}: {written}, {sampler.told}")


def _follow(
    arguments: argparse.Namespace,
    run: "Run",
    content: "np.ndarray",
    scene: framed.Scene | None,
    sampler: "Sampler",
    out: epath.Path,
) -> str:
    """Draws the content in the motion of a clip; says what is written."""
    from vdd import streaming

    with framed.open_motion(arguments, run) as motion:
        fps = arguments.fps or motion.fps or 8.0
        in_time = motion.fps is not None and math.isclose(fps, motion.fps, rel_tol=1e-4)
        if not in_time and motion.sound:
            print(f"{arguments.motion}: its sound is left out, as --fps changes the speed")
        sound = motion.sound if in_time else None
        if sound and arguments.frames is None:
            sound = sound._replace(whole=True)
        frames = islice(motion.frames, arguments.frames)
        pieces = streaming.transfer(
            run.model, run.params, arguments.seed, content, frames, sampler,
            *_windows(arguments, run), arguments.relative,
        )  # fmt: skip
        pieces = scene.around(pieces) if scene else pieces
        task, mark = f"drawing, {sampler.told} a window", work.mark(arguments, run)
        return work.write_frames(out, pieces, fps, task, sound, arguments.overwrite, mark)


def _play(
    arguments: argparse.Namespace,
    run: "Run",
    content: "np.ndarray",
    named: tuple[str, str],
    sampler: "Sampler",
    out: epath.Path,
) -> str:
    """Draws the content in a named motion; says what is written."""
    from vdd import motions

    motion = motions.load(run, work.run_named(arguments)).find(*named)
    fps = arguments.fps or motion.fps
    tokens = run.encode(content[None]).content
    with work.working("drawing"):
        codes = motion.codes[None, : arguments.frames]
        video = run.decode(tokens, codes, sampler, seed=arguments.seed)
    mark = work.mark(arguments, run)
    return work.write_frames(out, video, fps, "writing", None, arguments.overwrite, mark)


def _windows(arguments: argparse.Namespace, run: "Run") -> tuple[int, int]:
    """Frames of a window, and how many of them it shares."""
    size = arguments.window or run.windows[0]
    overlap = arguments.overlap
    overlap = size // 8 if overlap is None else overlap
    if overlap >= size:
        raise UserError(f"--overlap {overlap} does not fit windows of {size} frames")
    return size, overlap
