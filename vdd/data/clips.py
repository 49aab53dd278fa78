"""All clips of a run's data set at once, for what is learned from the clips of a finished run."""

from typing import Any

import numpy as np
from etils import epath
from jaxtyping import UInt8

from vdd.data import video_folder
from vdd.data.sprites import prepared
from vdd.errors import UserError


def load_clips(
    config: Any, split: str, art_dir: epath.PathLike | None = None
) -> UInt8[np.ndarray, "n t h w c"]:
    """The clips of a split, in memory, in the order of the data set.

    Args:
      config: `config.data` of the run.
      split: "train", "validation", "test"; of Sprites also "fit".
      art_dir: folder of LPC sheets; None takes the config's, else the environment's, else those
        that were downloaded with the data set.

    Raises:
      UserError: the data set is not one of these, or cannot be found.
    """
    if config.dataset == "sprites":
        return prepared.load_split(config, split, art_dir).video
    if config.dataset == "video_folder":
        video = video_folder.load_windows(config.data_dir, split, with_latents=False).video
        assert video is not None
        return video
    raise UserError(f"clips of the data set {config.dataset!r} cannot be read whole")
