"""Universal LPC as record files: prepared on first use, checked on every use."""

from typing import TYPE_CHECKING, Any

from vdd.config import Config
from vdd.data.records import check_whole, damaged, root_of
from vdd.data.universal_lpc.art import load_art
from vdd.data.universal_lpc.clips import COUNTS, Settings
from vdd.errors import UserError

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

NAME = "universal_lpc"


def num_clips(config: Config, split: str) -> int:
    """Clips of a split where it is not drawn without end: of train as many as the config says.

    Raises:
      UserError: less than one.
    """
    if split in COUNTS:
        return COUNTS[split]
    if config.num_clips < 1:
        raise UserError(f"--config.data.num_clips={config.num_clips}: take one or more.")
    return config.num_clips


def load_builder(config: Config, file_format: str) -> "tfds.core.DatasetBuilder":
    """The builder of the clips that `config.data` describes, its files in place.

    Args:
      config: `config.data`.
      file_format: "tfrecord" (streamed by tf.data) or "array_record" (random access).

    Raises:
      UserError: no folder of sheets, a wrong value in the config, no room on the disk, or prepared
        files that are damaged or were made from other sheets.
    """
    from google.protobuf import json_format

    from vdd.data.universal_lpc.universal_lpc_dataset_builder import FINGERPRINT, Builder

    art, root = load_art(config.art_dir), root_of(config.data_dir, file_format)
    settings, clips = Settings.from_config(config, "train"), num_clips(config, "train")
    try:
        builder = Builder(art=art, settings=settings, num_clips=clips, data_dir=root)
        builder.download_and_prepare(file_format=file_format)
    except OSError as error:  # no room, no rights
        reason = " ".join(str(error).split())
        raise UserError(
            f"cannot prepare {NAME} in {root} ({reason}): give another --config.data.data_dir."
        ) from error
    except (ValueError, json_format.Error) as error:
        raise damaged(root / NAME) from error
    check_whole(builder)
    metadata: Any = builder.info.metadata
    if metadata[FINGERPRINT] != art.fingerprint:
        raise UserError(
            f"the data set in {builder.data_path} was prepared from other sheets: give another "
            "--config.data.data_dir or delete that directory."
        )
    return builder
