"""Training and evaluation batches from any source, chosen by `config.data`.

Three sources give the same kind of batches: `in_memory` (no TensorFlow, all clips in memory),
`tfdata` (TFRecord files streamed by tf.data) and `grain` (ArrayRecord files read at random). In
each, batch i is a pure function of (seed, i), so that the number of batches delivered is the whole
state of an iterator, and a resumed run sees what an uninterrupted one would.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from vdd.data import augment, sprites
from vdd.data.batches import Batch, ClipIterator
from vdd.data.in_memory import in_memory, in_memory_pass
from vdd.data.sprites.prepared import DataSource, load_builder
from vdd.errors import UserError

__all__ = ["Batch", "ClipIterator", "load_pass", "load_source"]

_AUGMENTATIONS: Mapping[str, augment.Augment | None] = {
    "none": None,
    "shift": augment.shift,
    "brightness": augment.brightness,
    "phase": augment.phase,
}


def load_source(
    config: Any,
    split: str,
    batch_size: int,
    seed: int,
    process_index: int = 0,
    process_count: int = 1,
) -> ClipIterator:
    """Endless shuffled batches of one split, for training.

    Args:
      config: `config.data` with the keys source ("in_memory", "tfdata", "grain"), dataset
        ("sprites"), art ("lpc", "builtin"), art_dir, data_dir (each None for its default) and
        augment ("none", "shift", "brightness", "phase").
      split: "train" or "test".
      batch_size: rows of the global batch.
      seed: with the step, all that decides what a batch holds.
      process_index: whose rows of the global batch to give.
      process_count: number of processes that share the global batch.

    Raises:
      UserError: an unknown name in the configuration, a missing library, or data that are missing
        or damaged.
      ValueError: the batch does not divide among the processes.
    """
    chosen = _choose("augment", config.augment, _AUGMENTATIONS)
    return _open(config, split).batches(
        batch_size,
        seed,
        augment=chosen,
        process_index=process_index,
        process_count=process_count,
    )


def load_pass(
    config: Any,
    split: str,
    batch_size: int,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[Batch]:
    """One pass over a split in order, without augmentation, for evaluation.

    The test split comes in the order of `sprites.load_arrays` from every source. All batches have
    the same size: the last one is filled up with zeros, where the mask is False.

    Args:
      config: as for `load_source`.
      split: "train" or "test".
      batch_size: rows of the global batch.
      process_index: whose rows of the global batch to give.
      process_count: number of processes that share the global batch.

    Raises:
      UserError: an unknown name in the configuration, a missing library, or data that are missing
        or damaged.
      ValueError: the batch does not divide among the processes.
    """
    opened = _open(config, split)
    return opened.ordered_pass(batch_size, process_index=process_index, process_count=process_count)


class _Opened(NamedTuple):
    """A split of a source, ready to give batches."""

    batches: Callable[..., ClipIterator]
    ordered_pass: Callable[..., Iterator[Batch]]


def _open(config: Any, split: str) -> _Opened:
    _choose("dataset", config.dataset, {"sprites": None})
    if split not in sprites.SPLITS:
        raise UserError(f"sprites has no split {split!r}: take one of {', '.join(sprites.SPLITS)}.")
    open_source = _choose("source", config.source, _SOURCES)
    try:
        return open_source(config, split)
    except ModuleNotFoundError as error:
        raise UserError(
            f"--config.data.source={config.source} needs {error.name}, which is not installed: "
            "install it or take --config.data.source=in_memory."
        ) from error


def _open_in_memory(config: Any, split: str) -> _Opened:
    arrays = sprites.load_arrays(config.art, split, config.art_dir)
    return _Opened(functools.partial(in_memory, arrays), functools.partial(in_memory_pass, arrays))


def _open_tfdata(config: Any, split: str) -> _Opened:
    import tensorflow  # noqa: F401 - missing, it must be missed before anything is prepared

    from vdd.data.tfdata import tfdata, tfdata_pass

    builder = load_builder(config.art, "tfrecord", config.art_dir, config.data_dir)
    return _Opened(
        functools.partial(tfdata, builder, split), functools.partial(tfdata_pass, builder, split)
    )


def _open_grain(config: Any, split: str) -> _Opened:
    from vdd.data.grain_source import grain, grain_pass

    builder = load_builder(config.art, "array_record", config.art_dir, config.data_dir)
    source = DataSource(builder, split)
    return _Opened(functools.partial(grain, source), functools.partial(grain_pass, source))


_SOURCES = {"in_memory": _open_in_memory, "tfdata": _open_tfdata, "grain": _open_grain}

_T = TypeVar("_T")


def _choose(key: str, name: str, choices: Mapping[str, _T]) -> _T:
    if name not in choices:
        raise UserError(f"--config.data.{key}={name} is unknown: take one of {', '.join(choices)}.")
    return choices[name]
