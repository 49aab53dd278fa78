"""A prepared folder of videos: opened, checked, read into memory."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from etils import epath
from jaxtyping import Float16, Float32, Int32, UInt8

from vdd import files
from vdd.data.records import DataSource, check_whole, damaged
from vdd.data.video_folder.splits import SPLITS
from vdd.errors import UserError

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

NAME = "video_folder"
_LABELS = ("clip", "identity")


class VideoWindows(NamedTuple):
    """Windows of one split in memory, n of them; `video` or `latents` may be lacking."""

    video: UInt8[np.ndarray, "n t h w 3"] | None
    latents: Float16[np.ndarray, "n t height width c"] | None
    clip: Int32[np.ndarray, "n"]
    identity: Int32[np.ndarray, "n"]
    start: Float32[np.ndarray, "n"]  # seconds from the video's first frame
    end: Float32[np.ndarray, "n"]  # the same, of what comes after the last frame
    fps: float  # of the windows


def load_windows(
    data_dir: epath.PathLike, split: str, limit: int | None = None, with_latents: bool = True
) -> VideoWindows:
    """Reads the windows of a split, as they were written.

    Args:
      data_dir: what `vdd.data.prepare` wrote.
      split: "train", "validation" or "test".
      limit: so many windows, spread over the split, as neighbours are of one clip; None is all.
      with_latents: read the latents too, where they were written.

    Raises:
      UserError: nothing was prepared there, it is damaged, there is no such split, or the data set
        is in TFRecord files and TensorFlow is not installed.
    """
    builder = load_builder(data_dir, "video", split)
    rows = read(builder, split, ("video", *_LABELS, "start", "end"), limit)
    latents = None
    if with_latents and directory(data_dir, "latents").exists():
        encoded = load_builder(data_dir, "latents", split)
        latents = read(encoded, split, ("latents",), limit)["latents"]
    metadata: Any = builder.info.metadata
    return VideoWindows(
        video=rows["video"],
        latents=latents,
        clip=rows["clip"],
        identity=rows["identity"],
        start=rows["start"],
        end=rows["end"],
        fps=float(metadata["fps"]),
    )


def directory(data_dir: epath.PathLike, kind: str) -> epath.Path:
    """Where the windows lie, as "video" or as "latents"."""
    return files.expand(data_dir) / NAME / kind / "1.0.0"


def has_split(data_dir: epath.PathLike, split: str) -> bool:
    """Whether what `vdd.data.prepare` wrote has windows of a split."""
    path = directory(data_dir, "video")
    splits = _open(path).info.splits if path.exists() else {}
    return split in splits and splits[split].num_examples > 0


def stored_frames(data_dir: epath.PathLike | None, split: str) -> int:
    """Frames of each window of a split.

    Raises:
      UserError: as `load_builder`.
    """
    features: Any = load_builder(data_dir, "video", split).info.features
    return features["video"].shape[0]


def load_builder(
    data_dir: epath.PathLike | None, kind: str, split: str, file_format: str | None = None
) -> "tfds.core.DatasetBuilder":
    """A prepared data set, its files in place.

    Args:
      data_dir: what `vdd.data.prepare` wrote.
      kind: "video" or "latents".
      split: one that it must hold.
      file_format: "tfrecord" or "array_record", where only one will do.

    Raises:
      UserError: it is not there, is damaged, or does not hold the split or the format.
    """
    if data_dir is None:
        raise UserError("--config.data.data_dir=DIR is needed: what vdd.data.prepare wrote")
    path = directory(data_dir, kind)
    if not path.exists():
        option = " --latents" if kind == "latents" else ""
        raise UserError(
            f"no {kind} of a video folder in {data_dir}: python -m vdd.data.prepare "
            f"--source=VIDEOS --out={data_dir}{option} writes them."
        )
    builder = _open(path)
    check_whole(builder)
    if split not in builder.info.splits:
        known = ", ".join(name for name in SPLITS if name in builder.info.splits)
        raise UserError(f"the data set in {path} has no split {split!r}: take one of {known}.")
    found = _format(builder)
    if file_format not in (None, found):
        source = "tfdata" if found == "tfrecord" else "grain"
        raise UserError(
            f"the data set in {path} is in {found} files: take --config.data.source={source} or "
            f"in_memory, or prepare it with --format={file_format}."
        )
    return builder


def read(
    builder: "tfds.core.DatasetBuilder",
    split: str,
    fields: Sequence[str],
    limit: int | None = None,
) -> dict[str, np.ndarray]:
    """Some features of a split in memory, [n ...] each."""
    features: Any = builder.info.features
    total = builder.info.splits[split].num_examples
    count = total if limit is None else min(limit, total)
    chosen = np.linspace(0, total, count, endpoint=False).astype(int).tolist()
    arrays = {
        name: np.empty((count, *features[name].shape), features[name].np_dtype) for name in fields
    }
    rows = _array_records if _format(builder) == "array_record" else _tfrecords
    for row, example in enumerate(rows(builder, split, fields, chosen)):
        for name in fields:
            arrays[name][row] = example[name]
    return arrays


def _array_records(
    builder: "tfds.core.DatasetBuilder", split: str, fields: Sequence[str], chosen: Sequence[int]
) -> Iterator[Mapping[str, Any]]:
    source = DataSource(builder, split, fields)
    return (source[index] for index in chosen)


def _tfrecords(
    builder: "tfds.core.DatasetBuilder", split: str, fields: Sequence[str], chosen: Sequence[int]
) -> Iterator[Mapping[str, Any]]:
    try:
        import tensorflow as tf
        import tensorflow_datasets as tfds
    except ModuleNotFoundError as error:
        raise UserError(
            f"the data set in {builder.data_path} is in tfrecord files, which need {error.name}: "
            "install it or prepare the data set with --format=array_record."
        ) from error
    tf.config.set_visible_devices([], "GPU")  # leave the accelerator's memory to JAX
    in_order = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    try:
        dataset: Any = builder.as_dataset
        examples = dataset(split=split, read_config=in_order).as_numpy_iterator()
        yield from itertools.compress(examples, np.isin(range(max(chosen) + 1), chosen))
    except (tf.errors.DataLossError, tf.errors.NotFoundError, tf.errors.InvalidArgumentError) as e:
        raise damaged(builder.data_path) from e


def _open(path: epath.Path) -> "tfds.core.DatasetBuilder":
    import tensorflow_datasets as tfds
    from google.protobuf import json_format

    try:
        builder = tfds.builder_from_directory(path)
        metadata: Any = builder.info.metadata
        if metadata is None or "fps" not in metadata:
            raise damaged(path)
    except (OSError, ValueError, KeyError, json_format.Error) as error:
        raise damaged(path) from error
    return builder


def _format(builder: "tfds.core.DatasetBuilder") -> str:
    file_format: Any = builder.info.file_format
    return str(file_format.value)
