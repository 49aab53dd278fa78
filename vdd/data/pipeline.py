"""Training batches from any source, chosen by `config.data`.

Three sources give the same kind of batches: `in_memory` (no TensorFlow, all clips in memory, or
drawn as they are needed), `tfdata` (TFRecord files streamed by tf.data) and `grain` (ArrayRecord
files read at random). In each, batch i is a pure function of (seed, i), so that the number of
batches delivered is the whole state of an iterator, and a resumed run sees what an uninterrupted
one would.
"""

import functools
from collections.abc import Callable

from vdd.config import Config
from vdd.data import datasets
from vdd.data.batches import Batch, ClipIterator
from vdd.data.endless import endless
from vdd.data.in_memory import in_memory
from vdd.data.packed import pack
from vdd.errors import UserError

__all__ = ["Batch", "ClipIterator", "load_source"]


def load_source(
    config: Config,
    split: str,
    batch_size: int,
    seed: int,
    process_index: int = 0,
    process_count: int = 1,
) -> ClipIterator:
    """Endless shuffled batches of one split, for training.

    Args:
      config: `config.data` with the keys source ("in_memory", "tfdata", "grain"), dataset, data_dir
        and augment. Of "sprites": art ("lpc", "builtin", "vivid"), art_dir, data_dir (each None
        for its default), augment ("none"), and where it is there permutation_seed (another than the
        default's in_memory only). Of "video_folder": data_dir
        (what `vdd.data.prepare` wrote), frames (of each window so many are taken from a random
        place), latents (True: batches hold `latents` in place of `video`), augment ("none",
        "flip"). Of "universal_lpc": art_dir, data_dir (each None for its default), frames,
        channels (3, or 4 with alpha), background ("grey", "random"), recolour (fraction of train
        clips in new colours), num_clips (clips of "train"; in_memory draws them without end, by so
        many processes as `workers` says; 0: in the thread that reads ahead).
      split: "train", "validation", "test"; with "sprites" also "fit", which is "train" without
        "validation"; with "universal_lpc" also "test_parts".
      batch_size: rows of the global batch.
      seed: with the step, all that decides what a batch holds.
      process_index: whose rows of the global batch to give.
      process_count: number of processes that share the global batch.

    Raises:
      UserError: an unknown name in the configuration, a missing library, or data that are missing
        or damaged.
      ValueError: the batch does not divide among the processes.
    """
    dataset = datasets.find(config.dataset)
    return _open(dataset, config, split)(
        batch_size,
        seed,
        augment=dataset.edit_in_training(config),
        process_index=process_index,
        process_count=process_count,
    )


def check(config: Config, size: tuple[int, int, int] | None = None) -> None:
    """Raise a UserError for a `config.data` that has what there is not; no data are looked at.

    Args:
      config: `config.data`.
      size: h w c of the model's clips; None: any sides, three channels.
    """
    dataset = datasets.find(config.dataset)
    datasets.choose("source", config.source, _SOURCES)
    datasets.choose("split", datasets.trained_split(config), dict.fromkeys(dataset.SPLITS))
    _workers(config)
    dataset.check(config, size)


def _open(dataset: datasets.Dataset, config: Config, split: str) -> Callable[..., ClipIterator]:
    """The endless batches of a split; arguments as of `in_memory`, from the size of a batch on."""
    if split not in dataset.SPLITS:
        known = ", ".join(dataset.SPLITS)
        raise UserError(f"{config.dataset} has no split {split!r}: take one of {known}.")
    open_source = datasets.choose("source", config.source, _SOURCES)
    try:
        return open_source(dataset, config, split)
    except ModuleNotFoundError as error:
        raise UserError(
            f"--config.data.source={config.source} needs {error.name}, which is not installed: "
            "install it or take --config.data.source=in_memory."
        ) from error


def _open_in_memory(
    dataset: datasets.Dataset, config: Config, split: str
) -> Callable[..., ClipIterator]:
    draw = datasets.find_draw(dataset, config, split)
    if draw is not None:
        return functools.partial(endless, draw, workers=_workers(config))
    return functools.partial(in_memory, pack(dataset.arrays(config, split)))


def _workers(config: Config) -> int:
    workers = config.get("workers", 0)
    if workers < 0:
        raise UserError(f"--config.data.workers={workers}: it must be at least 0.")
    return workers


def _open_tfdata(
    dataset: datasets.Dataset, config: Config, split: str
) -> Callable[..., ClipIterator]:
    import tensorflow  # noqa: F401 - missing, it must be missed before anything is prepared

    from vdd.data.tfdata import tfdata

    (builder, stored), fields = dataset.files(config, split), dataset.fields(config)
    return functools.partial(tfdata, builder, stored, fields=fields)


def _open_grain(
    dataset: datasets.Dataset, config: Config, split: str
) -> Callable[..., ClipIterator]:
    from vdd.data.grain_source import grain

    return functools.partial(grain, dataset.records(config, split))


_SOURCES = {"in_memory": _open_in_memory, "tfdata": _open_tfdata, "grain": _open_grain}
