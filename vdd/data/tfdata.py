"""Batches streamed from TFRecord files by tf.data. TensorFlow is imported inside functions only."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from vdd.data import batches
from vdd.data.augment import Augment
from vdd.data.batches import Batch, ClipIterator
from vdd.data.records import damaged
from vdd.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_datasets as tfds

_SHUFFLED_CLIPS, _SHUFFLED_BYTES = 1024, 1 << 30


def tfdata(
    builder: "tfds.core.DatasetBuilder",
    split: str,
    batch_size: int,
    seed: int,
    *,
    fields: Sequence[str] | None = None,
    shuffle_buffer: int | None = None,
    augment: Augment | None = None,
    process_index: int = 0,
    process_count: int = 1,
) -> ClipIterator:
    """Endless shuffled batches; an epoch's last clips that fill no batch are left to the next.

    Every process streams its own part of the files. The order of an epoch follows from the seed and
    the epoch's number alone, so that a resumed run rebuilds it and skips the batches it has seen
    before they are decoded.

    Args:
      builder: a prepared TFDS builder of clips, `video` or `latents`, and whole numbers as labels.
      split: name of the split, or several joined by "+".
      batch_size: rows of the global batch.
      seed: with the step, all that decides what a batch holds.
      fields: which features batches hold; None is all.
      shuffle_buffer: clips among which the next one is drawn; None is 1024, or as many as fit into
        a gigabyte.
      augment: applied to each clip, see `vdd.data.augment`.
      process_index: whose rows of the global batch to give.
      process_count: number of processes that share the global batch.

    Raises:
      UserError: a process's part of the split does not fill one batch.
    """
    import tensorflow_datasets as tfds

    size = batches.local_size(batch_size, process_count)
    part = tfds.even_splits(split, process_count, drop_remainder=True)[process_index]
    files = _files(builder, part)
    if not (steps_per_epoch := builder.info.splits[part].num_examples // size):
        raise _too_few(builder.info.splits[split].num_examples, split, batch_size)
    most = shuffle_buffer or _shuffled_clips(builder)

    def batches_from(start: int) -> Iterator[Batch]:
        first_epoch, first = divmod(start, steps_per_epoch)
        for epoch in itertools.count(first_epoch):
            records = _epoch(files, (seed, epoch), most).batch(size, drop_remainder=True)
            yield from _decoded(builder, fields, records.skip(first))
            first = 0

    return batches.Resumable(batches.augmented(batches_from, augment, seed, process_index))


def _too_few(clips: int, split: str, batch_size: int) -> UserError:
    return UserError(
        f"a batch of {batch_size} is more than the {clips} "
        f"clips of {split}: give a smaller batch or --config.data.source=in_memory."
    )


def _epoch(
    files: list[tuple[str, int, int]], seed: tuple[int, int], shuffled: int
) -> "tf.data.Dataset":
    """Serialized examples of all files, each once, in an order that follows from the seed alone."""
    rng = np.random.default_rng(seed)
    order = [files[index] for index in rng.permutation(len(files))]
    return _records(order, cycle_length=16).shuffle(
        shuffled, seed=int(rng.integers(2**62)), reshuffle_each_iteration=False
    )


def _shuffled_clips(builder: "tfds.core.DatasetBuilder") -> int:
    """How many clips are shuffled at once: windows of videos are megabytes each."""
    features = _features(builder, None)
    clip = features[batches.clips_key(features)]
    size = math.prod(clip.shape) * np.dtype(clip.np_dtype).itemsize
    return max(1, min(_SHUFFLED_CLIPS, _SHUFFLED_BYTES // size))


def _as_written(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keeps TensorFlow from rewriting a function that has no Python control flow."""
    import tensorflow as tf

    return tf.autograph.experimental.do_not_convert(function)


def _files(builder: "tfds.core.DatasetBuilder", part: Any) -> list[tuple[str, int, int]]:
    """Where a part of a split lies: (file, records to skip, records to take)."""
    instructions = builder.info.splits[part].file_instructions
    return [(str(file.filename), file.skip, file.take) for file in instructions]


def _records(files: list[tuple[str, int, int]], cycle_length: int) -> "tf.data.Dataset":
    """Serialized examples of several files, `cycle_length` of them read in turn."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")  # leave the accelerator's memory to JAX
    names, skips, takes = zip(*files)
    parts: Any = tf.data.Dataset.from_tensor_slices(
        (list(names), np.array(skips, np.int64), np.array(takes, np.int64))
    )
    return parts.interleave(
        _as_written(lambda name, skip, take: tf.data.TFRecordDataset(name).skip(skip).take(take)),
        cycle_length=cycle_length,
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def _features(
    builder: "tfds.core.DatasetBuilder", fields: Sequence[str] | None
) -> Mapping[str, Any]:
    features: Any = builder.info.features
    return {key: features[key] for key in fields or features}


def _decoded(
    builder: "tfds.core.DatasetBuilder", fields: Sequence[str] | None, records: "tf.data.Dataset"
) -> Iterator[Batch]:
    """Decodes batches of serialized examples.

    A whole batch is parsed at once, at half the cost of TFDS's own decoding of single examples.

    Raises:
      UserError: a file of the data set is missing or damaged.
    """
    import tensorflow as tf

    features = _features(builder, fields)
    key = batches.clips_key(features)
    layout = {
        name: tf.io.FixedLenFeature([], tf.string)
        if name == key
        else tf.io.FixedLenFeature(feature.shape, tf.int64)
        for name, feature in features.items()
    }

    @_as_written
    def decode(serialized: Any) -> dict[str, Any]:
        examples: Any = tf.io.parse_example(serialized, layout)
        clips = tf.io.decode_raw(examples.pop(key), features[key].np_dtype)
        return {
            key: tf.reshape(clips, (-1, *features[key].shape)),
            **{name: tf.cast(label, tf.int32) for name, label in examples.items()},
        }

    dataset = records.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    try:
        yield from cast(Iterator[Batch], dataset.prefetch(2).as_numpy_iterator())
    except (tf.errors.DataLossError, tf.errors.NotFoundError, tf.errors.InvalidArgumentError) as e:
        raise damaged(builder.data_path) from e
