"""Sprites as record files: prepared on first use, checked on every use."""

import urllib.request
from typing import TYPE_CHECKING, Any

from etils import epath

from vdd.config import Config
from vdd.data import sprites
from vdd.data.records import DataSource, check_whole, damaged, root_of
from vdd.data.sprites import lpc
from vdd.errors import UserError

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

__all__ = [
    "DataSource",
    "damaged",
    "load_builder",
    "load_split",
    "permutation_seed",
    "sheets_dir",
]

_FORMATS = {"tfdata": "tfrecord", "grain": "array_record"}
_WITHOUT_NETWORK = {
    "builtin": "",
    "vivid": "",
    "lpc": ", or where there is no network the folder of sheets (a clone of "
    "github.com/YingzhenLi/Sprites) by --config.data.art_dir=DIR or VDD_SPRITES_ART=DIR",
}


def load_builder(
    art: str,
    file_format: str,
    art_dir: epath.PathLike | None = None,
    data_dir: epath.PathLike | None = None,
) -> "tfds.core.DatasetBuilder":
    """The builder of `sprites/<art>`, its files in place.

    Args:
      art: "lpc", "builtin" or "vivid".
      file_format: "tfrecord" (streamed by tf.data) or "array_record" (random access).
      art_dir: folder of LPC sheets; None takes VDD_SPRITES_ART, and without that a data set that
        is already prepared or the sheets' public repository.
      data_dir: where data sets are kept; None is TFDS's default, ~/tensorflow_datasets.

    Raises:
      UserError: unknown art, sheets that cannot be read or downloaded, no room on the disk, or a
        prepared data set that is damaged or was made from other sheets.
    """
    from vdd.data.sprites.sprites_dataset_builder import Builder

    if art not in Builder.builder_configs:
        raise UserError(f"sprites has no art {art!r}: take lpc, builtin or vivid.")
    root = root_of(data_dir, file_format)
    directory = _directory(art, root)
    if not directory.exists():
        _prepare(art, file_format, art_dir, root)
    builder = _open(art, art_dir, root, directory)
    folder = sprites.find_art_dir(art_dir)
    if art == "lpc" and folder is not None:
        _check_sheets(builder, folder)
    return builder


def load_split(
    config: Config, split: str, art_dir: epath.PathLike | None = None, keep: bool = True
) -> sprites.SpritesArrays:
    """A split in memory as `config.data` has it: its art, its sheets, its permutation.

    Args:
      config: `config.data`.
      split: as for `sprites.load_arrays`.
      art_dir: folder of LPC sheets; None takes `sheets_dir`.
      keep: whether they stay in memory for who asks next.

    Raises:
      UserError: as `sprites.load_arrays`.
    """
    folder = art_dir or sheets_dir(config)
    return sprites.load_arrays(config.art, split, folder, permutation_seed(config), keep)


def permutation_seed(config: Config) -> int:
    """That of `config.data`; a config without one means the published permutation."""
    if "permutation_seed" in config:
        return config.permutation_seed
    return sprites.PERMUTATION_SEED


def sheets_dir(config: Config) -> epath.Path | None:
    """The folder of LPC sheets that belongs to `config.data`, None where there is none.

    It is `art_dir`, else VDD_SPRITES_ART, else where a download for this data set has left them.
    """
    folder = sprites.find_art_dir(config.art_dir)
    if folder is not None or config.art != "lpc" or config.source == "in_memory":
        return folder
    from vdd.data.sprites.sprites_dataset_builder import SHEETS

    kept = _directory(config.art, root_of(config.data_dir, _FORMATS[config.source])) / SHEETS
    return kept if kept.exists() else None


def _directory(art: str, root: epath.Path) -> epath.Path:
    from vdd.data.sprites.sprites_dataset_builder import Builder

    return root / Builder.name / art / str(Builder.VERSION)


def _prepare(art: str, file_format: str, art_dir: epath.PathLike | None, root: epath.Path) -> None:
    from tensorflow_datasets.core.download import DownloadError
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    from vdd.data.sprites.sprites_dataset_builder import SHEETS_URL, Builder

    builder = None
    try:
        if art == "lpc" and sprites.find_art_dir(art_dir) is None:
            # The download itself would try for minutes to find a network.
            probe = urllib.request.Request(f"{SHEETS_URL}/{lpc.SHEETS[0]}", method="HEAD")
            urllib.request.urlopen(probe, timeout=10).close()
        builder = Builder(config=art, data_dir=root, art_dir=art_dir)
        builder.download_and_prepare(file_format=file_format)
    except (
        OSError,  # no room, no rights, no network
        DownloadError,
        NonMatchingChecksumError,
    ) as error:
        if builder is not None and builder.data_path.exists():
            return  # another process was faster
        reason = " ".join(str(error).split())
        raise UserError(
            f"cannot prepare the sprites/{art} data set in {root} ({reason}): give another "
            f"--config.data.data_dir{_WITHOUT_NETWORK[art]}."
        ) from error


def _open(
    art: str, art_dir: epath.PathLike | None, root: epath.Path, directory: epath.Path
) -> "tfds.core.DatasetBuilder":
    from google.protobuf import json_format

    from vdd.data.sprites.sprites_dataset_builder import Builder

    try:
        builder = Builder(config=art, data_dir=root, art_dir=art_dir)
    except (OSError, ValueError, json_format.Error) as error:
        raise damaged(directory) from error
    check_whole(builder)
    return builder


def _check_sheets(builder: "tfds.core.DatasetBuilder", folder: epath.Path) -> None:
    """A data set made from some sheets must not pass for one made from others."""
    from vdd.data.sprites.sprites_dataset_builder import FINGERPRINT

    try:
        metadata: Any = builder.info.metadata  # read from its file on first access
        recorded = metadata[FINGERPRINT]
    except (KeyError, OSError, ValueError) as error:
        raise damaged(builder.data_path) from error
    if recorded != lpc.fingerprint(lpc.sheet_paths(folder)):
        raise UserError(
            f"the data set in {builder.data_path} was prepared from other sheets than those of "
            f"{folder}: give another --config.data.data_dir or delete that directory."
        )
