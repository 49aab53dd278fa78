"""Universal LPC for `vdd.data.pipeline`."""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from vdd.config import Config
from vdd.data import augment
from vdd.data.datasets import Draw, Played, PlayedMotions, check_channels, choose
from vdd.data.records import DataSource
from vdd.data.universal_lpc.art import load_art
from vdd.data.universal_lpc.characters import SPLITS, draw_character
from vdd.data.universal_lpc.clips import FIELDS, GREY, SEED, Settings, draw_clip, draw_clips, play
from vdd.data.universal_lpc.prepared import load_builder, num_clips
from vdd.data.universal_lpc.sheets import FPS, MOTIONS, Motion

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

__all__ = [
    "EVALUATION",
    "SPLITS",
    "arrays",
    "check",
    "clip",
    "clips",
    "count",
    "draw",
    "edit_in_training",
    "fields",
    "files",
    "frames",
    "ground",
    "licence",
    "overlap",
    "played",
    "records",
    "watched_split",
]

EVALUATION = "vdd.evaluation.universal_lpc.run"


def check(config: Config, size: tuple[int, int, int] | None) -> None:
    """Raise a UserError for values that there are not, or clips of other channels."""
    edit_in_training(config)
    check_channels(Settings.from_config(config, "train").channels, size)


def fields(config: Config) -> Sequence[str]:
    """Clips, the cell of every frame, and the parts that are worn."""
    return FIELDS


def frames(config: Config) -> int:
    """Frames of every clip."""
    return config.frames


def ground(config: Config) -> tuple[int, int, int]:
    """Grey, on which all splits but train stand."""
    return GREY[:3]


def licence(config: Config) -> str:
    """That of the art, of two the one that all of it may be passed on under."""
    return "cc-by-sa-3.0"


def played(config: Config, characters: int) -> PlayedMotions:
    """The 21 motions, by the first characters of the validation split; walking is repeated."""
    art, settings = load_art(config.art_dir), Settings.from_config(config, "validation")
    cast = [draw_character(art.wardrobe, SEED, "validation", n) for n in range(characters)]
    ground = GREY if settings.channels == 3 else None

    def show(motion: Motion) -> Played:
        cells = np.arange(motion.first, motion.first + motion.frames, dtype=np.int32)
        video = np.stack([play(art, parts, cells, ground) for parts in cast])
        return Played(motion.name, FPS, motion.loop_from, video)

    return PlayedMotions("lpc", map(show, MOTIONS))


def draw(config: Config, split: str) -> Draw | None:
    """Clips of train without end; the other splits have a fixed number of them."""
    if split != "train":
        return None
    load_art(config.art_dir)  # what is wrong with it is told here
    settings = Settings.from_config(config, split)
    return functools.partial(_draw, config.art_dir, settings, split)


def _draw(
    art_dir: str | None, settings: Settings, split: str, seed: int, number: int
) -> Mapping[str, np.ndarray]:
    return draw_clip(load_art(art_dir), settings, seed, split, number)._asdict()


def arrays(config: Config, split: str) -> Mapping[str, np.ndarray]:
    """The clips of a split and their labels, in memory; of train `num_clips`."""
    settings = Settings.from_config(config, split)
    art = load_art(config.art_dir)
    return draw_clips(art, settings, split, num_clips(config, split))._asdict()


def clips(config: Config, split: str) -> UInt8[np.ndarray, "n t h w c"]:
    """The video of `arrays`."""
    return arrays(config, split)["video"]


def count(config: Config, split: str) -> int:
    """Clips of a split, of train as many as the config says."""
    load_art(config.art_dir)  # what is wrong with it is told here
    return num_clips(config, split)


def clip(config: Config, split: str, row: int) -> UInt8[np.ndarray, "t h w c"]:
    """One clip of `clips`."""
    settings = Settings.from_config(config, split)
    return draw_clip(load_art(config.art_dir), settings, SEED, split, row).video


def records(config: Config, split: str) -> DataSource:
    """Random access to the clips of a split; they are prepared at the first use."""
    return DataSource(load_builder(config, "array_record"), split)


def files(config: Config, split: str) -> tuple["tfds.core.DatasetBuilder", str]:
    """The builder of the TFRecord files; they are prepared at the first use."""
    return load_builder(config, "tfrecord"), split


def watched_split(config: Config, otherwise: str) -> str:
    """The validation split."""
    return "validation"


def overlap(split: str, other: str) -> bool:
    """Whether they are the same: a character is in one split alone."""
    return split == other


def edit_in_training(config: Config) -> augment.Augment | None:
    """Nothing: to the left and to the right are two motions."""
    return choose("augment", config.augment, {"none": None})
