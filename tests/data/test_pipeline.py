"""Every source: exact resume, epochs, the share of each process, clear errors."""

import functools
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from ml_collections import ConfigDict

from vdd.data import augment, datasets, pipeline, sprites, tfdata
from vdd.data.sprites import benchmark, source
from vdd.errors import UserError

SOURCES = ("in_memory", "tfdata", "grain")
NUM_TRAIN, NUM_TEST = 9 * 5, 9 * 3
# As the benchmark's own splits lie to each other.
FEW = {"train": slice(0, 5), "fit": slice(0, 3), "validation": slice(3, 5), "test": slice(5, 8)}


@pytest.fixture(scope="module", autouse=True)
def _few_characters() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for split, characters in FEW.items():
            patch.setitem(benchmark.SPLITS, split, characters)
        patch.setitem(source._AUGMENTATIONS, "flip", augment.flip)  # of Sprites there is none
        patch.setattr(sprites, "_rendered", functools.cache(sprites._rendered.__wrapped__))
        yield


@pytest.fixture(scope="module")
def config(random_art_dir, tmp_path_factory) -> ConfigDict:
    return ConfigDict(
        {
            "source": "in_memory",
            "dataset": "sprites",
            "art": "lpc",
            "art_dir": str(random_art_dir),
            "data_dir": str(tmp_path_factory.mktemp("tfds")),
            "augment": "none",
        }
    )


@pytest.fixture(params=SOURCES)
def of_source(request, config) -> ConfigDict:
    return with_keys(config, source=request.param)


def with_keys(config: ConfigDict, **keys: object) -> ConfigDict:
    return ConfigDict({**config.to_dict(), **keys})


def take(batches: Iterator, count: int) -> list:
    return list(itertools.islice(batches, count))


def clip_ids(batch) -> list[int]:
    """Each clip of the benchmark has labels of its own."""
    return (batch["motion"] * 10_000 + batch["attributes"] @ [1000, 100, 10, 1]).tolist()


def assert_same(actual: Sequence, expected: Sequence):
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected):
        assert one.keys() == other.keys() == {"video", "motion", "attributes"}
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


def joined(parts: Sequence) -> dict:
    """The global batch of the batches that the processes hold."""
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def test_a_batch_is_as_agreed(of_source, config):
    batch: dict = {**next(pipeline.load_source(of_source, "train", 8, seed=0))}
    assert {key: (value.shape, str(value.dtype)) for key, value in batch.items()} == {
        "video": ((8, 8, 64, 64, 3), "uint8"),
        "motion": ((8,), "int32"),
        "attributes": ((8, 4), "int32"),
    }
    arrays = sprites.load_arrays("lpc", "train", config.art_dir)
    video_of = dict(zip(clip_ids(arrays._asdict()), arrays.video))
    for clip, video in zip(clip_ids(batch), batch["video"]):
        np.testing.assert_array_equal(video, video_of[clip])


@pytest.mark.parametrize("done", [3, 5, 13])
def test_a_resumed_run_equals_an_uninterrupted_one(of_source, done: int):
    """45 clips in batches of 8: states in the middle of epochs and between two."""
    of_source = with_keys(of_source, augment="flip")
    expected = take(pipeline.load_source(of_source, "train", 8, seed=1), 16)
    first = pipeline.load_source(of_source, "train", 8, seed=1)
    assert_same(take(first, done), expected[:done])
    state = json.loads(json.dumps(first.get_state()))
    first.close()
    fresh = pipeline.load_source(of_source, "train", 8, seed=1)
    fresh.set_state(state)
    assert_same(take(fresh, 16 - done), expected[done:])


def test_an_iterator_can_go_back_and_go_on_after_close(of_source):
    batches = pipeline.load_source(of_source, "train", 8, seed=1)
    state = batches.get_state()
    expected = take(batches, 4)
    batches.close()
    fifth = next(batches)
    batches.set_state(state)
    assert_same(take(batches, 5), [*expected, fifth])


def test_the_seed_decides(of_source):
    zero, again, one = (
        take(pipeline.load_source(of_source, "train", 8, seed), 2) for seed in (0, 0, 1)
    )
    assert_same(zero, again)
    assert clip_ids(zero[0]) != clip_ids(one[0])


def test_an_epoch_shows_every_clip_once_and_the_next_in_another_order(of_source):
    batches = pipeline.load_source(of_source, "train", 9, seed=0)
    epochs = [
        [clip for batch in take(batches, NUM_TRAIN // 9) for clip in clip_ids(batch)]
        for _ in range(3)
    ]
    assert len(set(epochs[0])) == NUM_TRAIN
    assert set(epochs[0]) == set(epochs[1]) == set(epochs[2])
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("source", ["in_memory", "grain"])
@pytest.mark.parametrize("change", ["none", "flip"])
def test_any_number_of_processes_sees_the_same_global_batches(config, source: str, change: str):
    config = with_keys(config, source=source, augment=change)
    expected = take(pipeline.load_source(config, "train", 8, seed=0), 8)
    for count in (2, 4):
        shares = [
            take(pipeline.load_source(config, "train", 8, 0, index, count), 8)
            for index in range(count)
        ]
        assert_same([joined(parts) for parts in zip(*shares)], expected)


def test_tfdata_processes_share_an_epoch_without_overlap(config):
    config = with_keys(config, source="tfdata")
    shares = [take(pipeline.load_source(config, "train", 8, 0, index, 4), 5) for index in range(4)]
    seen = [clip for share in shares for batch in share for clip in clip_ids(batch)]
    assert len(seen) == len(set(seen)) == 40


@pytest.mark.parametrize("split", ["validation", "test"])
def test_in_memory_and_grain_give_the_same_batches(config, split: str):
    """Both go by the same order; splits to evaluate on lie in the same order in both."""
    one, other = (
        take(pipeline.load_source(with_keys(config, source=source), split, 8, 3), 8)
        for source in ("in_memory", "grain")
    )
    assert_same(one, other)


@pytest.mark.parametrize(("split", "count"), [("train", 45), ("fit", 27), ("validation", 18)])
def test_each_source_serves_each_split(of_source, config, split: str, count: int):
    """An epoch of a split is its clips, each once; "train" is what "fit" and "validation" hold."""
    arrays = sprites.load_arrays("lpc", split, config.art_dir)._asdict()
    seen = take(pipeline.load_source(of_source, split, 9, seed=0), count // 9)
    assert sorted(id for batch in seen for id in clip_ids(batch)) == sorted(clip_ids(arrays))


@pytest.mark.parametrize("source", ["tfdata", "grain"])
def test_record_files_have_one_permutation(config, source: str):
    published = with_keys(config, source=source, permutation_seed=423)
    assert len(next(pipeline.load_source(published, "fit", 8, seed=0))["video"]) == 8
    with pytest.raises(UserError, match=r"permutation_seed=1 needs .*source=in_memory"):
        pipeline.load_source(with_keys(published, permutation_seed=1), "fit", 8, seed=0)


def test_in_memory_has_any_permutation(config):
    other = with_keys(config, permutation_seed=1)
    batch = next(pipeline.load_source(other, "fit", NUM_TRAIN, seed=0))
    expected = sprites.load_arrays("lpc", "fit", config.art_dir, permutation_seed=1)._asdict()
    assert set(clip_ids(batch)) == set(clip_ids(expected))
    published = sprites.load_arrays("lpc", "fit", config.art_dir)._asdict()
    assert set(clip_ids(batch)) != set(clip_ids(published))


def test_a_batch_must_divide_among_the_processes(of_source):
    with pytest.raises(ValueError, match="divide among 3 processes"):
        pipeline.load_source(of_source, "train", 8, 0, 0, 3)


def test_tfdata_says_that_a_batch_is_too_large(config):
    with pytest.raises(UserError, match=r"a batch of 64 is more than the 45 clips of fit\+"):
        pipeline.load_source(with_keys(config, source="tfdata"), "train", 64, seed=0)


@pytest.mark.parametrize("source", ["in_memory", "grain"])
def test_a_batch_may_be_larger_than_the_data(config, source: str):
    batch = next(pipeline.load_source(with_keys(config, source=source), "train", 64, seed=0))
    assert len(set(clip_ids(batch))) == NUM_TRAIN


@pytest.mark.parametrize("key", ["source", "dataset", "art", "augment"])
def test_unknown_names_are_refused(config, key: str):
    with pytest.raises(UserError, match="nonesuch"):
        pipeline.load_source(with_keys(config, **{key: "nonesuch"}), "train", 8, seed=0)
    with pytest.raises(UserError, match="no split 'nonesuch'"):
        pipeline.load_source(config, "nonesuch", 8, seed=0)


@pytest.mark.parametrize(("side", "count"), [(64, 1024), (256, 109), (20_000, 1)])
def test_large_clips_are_shuffled_fewer_at_once(side: int, count: int):
    clip = SimpleNamespace(shape=(50 if side > 64 else 8, side, side, 3), np_dtype=np.uint8)
    builder = SimpleNamespace(info=SimpleNamespace(features={"video": clip}))
    assert tfdata._shuffled_clips(builder) == count


def test_without_tensorflow_tfdata_names_the_way_out(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match=r"tensorflow.*--config\.data\.source=in_memory"):
        pipeline.load_source(with_keys(config, source="tfdata"), "train", 8, seed=0)


WITHOUT_TENSORFLOW = """
import sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: (
    None if name.partition(".")[0] == "tensorflow" else find(name, *rest)
)
from ml_collections import ConfigDict
from vdd.data import pipeline
from vdd.data.sprites import benchmark
benchmark.SPLITS.update(train=slice(0, 5), fit=slice(0, 3), validation=slice(3, 5))
config = ConfigDict({config})
next(pipeline.load_source(config, "train", 8, seed=0))
assert "tensorflow" not in sys.modules
assert {tfds} == ("tensorflow_datasets" in sys.modules)
"""


@pytest.mark.process
@pytest.mark.parametrize("source", ["in_memory", "grain"])
def test_two_sources_do_without_tensorflow(config, source: str):
    config = with_keys(config, source=source)
    pipeline.load_source(config, "test", 8, 0)  # the data set is prepared here, if it need be
    code = WITHOUT_TENSORFLOW.format(config=config.to_dict(), tfds=source == "grain")
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"dataset": "sprites", "art_dir": None, "data_dir": None}, ("there", None)),
        ({"dataset": "video_folder", "data_dir": "here"}, (None, "there")),
    ],
)
def test_clips_of_a_run_may_lie_elsewhere(monkeypatch, config, expected):
    asked = []

    class Found:
        def clips(self, config, split):
            asked.append((config.get("art_dir"), config.get("data_dir"), split))
            return np.zeros((1, 2, 4, 4, 3), np.uint8)

    monkeypatch.setattr(datasets, "find", lambda name: Found())
    given = ConfigDict(config)
    datasets.load_clips(given, "train", "there")
    assert asked == [(*expected, "train")]
    assert given.to_dict() == config
