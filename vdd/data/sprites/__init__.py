"""The Sprites benchmark: 1296 characters x 9 motions, 8 frames of 64x64, in three drawing styles.

`load_arrays` renders a split into memory in seconds and needs no TensorFlow. Characters, motions,
labels and split are the same in all; "lpc" gives the benchmark's own bytes, "builtin" and "vivid"
are drawn by this package and need no download.
"""

import functools
import os

from etils import epath

from vdd.data.sprites import lpc
from vdd.data.sprites.benchmark import (
    ATTRIBUTES,
    MOTIONS,
    NUM_FRAMES,
    NUM_VARIANTS,
    PERMUTATION_SEED,
    SIZE,
    SPLITS,
    SpritesArrays,
    split_labels,
)
from vdd.data.sprites.renderer import Art, render
from vdd.errors import UserError

__all__ = [
    "ARTS",
    "ART_DIR_VARIABLE",
    "ATTRIBUTES",
    "MOTIONS",
    "NUM_FRAMES",
    "NUM_VARIANTS",
    "PERMUTATION_SEED",
    "SIZE",
    "SPLITS",
    "SpritesArrays",
    "find_art_dir",
    "load_arrays",
    "load_art",
]

ART_DIR_VARIABLE = "VDD_SPRITES_ART"
ARTS = ("lpc", "builtin", "vivid")


def load_arrays(
    art: str = "lpc",
    split: str = "train",
    art_dir: epath.PathLike | None = None,
    permutation_seed: int = PERMUTATION_SEED,
    keep: bool = True,
) -> SpritesArrays:
    """Renders one split: clips ordered by motion label, then by place in the split's permutation.

    A process keeps the last two unless told not to, since judge and probes look at the same clips;
    the arrays are read-only.

    Args:
      art: "lpc" (the benchmark's sheets, read from a folder), "builtin" or "vivid" (drawn by this
        package; in "vivid" hair stands out).
      split: "train" (9000 clips) or "test" (2664 clips of characters that train never shows), as
        published; "fit" (8100 clips) or "validation" (900), the two parts of "train".
      art_dir: folder of LPC sheets; None takes the environment variable VDD_SPRITES_ART.
      permutation_seed: other characters in each split, as `benchmark.split_characters` says.
      keep: whether they stay in memory for who asks next.

    Raises:
      UserError: unknown art or split, a seed that is none, no folder of sheets, or a sheet that is
        missing or broken.
    """
    folder = find_art_dir(art_dir) if art == "lpc" else None
    render_split = _rendered if keep else _rendered.__wrapped__
    return render_split(art, split, folder and str(folder), permutation_seed)


@functools.lru_cache(maxsize=2)
def _rendered(art: str, split: str, folder: str | None, permutation_seed: int) -> SpritesArrays:
    motion, attributes = split_labels(split, permutation_seed)
    arrays = SpritesArrays(render(load_art(art, folder), attributes, motion), motion, attributes)
    for array in arrays:
        array.flags.writeable = False
    return arrays


def load_art(art: str, art_dir: epath.PathLike | None = None) -> Art:
    """The drawing style `art`, ready for `renderer.render`; arguments, errors as `load_arrays`."""
    if art == "lpc":
        folder = find_art_dir(art_dir)
        if folder is None:
            raise UserError(
                "the LPC art needs its folder of sheets: give --config.data.art_dir=DIR or set "
                f"{ART_DIR_VARIABLE}=DIR (or, where there is a network, take "
                "--config.data.source=tfdata, which downloads them)."
            )
        return lpc.load_art(lpc.sheet_paths(folder))
    # Here, since that module takes this package's constants.
    from vdd.data.sprites import builtin

    if art in builtin.STYLES:
        return Art(builtin.ORDER, functools.partial(builtin.part_frames, style=art))
    raise UserError(f"sprites has no art {art!r}: take lpc, builtin or vivid.")


def find_art_dir(art_dir: epath.PathLike | None = None) -> epath.Path | None:
    """The folder of LPC sheets: the argument, else the environment variable VDD_SPRITES_ART."""
    folder = art_dir or os.environ.get(ART_DIR_VARIABLE)
    return epath.Path(folder) if folder else None
