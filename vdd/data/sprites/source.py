"""Sprites for `vdd.data.pipeline`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vdd.data import augment, sprites
from vdd.data.datasets import choose
from vdd.data.records import DataSource
from vdd.data.sprites.prepared import load_builder

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

SPLITS = tuple(sprites.SPLITS)

# Nothing that mirrors a clip: to the left and to the right are two motions.
_AUGMENTATIONS: dict[str, augment.Augment | None] = {"none": None}


def fields(config: Any) -> Sequence[str]:
    """Clips, and both labels."""
    return ("video", "motion", "attributes")


def frames(config: Any) -> int:
    """Frames of every clip."""
    return sprites.NUM_FRAMES


def arrays(config: Any, split: str) -> Mapping[str, np.ndarray]:
    """All clips of a split and their labels, in memory."""
    return sprites.load_arrays(config.art, split, config.art_dir)._asdict()


def records(config: Any, split: str) -> DataSource:
    """Random access to the clips of a split; they are prepared at the first use."""
    builder = load_builder(config.art, "array_record", config.art_dir, config.data_dir)
    return DataSource(builder, split)


def files(config: Any, split: str) -> "tfds.core.DatasetBuilder":
    """The builder of the TFRecord files; they are prepared at the first use."""
    return load_builder(config.art, "tfrecord", config.art_dir, config.data_dir)


def edit_in_training(config: Any) -> augment.Augment | None:
    """What is done to each clip in training."""
    return choose("augment", config.augment, _AUGMENTATIONS)
