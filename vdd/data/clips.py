"""All clips of a run's data set at once, for what is learned from the clips of a finished run."""

from typing import Any

import numpy as np
from etils import epath
from jaxtyping import UInt8

from vdd.data import sprites
from vdd.data.sprites import prepared
from vdd.errors import UserError


def load_clips(
    config: Any, split: str, art_dir: epath.PathLike | None = None
) -> UInt8[np.ndarray, "n t h w c"]:
    """The clips of a split, in memory, in the order of the data set.

    Args:
      config: `config.data` of the run.
      split: "train" or "test".
      art_dir: folder of LPC sheets; None takes the config's, else the environment's, else those
        that were downloaded with the data set.

    Raises:
      UserError: the data set is not one of these, or cannot be found.
    """
    if config.dataset == "sprites":
        folder = art_dir or prepared.sheets_dir(config)
        return sprites.load_arrays(config.art, split, folder).video
    raise UserError(f"clips of the data set {config.dataset!r} cannot be read whole, only sprites")
