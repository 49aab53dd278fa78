"""Prepared data sets in record files, of any kind: read at random, and checked for damage."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

from etils import epath

from vdd import files
from vdd.errors import UserError

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

_TFRECORD_FRAME = 16  # bytes beside each record: its length and two checksums


class DataSource:
    """Random access to a split's examples that says what to do when a file is damaged.

    Args:
      builder: of a data set prepared as ArrayRecord files.
      split: name of the split, or several joined by "+".
      fields: what to give of each example; None is all.
    """

    def __init__(
        self,
        builder: "tfds.core.DatasetBuilder",
        split: str,
        fields: Sequence[str] | None = None,
    ):
        open_source: Any = builder.as_data_source
        self._source = open_source(split)
        self._directory = builder.data_path
        self._fields = fields

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: SupportsIndex) -> Mapping[str, Any]:
        try:
            example = self._source[index]
        except (RuntimeError, ValueError) as error:  # what the reader raises for any damage
            raise damaged(self._directory) from error
        return example if self._fields is None else {key: example[key] for key in self._fields}


def damaged(directory: epath.PathLike) -> UserError:
    """The error for a prepared data set that cannot be read."""
    return UserError(
        f"the prepared data set in {directory} is damaged: delete that directory and start again "
        "what prepared it (sprites are prepared by the training itself, a folder of videos by "
        "python -m vdd.data.prepare)."
    )


def check_whole(builder: "tfds.core.DatasetBuilder") -> None:
    """Looks for files that are missing or, where the format allows to tell, of the wrong size.

    Raises:
      UserError: there are some, or no splits at all.
    """
    splits = builder.info.splits
    if not splits or not all(_is_whole(split) for split in splits.values()):
        raise damaged(builder.data_path)


def _is_whole(split: "tfds.core.SplitInfo") -> bool:
    parts = [epath.Path(path) for path in split.filepaths]
    if not all(part.exists() for part in parts):
        return False
    if not parts[0].name.partition(".")[2].startswith("tfrecord"):
        return True
    # Cut between two records a TFRecord file reads without complaint, only shorter.
    size = sum(files.size_of(part) for part in parts)
    return size == split.num_bytes + _TFRECORD_FRAME * split.num_examples


def root_of(data_dir: epath.PathLike | None, file_format: str) -> epath.Path:
    """Where data sets of one format are kept: TFDS holds only one format at a place."""
    from tensorflow_datasets.core import constants

    root = files.expand(data_dir or constants.DATA_DIR)
    return root if file_format == "tfrecord" else root / file_format
