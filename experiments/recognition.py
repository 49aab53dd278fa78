"""What does the denoiser recognise behind the noise?

    python experiments/recognition.py RUN [RUN ...] [--clips 48] [--levels 0.3,1,3,8,20]

Clips of the validation split are hidden behind noise, and denoised. Printed is the error of the
estimate, divided by that of the mean frame, for which nothing is looked at: 0 is all, 1 is nothing
recognised. What an ideal denoiser can recognise ends at noise levels near the distance of a frame
from its mean, which is printed too, in units of the latents over all numbers of a frame.

Content is read in the whole clip, or, as in training, in its first half, of which the other half is
drawn. Where the two differ, content tells more than it will in a swap.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import vdd
from vdd import markdown
from vdd.data import datasets
from vdd.errors import UserError
from vdd.evaluation.report import machine
from vdd.method.disentangler import Disentangler
from vdd.run import Run

LEVELS = "0.1,0.3,1,3,8,20"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--clips", type=int, default=48)
    parser.add_argument("--levels", default=LEVELS, help="noise levels, in units of the latents")
    options = parser.parse_args(arguments)
    levels = [float(x) for x in options.levels.split(",")]
    print(*machine().values(), sep=", ")
    print(markdown.table(("run", "content of", "distance", *(f"{x:g}" for x in levels))))
    try:
        for name in options.runs:
            run = vdd.load(name)
            video = clips(run, options.clips)
            half = video.shape[1] // 2
            halves = video[:, :half], video[:, half:]
            for what, seen, drawn in (("clip", video, video), ("half", *halves)):
                distance, shares = recognise(run, seen, drawn, levels)
                cells = (f"{distance:.1f}", *(f"{x:.2f}" for x in shares))
                print(markdown.row((name, what, *cells)), flush=True)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def clips(run: Run, count: int) -> np.ndarray:
    """Clips from all over the validation split, uint8 [n t h w c]."""
    data = run.config.data
    rows = np.linspace(0, datasets.count_clips(data, "validation") - 1, count).astype(int).tolist()
    return np.stack([datasets.load_clip(data, "validation", row) for row in rows])


def recognise(
    run: Run, seen: np.ndarray, drawn: np.ndarray, levels: Sequence[float]
) -> tuple[float, list[float]]:
    """Distance of frames from their mean, and shares of its square that are left at noise levels.

    Content is read in clips `seen`, motion in clips `drawn`, uint8 [n t h w c].
    """
    content, codes = run.encode(seen).content, run.encode(drawn).codes
    given = [jnp.asarray(x) for x in (drawn, content, codes)]
    key = jax.random.key(0)
    errors = [_errors(run.model, run.params, key, *given, jnp.float32(x)) for x in levels]
    mean = float(errors[0][1])
    return mean**0.5, [float(error) / mean for error, _ in errors]


@partial(jax.jit, static_argnums=0)
def _errors(model: Disentangler, params, key, video, content, codes, level) -> tuple[Any, Any]:
    """Squared distances of frames from their estimates behind noise, and from the mean."""

    def apply(method, *inputs):
        return model.apply({"params": params}, *inputs, method=method)

    clean = apply(Disentangler.to_latents, video)
    motion = apply(Disentangler.lookup, codes)
    mean = apply(Disentangler.mean, content, motion)
    noisy = clean + level * jax.random.normal(key, clean.shape)  # pyright: ignore[reportAttributeAccessIssue]
    levels = jnp.full(clean.shape[:2], level)  # pyright: ignore[reportAttributeAccessIssue]
    denoised = apply(Disentangler.denoise, noisy, levels, content, motion, mean)

    def distance(x):
        return jnp.mean(jnp.sum(jnp.square(x - clean), axis=(2, 3, 4)))

    return distance(denoised), distance(mean)


if __name__ == "__main__":
    sys.exit(main())
