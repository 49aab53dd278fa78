"""How much of the picture does each factor of Sprites change?

    python experiments/factors.py [--arts builtin,lpc] [--split validation] [--tiny]

Analysis of variance of a split, in means of 4x4 pixels: what is told by the pose (motion and
frame), by the direction alone, and, the pose given, by each attribute. Units: squared difference,
summed over a frame, of colours from 0 to 1. The codes of a training that is short of bits take what
changes the picture most.
"""

import argparse

import numpy as np
from einops import rearrange

from vdd import markdown
from vdd.data.sprites import ATTRIBUTES, SPLITS, SpritesArrays, load_arrays


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--arts", default="builtin,lpc")
    parser.add_argument("--split", default="validation", choices=SPLITS)
    parser.add_argument("--tiny", action="store_true", help="the built-in art alone, for tests")
    options = parser.parse_args(arguments)
    columns = ("pose", "direction", *ATTRIBUTES, "hair / direction")
    print(markdown.table(("art", *columns)))
    for art in ["builtin"] if options.tiny else options.arts.split(","):
        told = variances(load_arrays(art, options.split))
        told["hair / direction"] = told["hair"] / told["direction"]
        print(markdown.row((art, *(f"{told[name]:.2f}" for name in columns))), flush=True)


def variances(clips: SpritesArrays) -> dict[str, float]:
    """Variance that each factor explains, summed over a frame."""
    blocks = rearrange(clips.video, "n t (h p) (w q) c -> n t h p w q c", p=4, q=4)
    small = blocks.mean((3, 5), dtype=np.float32)
    video = rearrange(small, "n t h w c -> n t (h w c)") / 255.0
    poses = np.stack([video[clips.motion == motion].mean(0) for motion in range(9)])
    told = {
        "pose": _spread(poses, (0, 1)),
        "direction": _spread(rearrange(poses, "(m d) t x -> m d t x", d=3).mean(0), 0),
    }
    looks = video - poses[clips.motion]
    for name, variants in zip(ATTRIBUTES, clips.attributes.T, strict=True):
        told[name] = float(
            np.mean([
                _spread(_means(looks[clips.motion == m], variants[clips.motion == m]), 0)
                for m in range(9)
            ])
        )  # fmt: skip
    return told


def _means(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.stack([x[labels == label].mean(0) for label in np.unique(labels)])


def _spread(means: np.ndarray, axis: int | tuple[int, ...]) -> float:
    """Variance over `axis`, summed over the pixels, the mean over what is left."""
    return float(means.var(axis).sum(-1).mean())


if __name__ == "__main__":
    main()
