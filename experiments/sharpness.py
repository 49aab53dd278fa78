"""Which measures of sharpness does noise fool? Real frames, spoilt in known ways.

    python experiments/sharpness.py [--art lpc] [--clips 48] [--tiny]

Each measure is a ratio to real frames, so that these have 1. Noise is given in units of the range
[-1, 1], and all frames are rounded to pixels again. *Another pose* is sharp, and not the truth;
*mean of 4 poses* is what a decoder draws that cannot know the pose. The measures:

- power: of the Laplacian;
- kurtosis: of the differences between neighbouring pixels;
- edges: the mean of the largest 5 % of gradients;
- gain over truth: `metrics.sharpness` against the true frame alone;
- gain over nearest: the same against all frames of the character, of which it takes the nearest.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, laplace

from vdd.data import sprites as data
from vdd.data.sprites import SpritesArrays
from vdd.errors import UserError
from vdd.evaluation import metrics
from vdd.evaluation.report import machine
from vdd.markdown import table
from vdd.pixels import to_float, to_uint8

Frames = Float[np.ndarray, "n h w 3"]  # in [-1, 1]
LARGEST = 0.05


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--art", default="lpc", choices=("lpc", "builtin"))
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tiny", action="store_true", help="one clip, for tests")
    options = parser.parse_args(arguments)
    try:
        clips = data.load_arrays(options.art, "test")
    except UserError as error:
        print(f"sharpness: {error}", file=sys.stderr)
        return 2
    rng = np.random.default_rng(options.seed)
    rows = rng.permutation(len(clips.motion))[: 1 if options.tiny else options.clips]
    found: dict[str, list[list[float]]] = {}
    for row in rows:
        real, poses = to_float(clips.video[row]), to_float(poses_of(clips, row))
        for name, made in spoilt(real, poses, rng).items():
            found.setdefault(name, []).append(measure(real, poses, to_float(to_uint8(made))))
    print(*machine().values(), sep=", ")
    print(f"{len(rows)} test clips of sprites/{options.art}")
    names = ("", "power", "kurtosis", "edges", "gain over truth", "gain over nearest")
    print(table(names, [(name, *cells(figures)) for name, figures in found.items()]))
    return 0


def poses_of(clips: SpritesArrays, row: int) -> np.ndarray:
    """All frames of the character of a clip, [m h w 3]."""
    mine = (clips.attributes == clips.attributes[row]).all(axis=1)
    return np.concatenate(clips.video[mine])


def spoilt(real: Frames, poses: Frames, rng: np.random.Generator) -> dict[str, Frames]:
    """Frames as they are, and as they might be drawn."""

    def blurred(sigma: float) -> Frames:
        return gaussian_filter(real, (0, sigma, sigma, 0), mode="nearest")

    def noisy(frames: Frames, sigma: float) -> Frames:
        return frames + sigma * rng.normal(size=frames.shape)

    others = poses[rng.integers(len(poses), size=(3, len(real)))]
    mean = (real + others.sum(axis=0)) / 4
    return {
        "real": real,
        **{f"blur {sigma} px": blurred(sigma) for sigma in (0.5, 1, 2)},
        **{f"noise {sigma}": noisy(real, sigma) for sigma in (0.02, 0.05, 0.1)},
        **{f"blur {sigma} px, noise 0.1": noisy(blurred(sigma), 0.1) for sigma in (0.5, 1, 2)},
        "another pose": others[0],
        "mean of 4 poses": mean,
        "mean of 4 poses, noise 0.1": noisy(mean, 0.1),
    }


def measure(real: Frames, poses: Frames, made: Frames) -> list[float]:
    """Each measure of the frames of a clip, as a ratio to the real ones."""
    plain: Sequence[Callable[[Frames], float]] = (power, kurtosis, edges)
    ratios = [function(made) / function(real) for function in plain]
    truth = [metrics.sharpness(real[i : i + 1], made[i : i + 1]) for i in range(len(real))]
    return [*ratios, float(np.mean(truth)), float(np.mean(metrics.sharpness(poses, made)))]


def power(frames: Frames) -> float:
    """Mean square of the Laplacian."""
    return float(np.mean(laplace(frames, axes=(1, 2), mode="nearest") ** 2))


def kurtosis(frames: Frames) -> float:
    """Fourth moment of differences between neighbours, over the square of the second."""
    steps = np.concatenate([np.diff(frames, axis=axis).ravel() for axis in (1, 2)])
    return float(np.mean(steps**4) / np.mean(steps**2) ** 2)


def edges(frames: Frames) -> float:
    """Mean of the largest gradients."""
    down, right = np.diff(frames, axis=1)[:, :, 1:], np.diff(frames, axis=2)[:, 1:]
    size = np.sort(np.hypot(down, right), axis=None)
    return float(size[-int(LARGEST * size.size) :].mean())


def cells(figures: list[list[float]]) -> list[str]:
    """Means over clips."""
    return [f"{figure:.3f}" for figure in np.mean(figures, axis=0)]


if __name__ == "__main__":
    sys.exit(main())
