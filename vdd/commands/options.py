"""Arguments that several commands take, and the kinds of numbers they are."""

import argparse
import math

MOST_FRAMES = 1_000_000  # that are made up: the codes of all of them are drawn first

FROM_CONTENT = "from-content"  # a palette: the colours of what is given

RUN = """\
RUN is a run directory, the name of a model that the package ships, or hf://owner/name[@revision] on
the Hugging Face Hub (extra hub)."""

CLIP = """\
CLIP is a video (mp4, mov, webm, mkv, avi, ...), a gif or another animation (webp, apng), an npy
(uint8 [frames, height, width, 3 or 4]), a picture, or a folder of pictures. What is transparent is
laid on the colour that the model's data stand on (else black); a model with alpha keeps it so. That
of a video is laid on black."""

SHEET = """\
The content may also be a sprite sheet, of which the cells are read that are not empty. LAYOUT is
  lpc                   13x21 cells of 64 pixels, as the Universal LPC collection has them
  COLSxROWS             so many cells to a picture; 8x1 is a strip
  COLSxROWS:CELL+X+Y    of so many pixels each (64, or 64x48, width first), the first one X pixels
                        from the left and Y from the top
A picture of 832x1344 pixels is read as lpc. Cells are scaled by whole numbers, and padded."""

NOUNS = f"{RUN} --run RUN says the same.\n{CLIP}"
SHEET_NOUNS = f"{NOUNS}\n{SHEET}"


def add_content(parser: argparse.ArgumentParser, told: str, *, required: bool = True) -> None:
    """A clip or sheet whose content is shown, which `vdd.commands.work.read_content` reads."""
    parser.add_argument("--content", required=required, metavar="CLIP", help=told)
    layout = "of a sprite sheet: lpc, or COLSxROWS[:CELL][+X+Y]"
    parser.add_argument("--layout", metavar="LAYOUT", help=layout)


def add_step(parser: argparse.ArgumentParser) -> None:
    """Of the run."""
    parser.add_argument("--step", type=whole, metavar="N", help="which checkpoint (the latest)")


def add_frames(parser: argparse.ArgumentParser) -> None:
    """Of a clip that is read."""
    parser.add_argument("--frames", type=count, metavar="N", help="read only the first N frames")


def add_fps(parser: argparse.ArgumentParser, told: str) -> None:
    """Of a clip that is written."""
    parser.add_argument("--fps", type=rate, metavar="F", help=told)


def add_seed(parser: argparse.ArgumentParser, told: str) -> None:
    """Of what is drawn."""
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help=told)


def add_out(parser: argparse.ArgumentParser, told: str) -> None:
    """The file that is written."""
    told = f"{told}; a folder that is missing is made"
    parser.add_argument("--out", required=True, metavar="FILE", help=told)
    overwrite = "replace FILE also where vdd did not write it"
    parser.add_argument("--overwrite", action="store_true", help=overwrite)


def add_mark(parser: argparse.ArgumentParser) -> None:
    """Of what is drawn, which `vdd.commands.work.mark` gives."""
    told = "leave out of FILE's metadata that a model of videos made it"
    parser.add_argument("--no-mark", action="store_true", help=told)


def add_run(parser: argparse.ArgumentParser) -> None:
    """RUN, which `vdd.commands.work.run_named` gives."""
    parser.add_argument("run_dir", metavar="RUN", nargs="?", help="whose model to use")
    parser.add_argument("--run", metavar="RUN", help=argparse.SUPPRESS)
    add_step(parser)


def add_sampler(parser: argparse.ArgumentParser) -> None:
    """How it is drawn."""
    presets = "`sampler`, the config's default, or `sharp`: a sample with its noise"
    parser.add_argument("--sampler", choices=("sampler", "sharp"), default="sampler", help=presets)
    steps = "sampler steps, 0 for the mean of all samples (the preset's)"
    parser.add_argument("--steps", type=whole, metavar="N", help=steps)


def add_coded_run(parser: argparse.ArgumentParser) -> None:
    """RUN, and the prior by which its motion is coded."""
    parser.add_argument("run", metavar="RUN", help="whose model to use")
    parser.add_argument(
        "--prior", metavar="PRIOR", help="of the motion codes (the run's own, if any); or none"
    )
    add_step(parser)


def palette(text: str) -> int | str:
    """A number of colours, or `FROM_CONTENT`."""
    if text == FROM_CONTENT:
        return text
    if not text.isdecimal() or not 2 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} is not {FROM_CONTENT}, nor from 2 to 256")
    return int(text)


def count(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def length(text: str) -> int:
    """A number of frames that are made up."""
    if count(text) > MOST_FRAMES:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {MOST_FRAMES:,}")
    return int(text)


def whole(text: str) -> int:
    """A whole number from 0 on."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2^32 - 1")
    return int(text)


def rate(text: str) -> float:
    """Frames a second."""
    return _number(text, 0.1, 240)


def temperature(text: str) -> float:
    """From 0, the likeliest, to 100."""
    return _number(text, 0, 100)


def share(text: str) -> float:
    """From 0.001 to 1."""
    return _number(text, 0.001, 1)


def _number(text: str, low: float, high: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low:g} to {high:g}")
    return number
