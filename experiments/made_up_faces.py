"""Does a face whose motion a prior makes up move as people do?

    python experiments/made_up_faces.py RUN --clips CLIPS --data DATA [--split test] [--out FILE]

CLIPS, DATA and the split are those of `strangers.py`; RUN has a prior. The first second of every
clip lends content. Its later frames are looked at as they are (*real*) and as the run rebuilds them
(*rebuilt*, what a perfect prior could reach), and as many frames are made up by the prior (*made
up*). With the extra `face` dlib gives landmarks, and these six tracks (`vdd.evaluation.faces`).

- *speed*: how far a track goes from one frame to the next, in sizes of the face, where both show a
  face; its median over all such frames, and the Kolmogorov-Smirnov distance from the real speeds
  (0: the same distribution).
- *range*: the standard deviation of a track over a clip; the median clip.
- *two samples*: the maximum mean discrepancy between clips, each told by speed and range of its
  tracks (Gretton et al. 2012; Gaussian kernel as wide as the median distance), and how often a
  random division of all clips has a larger one. Below .05 the two can be told apart.
- *the same of codes*: each clip told by mean absolute difference and deviation of its codes.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from strangers import parser, read, strangers, table
from strangers_seen import Stranger, progress

import vdd
from vdd import files
from vdd.errors import UserError
from vdd.evaluation import faces
from vdd.models.prior_sampling import sample_codes
from vdd.run import Run

_sample = jax.jit(sample_codes, static_argnums=(0, 3))
DIVISIONS = 2000  # random ones, in the two-sample test


def main(arguments: list[str] | None = None) -> int:
    known = parser((__doc__ or "").splitlines()[0])
    known.add_argument("--seed", type=int, default=0)
    options = known.parse_args(arguments)
    try:
        if options.out:
            files.check(options.out)
        run = vdd.load(options.run)
        clips = strangers(options.clips, options.data, options.split, run.model.latents.size[0])
        figures = measure(run, clips, faces.dlib_faces(), options.seed)
        figures = {"run": run.name, "split": options.split, "seed": options.seed, **figures}
        print(table(figures))
        if options.out:
            text = json.dumps(figures, indent=1)
            files.write(options.out, text)
    except UserError as error:
        print(f"made_up_faces: {error}", file=sys.stderr)
        return 2
    return 0


def measure(run: Run, clips: Sequence[Stranger], see: faces.Faces, seed: int) -> dict[str, Any]:
    """All figures of the clips, and of what is rebuilt and made up of them."""
    parts = [read(run, clip) for clip in progress(clips, "reading")]
    made = [make_up(run, len(clip.later), seed + i) for i, clip in enumerate(clips)]
    shown = {
        "real": [clip.later for clip in clips],
        "rebuilt": [run.decode(part.content, part.own[None])[0] for part in parts],
        "made up": [run.decode(part.content, own[None])[0] for part, own in zip(parts, made)],
    }
    known = {
        name: [tracks(see, video) for video in progress(videos, f"looking at the {name}")]
        for name, videos in shown.items()
    }
    both = [i for i in range(len(clips)) if all(found[i] is not None for found in known.values())]
    if len(both) < 2:
        raise UserError("a face is seen in fewer than two clips of each kind: nothing to compare")
    seen = {
        name: [track for i in both if (track := found[i]) is not None]
        for name, found in known.items()
    }
    codes = {"real": [part.own for part in parts], "made up": made}
    return {
        "clips": len(clips),
        "clips with a face in all three": len(both),
        "networks": see.networks,
        "frames compared": {name: len(steps(found)) for name, found in seen.items()},
        **{f"speed, {name}": speeds(found, seen["real"]) for name, found in seen.items()},
        **{f"range, {name}": ranges(found) for name, found in seen.items()},
        "two samples": {
            f"{one} and {other}": two_samples(told(seen[one]), told(seen[other]), seed)
            for one, other in (("real", "rebuilt"), ("real", "made up"), ("rebuilt", "made up"))
        },
        "two samples, codes": two_samples(told(codes["real"]), told(codes["made up"]), seed),
    }


def make_up(run: Run, frames: int, seed: int) -> np.ndarray:
    """Codes [t n] of the run's prior."""
    keys = jax.random.split(jax.random.key(seed), 1)
    return np.asarray(_sample(run.prior.model, run.prior.params, keys, frames))[0]


def tracks(see: faces.Faces, video: np.ndarray) -> Float[np.ndarray, "t 6"] | None:
    """The tracks of all frames, nan where one shows no face.

    None where fewer than half show one, or no two neighbours do.
    """
    landmarks = see.observe(video).landmarks
    shown = faces.seen(landmarks)
    enough = shown.mean() >= 0.5 and (shown[1:] & shown[:-1]).any()
    return np.where(shown[:, None], faces.tracks(landmarks), np.nan) if enough else None


def steps(clips: Sequence[Float[np.ndarray, "t m"]]) -> Float[np.ndarray, "n m"]:
    """How far the columns go between neighbouring frames, those with a nan left out."""
    every = np.concatenate([np.abs(np.diff(x, axis=0)) for x in clips])
    return every[np.isfinite(every).all(axis=1)]


def speeds(
    clips: Sequence[Float[np.ndarray, "t 6"]], real: Sequence[Float[np.ndarray, "t 6"]]
) -> dict[str, Any]:
    """Median speed of each track, sizes of the face a frame, and its distance from the real."""
    mine, true = steps(clips), steps(real)
    return {
        name: {
            "median": float(np.median(mine[:, i])),
            "KS": kolmogorov_smirnov(mine[:, i], true[:, i]),
        }
        for i, name in enumerate(faces.TRACKS)
    }


def ranges(clips: Sequence[Float[np.ndarray, "t 6"]]) -> dict[str, float]:
    """Standard deviation of each track over a clip, sizes of the face: the median clip's."""
    deviation = np.stack([np.nanstd(x, axis=0) for x in clips])
    return dict(zip(faces.TRACKS, np.median(deviation, axis=0).tolist(), strict=True))


def told(clips: Sequence[np.ndarray]) -> Float[np.ndarray, "n f"]:
    """Each clip [t m] by mean absolute difference and standard deviation of its columns."""
    return np.stack([np.concatenate([steps([x]).mean(0), np.nanstd(x, axis=0)]) for x in clips])


def kolmogorov_smirnov(x: Float[np.ndarray, "n"], y: Float[np.ndarray, "m"]) -> float:
    """The largest difference of two empirical distribution functions."""
    at = np.concatenate([x, y])
    share = [np.searchsorted(np.sort(z), at, side="right") / len(z) for z in (x, y)]
    return float(np.abs(share[0] - share[1]).max())


def two_samples(
    x: Float[np.ndarray, "n f"], y: Float[np.ndarray, "m f"], seed: int
) -> dict[str, float]:
    """Squared maximum mean discrepancy (unbiased), and its p-value by random divisions."""
    both = np.concatenate([x, y])
    both = (both - both.mean(0)) / np.maximum(both.std(0), 1e-9)
    squared = np.square(both[:, None] - both[None]).sum(axis=-1)
    width = np.median(squared[np.triu_indices(len(both), 1)])
    kernel = np.exp(-squared / max(width, 1e-9))
    rng = np.random.default_rng(seed)
    found = discrepancy(kernel, np.arange(len(both)), len(x))
    others = [discrepancy(kernel, rng.permutation(len(both)), len(x)) for _ in range(DIVISIONS)]
    larger = 1 + sum(other >= found for other in others)
    return {"MMD^2": found, "p": larger / (1 + DIVISIONS), "n": len(x)}


def discrepancy(kernel: Float[np.ndarray, "n n"], order: np.ndarray, count: int) -> float:
    """Unbiased MMD^2 between the first `count` in this order and the rest."""
    one, other = order[:count], order[count:]

    def within(rows: np.ndarray) -> float:
        part = kernel[np.ix_(rows, rows)]
        return float((part.sum() - np.trace(part)) / (len(rows) * (len(rows) - 1)))

    return within(one) + within(other) - 2 * float(kernel[np.ix_(one, other)].mean())


if __name__ == "__main__":
    sys.exit(main())
