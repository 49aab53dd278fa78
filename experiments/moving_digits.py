"""A folder of clips that nobody tuned anything for: Moving MNIST, of scikit-learn's digits.

    pip install scikit-learn
    python experiments/moving_digits.py --out DIGITS
    vdd train --data DIGITS --workdir runs/digits --minutes 12

Every clip shows two handwritten digits of 8 x 8 pixels, enlarged, on black. They move evenly and
bounce off the edges, as in Moving MNIST (Srivastava et al., 2015, arXiv:1502.04681). Each clip has
two digits of its own: nobody in validation has been seen in training. The digits are those of the
UCI repository (Alpaydin and Kaynak, 1998, CC BY 4.0).
"""

import argparse
import importlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from einops import rearrange
from jaxtyping import UInt8
from PIL import Image

from vdd import command
from vdd.data import video_io
from vdd.errors import UserError

SIDE, FRAMES, FPS, DIGIT = 64, 32, 12.5, 28  # of a clip; pixels of a digit's side


def main(arguments: Sequence[str] | None = None) -> int:
    return command.run(lambda: write(arguments), "drawing digits")


def write(arguments: Sequence[str] | None = None) -> None:
    parser = command.Parser(description=(__doc__ or "").partition("\n")[0])
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    parser.add_argument("--out", required=True, help="folder of the GIFs")
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tiny", action="store_true", help="few digits, of noise, for the tests")
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    digits = noise(rng) if options.tiny else load_digits()
    count = 6 if options.tiny else options.clips
    if 2 * count > len(digits):
        raise UserError(f"--clips {count}: there are {len(digits)} digits, two a clip")
    chosen = rearrange(rng.permutation(len(digits))[: 2 * count], "(n k) -> n k", k=2)
    for number, pair in enumerate(chosen):
        path = Path(options.out, f"{number:04d}.gif")
        video_io.write_clip(path, clip([digits[i] for i in pair], rng), fps=FPS)
    print(f"wrote {count} clips into {options.out}")


def load_digits() -> UInt8[np.ndarray, "n 8 8"]:
    """The 1797 digits of scikit-learn."""
    try:
        datasets = importlib.import_module("sklearn.datasets")  # nothing else here needs it
    except ImportError as error:
        raise UserError("needs scikit-learn: pip install scikit-learn") from error
    images = datasets.load_digits().images
    return np.round(images * 255 / 16).astype(np.uint8)


def noise(rng: np.random.Generator) -> UInt8[np.ndarray, "n 8 8"]:
    """What takes the place of digits where there are none."""
    return rng.integers(0, 256, (16, 8, 8), dtype=np.uint8)


def clip(
    digits: Sequence[UInt8[np.ndarray, "8 8"]], rng: np.random.Generator
) -> UInt8[np.ndarray, "t h w 3"]:
    """Digits that move and bounce; where two meet the brighter one is seen."""
    video = np.zeros((FRAMES, SIDE, SIDE), np.uint8)
    for digit in digits:
        large = np.asarray(Image.fromarray(digit).resize((DIGIT, DIGIT), Image.Resampling.BICUBIC))
        for frame, (top, left) in zip(video, path(rng), strict=True):
            part = frame[top : top + DIGIT, left : left + DIGIT]
            np.maximum(part, large, out=part)
    return np.repeat(video[..., None], 3, axis=-1)


def path(rng: np.random.Generator) -> np.ndarray:
    """Top and left in each frame, [t 2]: a straight way, folded back at the edges."""
    room = SIDE - DIGIT
    angle = rng.uniform(0, 2 * np.pi)
    speed = rng.uniform(2, 4) * np.array([np.sin(angle), np.cos(angle)])  # pixels a frame
    way = rng.uniform(0, room, 2) + np.arange(FRAMES)[:, None] * speed
    return np.round(room - np.abs(way % (2 * room) - room)).astype(int)


if __name__ == "__main__":
    raise SystemExit(main())
