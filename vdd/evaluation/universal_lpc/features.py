"""Fixed features of frames for the Frechet distance: there is no judge of Universal LPC.

Both kinds are principal components of true frames, each of variance 1 over them: of the pixels
(what is to be seen), and of the size of the Laplacian in tiles of 4 x 4 pixels (how much detail is
where: the pixels' own components are nearly blind to noise). The distance is a sum over features. A
picture that never changes is at about one a feature, and frames of a split at the noise of sampling
from other frames like them.
"""

from typing import NamedTuple

import einops
import numpy as np
from jaxtyping import Float, UInt8

from vdd.data.universal_lpc import NUM_CELLS, Wardrobe, draw_character
from vdd.evaluation import metrics
from vdd.evaluation.universal_lpc.ground import flat_pixels, on_grey
from vdd.evaluation.universal_lpc.parts import Draw

_FRAMES = 1024  # from which the components are found
_OF_PIXELS, _OF_DETAIL = 64, 32  # components
_TILE = 4
_LEAST = 1e-6  # a component of so small a fraction of the greatest variance is none


class Components(NamedTuple):
    """Whitened principal components."""

    mean: Float[np.ndarray, "x"]
    matrix: Float[np.ndarray, "x d"]


class Features(NamedTuple):
    """What turns frames into features."""

    pixels: Components
    detail: Components

    def __call__(self, frames: UInt8[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n d"]:
        """The features of frames, over grey where they have an alpha."""
        frames = on_grey(frames)
        parts = ((flat_pixels(frames), self.pixels), (_detail(frames), self.detail))
        return np.concatenate([(x - c.mean) @ c.matrix for x, c in parts], axis=1)


def of_validation(wardrobe: Wardrobe, draw: Draw, seed: int = 0) -> Features:
    """Those of 1024 characters of the validation split, each in a random cell, by the seed."""
    cells = np.random.default_rng(seed).integers(NUM_CELLS, size=(_FRAMES, 1), dtype=np.int32)
    frames = [
        on_grey(draw(draw_character(wardrobe, seed, "validation", number), cell))
        for number, cell in enumerate(cells)
    ]
    return fit(np.concatenate(frames))


def fit(frames: UInt8[np.ndarray, "n h w 3"]) -> Features:
    """The features whose variance over these frames is 1, as far as they vary at all."""
    return Features(
        _components(flat_pixels(frames), _OF_PIXELS), _components(_detail(frames), _OF_DETAIL)
    )


def _components(x: Float[np.ndarray, "n x"], count: int) -> Components:
    """The first principal components, from the n x n products where n is less than x."""
    mean = x.mean(0)
    centred = x - mean
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    first = np.arange(len(x))[::-1][:count]
    first = first[values[first] > _LEAST * values[-1]]
    # centred' v has length root(value), and variance value / n along it.
    whitened = vectors[:, first] / values[first] * np.sqrt(len(x))
    return Components(mean, (centred.T @ whitened).astype(np.float32))


def _detail(frames: UInt8[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n x"]:
    size = np.abs(metrics.laplacian(frames.astype(np.float32) / 255))
    tiles = einops.reduce(size, "n (h y) (w x) c -> n (h w)", "mean", y=_TILE, x=_TILE)
    return np.asarray(tiles)
