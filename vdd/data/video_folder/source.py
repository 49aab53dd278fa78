"""A folder of videos for `vdd.data.pipeline`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from vdd import errors
from vdd.config import Config
from vdd.data import augment
from vdd.data.datasets import choose
from vdd.data.records import DataSource
from vdd.data.video_folder import load_windows, prepared
from vdd.data.video_folder.splits import SPLITS
from vdd.errors import UserError

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

__all__ = [
    "EVALUATION",
    "FILMED",
    "SPLITS",
    "arrays",
    "check",
    "clips",
    "edit_in_training",
    "fields",
    "files",
    "frames",
    "overlap",
    "records",
    "watched_split",
]

EVALUATION = "vdd.evaluation.videos.run"
FILMED = True  # what is seen in a video cannot be told: it may be people

_AUGMENTATIONS: Mapping[str, augment.Augment | None] = {
    "none": None,
    "flip": augment.flip,
    "view": augment.view,
}


def check(config: Config, size: tuple[int, int, int] | None) -> None:
    """Raise a UserError for values that there are not; what is prepared is not looked at."""
    del size
    with errors.group("data"):
        errors.at_least(1, config, "frames")
        errors.switches(config, "latents")
    edit_in_training(config)


def fields(config: Config) -> Sequence[str]:
    """Clips, and whose they are."""
    return (_kind(config), "clip", "identity")


def frames(config: Config) -> int:
    """Frames that are taken of each window."""
    return config.frames


def arrays(config: Config, split: str) -> Mapping[str, np.ndarray]:
    """All windows of a split in memory, whole."""
    return prepared.read(_builder(config, split), split, fields(config))


def clips(config: Config, split: str) -> UInt8[np.ndarray, "n t h w c"]:
    """The windows of a split in memory, whole, as pixels.

    Raises:
        UserError: there is no data set, or it is not there.
    """
    if config.data_dir is None:
        raise UserError("data.data_dir: name the folder of a data set")
    video = load_windows(config.data_dir, split, with_latents=False).video
    assert video is not None
    return video


def records(config: Config, split: str) -> DataSource:
    """Random access to the windows of a split."""
    return DataSource(_builder(config, split, "array_record"), split, fields(config))


def files(config: Config, split: str) -> tuple["tfds.core.DatasetBuilder", str]:
    """The builder of the TFRecord files."""
    return _builder(config, split, "tfrecord"), split


def watched_split(config: Config, otherwise: str) -> str:
    """The validation split, where there is one."""
    return "validation" if prepared.has_split(config.data_dir, "validation") else otherwise


def overlap(split: str, other: str) -> bool:
    """Whether they are the same: a clip is in one split alone."""
    return split == other


def edit_in_training(config: Config) -> augment.Augment | None:
    """`config.frames` frames from a random place in a window, changed as `config.augment` says."""
    change = choose("augment", config.augment, _AUGMENTATIONS)
    if change is not None and config.latents:
        raise UserError(
            f"--config.data.augment={config.augment} works on pixels: with --config.data.latents "
            "take --config.data.augment=none."
        )

    def edit(clip: np.ndarray, rng_seed: Sequence[int]) -> np.ndarray:
        part = augment.excerpt(clip, rng_seed, config.frames)
        return part if change is None else change(part, rng_seed)

    return edit


def _kind(config: Config) -> str:
    return "latents" if config.latents else "video"


def _builder(
    config: Config, split: str, file_format: str | None = None
) -> "tfds.core.DatasetBuilder":
    builder = prepared.load_builder(config.data_dir, _kind(config), split, file_format)
    features: Any = builder.info.features
    stored = features[_kind(config)].shape[0]
    if not 1 <= config.frames <= stored:
        raise UserError(
            f"--config.data.frames={config.frames}: the windows in {config.data_dir} have {stored} "
            "frames."
        )
    return builder
