"""Sprites for `vdd.data.pipeline`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from vdd.config import Config
from vdd.data import augment, sprites
from vdd.data.datasets import check_channels, choose
from vdd.data.records import DataSource
from vdd.data.sprites.benchmark import overlap
from vdd.data.sprites.prepared import load_builder, load_split, permutation_seed
from vdd.errors import UserError

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

__all__ = [
    "EVALUATION",
    "SPLITS",
    "arrays",
    "check",
    "clips",
    "edit_in_training",
    "fields",
    "files",
    "frames",
    "licence",
    "overlap",
    "records",
    "watched_split",
]

SPLITS = tuple(sprites.SPLITS)
EVALUATION = "vdd.evaluation.sprites.run"

# Nothing that mirrors a clip: to the left and to the right are two motions.
_AUGMENTATIONS: dict[str, augment.Augment | None] = {"none": None}


def check(config: Config, size: tuple[int, int, int] | None) -> None:
    """Raise a UserError for values that there are not, or clips of other channels."""
    edit_in_training(config)
    choose("art", config.art, dict.fromkeys(sprites.ARTS))
    check_channels(3, size)


def fields(config: Config) -> Sequence[str]:
    """Clips, and both labels."""
    return ("video", "motion", "attributes")


def frames(config: Config) -> int:
    """Frames of every clip."""
    return sprites.NUM_FRAMES


def licence(config: Config) -> str:
    """That of the art: the package's own, or the Liberated Pixel Cup's."""
    return "cc-by-sa-3.0" if config.art == "lpc" else "apache-2.0"


def arrays(config: Config, split: str) -> Mapping[str, np.ndarray]:
    """All clips of a split and their labels, in memory."""
    return load_split(config, split, keep=False)._asdict()


def clips(config: Config, split: str) -> UInt8[np.ndarray, "n t h w c"]:
    """The video of `arrays`."""
    return load_split(config, split).video


def records(config: Config, split: str) -> DataSource:
    """Random access to the clips of a split; they are prepared at the first use."""
    return DataSource(_builder(config, "array_record"), _stored(split))


def files(config: Config, split: str) -> tuple["tfds.core.DatasetBuilder", str]:
    """The builder of the TFRecord files; they are prepared at the first use."""
    return _builder(config, "tfrecord"), _stored(split)


def watched_split(config: Config, otherwise: str) -> str:
    """The validation split."""
    return "validation"


def edit_in_training(config: Config) -> augment.Augment | None:
    """What is done to each clip in training."""
    return choose("augment", config.augment, _AUGMENTATIONS)


def _builder(config: Config, file_format: str) -> "tfds.core.DatasetBuilder":
    if permutation_seed(config) != sprites.PERMUTATION_SEED:
        raise UserError(
            f"--config.data.permutation_seed={config.permutation_seed} needs "
            "--config.data.source=in_memory: record files hold the published permutation."
        )
    return load_builder(config.art, file_format, config.art_dir, config.data_dir)


def _stored(split: str) -> str:
    """A split in record files, which hold each clip once."""
    return "fit+validation" if split == "train" else split
