"""What can be read, one module each: what `vdd.data.pipeline` needs to know of a data set.

A config names it as `config.data.dataset`. To add one, write a module with what `Dataset` lists and
name it in `DATASETS`.
"""

import importlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar, cast

import numpy as np
from etils import epath
from jaxtyping import UInt8

from vdd.config import Config, replaced
from vdd.data.augment import Augment
from vdd.data.picture_files import BLACK, Ground
from vdd.data.records import DataSource
from vdd.errors import UserError

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

DATASETS = {
    "sprites": "vdd.data.sprites.source",
    "universal_lpc": "vdd.data.universal_lpc.source",
    "video_folder": "vdd.data.video_folder.source",
}

Draw = Callable[[int, int], Mapping[str, np.ndarray]]
"""From a seed and a number to a clip and its labels, by `fields`; the same at every call."""

_T = TypeVar("_T")


class Played(NamedTuple):
    """A motion that has a name, played by several characters."""

    name: str
    fps: float
    loop_from: int | None  # the first frame of what is repeated; None: it is played once
    video: UInt8[np.ndarray, "b t h w c"]


class PlayedMotions(NamedTuple):
    """The named motions of a data set, one by one."""

    name: str  # of all of them together, in a command
    motions: Iterable[Played]


class Dataset(Protocol):
    """What a data set's module offers; each function takes `config.data`.

    It may also have `draw(config, split)`, as `find_draw` says; `ground(config)`, the colour that
    its clips stand on; `licence(config)`, that of models of it, as the Hugging Face Hub names it;
    `played(config, characters)`, its named motions, each played by so many characters that no
    training has seen; and, where that is quicker than all `clips`, their number `count(config,
    split)`, and one of them, `clip(config, split, row)`. `FILMED` is true where clips are footage,
    of people perhaps, and not drawn.
    """

    SPLITS: Sequence[str]
    EVALUATION: str  # the module of its protocol (vdd.evaluation.run); "" where there is none

    def check(self, config: Config, size: tuple[int, int, int] | None) -> None:
        """Raise a UserError for values that there are not, or clips of other channels.

        Clips are of `size` h w c; None: of any sides, and three channels.
        """
        ...

    def fields(self, config: Config) -> Sequence[str]:
        """What batches hold: `video` or `latents`, and labels."""
        ...

    def frames(self, config: Config) -> int:
        """Frames of a clip in a training batch."""
        ...

    def arrays(self, config: Config, split: str) -> Mapping[str, np.ndarray]:
        """All clips of a split and their labels in memory, by `fields`, [n ...] each."""
        ...

    def clips(self, config: Config, split: str) -> UInt8[np.ndarray, "n t h w c"]:
        """The video of `arrays`, whatever batches hold."""
        ...

    def records(self, config: Config, split: str) -> DataSource:
        """Random access to ArrayRecord files; examples hold `fields`."""
        ...

    def files(self, config: Config, split: str) -> tuple["tfds.core.DatasetBuilder", str]:
        """The builder of TFRecord files, and the split as TFDS names it there.

        Examples have the features `fields` and perhaps others.
        """
        ...

    def watched_split(self, config: Config, otherwise: str) -> str:
        """What a training is watched on; `otherwise` where the data have no validation split."""
        ...

    def overlap(self, split: str, other: str) -> bool:
        """Whether two splits share clips, or who is seen in them."""
        ...

    def edit_in_training(self, config: Config) -> Augment | None:
        """What is done to each clip in training; with a seed of its own."""
        ...


def trained_split(config: Config) -> str:
    """The split that a training with this `config.data` sees: its `split`, "train" without one."""
    return config.split if "split" in config else "train"


def seen_in_training(config: Config, split: str) -> bool:
    """Whether a training with this `config.data` sees clips, or characters, of a split."""
    return find(config.dataset).overlap(trained_split(config), split)


def find(name: str) -> Dataset:
    """The data set of that name.

    Raises:
      UserError: there is none.
    """
    return cast(Dataset, importlib.import_module(choose("dataset", name, DATASETS)))


def find_draw(dataset: Dataset, config: Config, split: str) -> Draw | None:
    """How clips of a split are drawn without end, by the data set's own function `draw`.

    None where it has no such function, or says that the clips of this split are counted.
    """
    draw = getattr(dataset, "draw", None)
    return draw(config, split) if draw else None


def load_clips(
    config: Config, split: str, art_dir: epath.PathLike | None = None
) -> UInt8[np.ndarray, "n t h w c"]:
    """All clips of a run's data set, for what is learned from the clips of a finished run.

    Args:
      config: `config.data` of the run.
      split: one of the data set's.
      art_dir: folder of sheets or of prepared videos, where that is not the config's.

    Raises:
      UserError: they cannot be found.
    """
    if art_dir is not None:
        key = "art_dir" if "art_dir" in config else "data_dir"
        config = replaced(config, **{key: os.fspath(art_dir)})
    return find(config.dataset).clips(config, split)


def count_clips(config: Config, split: str) -> int:
    """How many clips a split has.

    Raises:
      UserError: they cannot be found.
    """
    dataset = find(config.dataset)
    count = getattr(dataset, "count", None)
    return count(config, split) if count else len(dataset.clips(config, split))


def load_clip(config: Config, split: str, row: int) -> UInt8[np.ndarray, "t h w c"]:
    """A clip of a split, by its place.

    Raises:
      UserError: it cannot be found.
    """
    dataset = find(config.dataset)
    clip = getattr(dataset, "clip", None)
    return clip(config, split, row) if clip else dataset.clips(config, split)[row]


def names_motions(config: Config) -> bool:
    """Whether `find_played` finds any."""
    return hasattr(find(config.dataset), "played")


def find_played(config: Config, characters: int) -> PlayedMotions | None:
    """The named motions of the data set, by its own function `played`; None where it has none."""
    played = getattr(find(config.dataset), "played", None)
    return played(config, characters) if played else None


def find_ground(config: Config) -> Ground:
    """What clips of a model of this `config.data` stand on: the data set's own colour, or black."""
    ground = getattr(find(config.dataset), "ground", None)
    return ground(config) if ground else BLACK


def find_licence(config: Config) -> str | None:
    """The licence of a model of this `config.data`; None where the data set does not say."""
    licence = getattr(find(config.dataset), "licence", None)
    return licence(config) if licence else None


def is_filmed(config: Config) -> bool:
    """Whether a model of this `config.data` has learned from footage, not from drawn clips."""
    return getattr(find(config.dataset), "FILMED", False)


def check_channels(channels: int, size: tuple[int, int, int] | None) -> None:
    """Raise a UserError for a model of clips h w c that have other channels; None: of three."""
    if size is None:
        if channels != 3:
            raise UserError(f"--config.data.channels={channels}: this model takes 3.")
    elif size[2] != channels:
        raise UserError(f"clips have {channels} channels, and model.latents.size is {tuple(size)}")


def choose(key: str, name: str, choices: Mapping[str, _T]) -> _T:
    """One of several values, by its name in `config.data`.

    Raises:
      UserError: an unknown name.
    """
    if name not in choices:
        raise UserError(f"--config.data.{key}={name} is unknown: take one of {', '.join(choices)}.")
    return choices[name]
