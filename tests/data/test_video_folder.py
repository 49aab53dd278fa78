"""The prepared folder of videos in every source: batches as agreed, exact resume, clear errors."""

import importlib
import itertools
import json
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("av")
import tensorflow_datasets as tfds
import videos
from ml_collections import ConfigDict

from vdd.data import augment, pipeline, prepare, video_folder
from vdd.data.video_folder.video_folder_dataset_builder import Builder
from vdd.errors import UserError

SOURCES = ("in_memory", "tfdata", "grain")
FORMATS = {"in_memory": "array_record", "tfdata": "tfrecord", "grain": "array_record"}
STORED, FRAMES = 10, 6
LABELS = {"identity", "clip"}


class MeanPixels:
    """Stands in for an autoencoder: a latent is the mean of its 8x8 pixels."""

    encode = staticmethod(lambda images: images)  # the method that is asked for, by itself

    def apply(self, params, images, method):
        assert method is self.encode
        b, h, w, c = images.shape
        return images.reshape(b, h // 8, 8, w // 8, 8, c).mean((2, 4))


@pytest.fixture(scope="module")
def data_dirs(tmp_path_factory) -> Path:
    """8 clips of 3 windows each, in both formats, with latents."""
    from vdd.data.video_folder import latents

    root = tmp_path_factory.mktemp("prepared")
    for i in range(8):
        frames = videos.counted(30, 24, 24, first=100 * i)
        for k, frame in enumerate(frames):
            frame[:, 16:, 0] = 8 * k  # left and right differ, and frames from their neighbours
        videos.encode(root / "videos" / f"{i // 2}" / f"{i}.mp4", frames)
    for name in latents._FILES.values():
        (root / name).write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        importlib.import_module("vdd.models.latents")  # which needs the real one
        module = types.ModuleType("vdd.models.autoencoder")
        module.__dict__["load"] = lambda kind, **files: (MeanPixels(), None)
        patch.setitem(sys.modules, "vdd.models.autoencoder", module)
        patch.setattr("vdd.models.autoencoder", module, raising=False)
        latents.load_encoder.cache_clear()
        for file_format in set(FORMATS.values()):
            options = [f"--source={root / 'videos'}", f"--out={root / file_format}"]
            options += ["--size=24", f"--frames={STORED}", "--workers=0", "--split-by=clip"]
            options += ["--latents", f"--weights={root}", f"--format={file_format}"]
            assert prepare.main([*options, "--test=0.25"]) == 0
        latents.load_encoder.cache_clear()
    return root


def config_for(root: Path, source: str, **keys: Any) -> ConfigDict:
    return ConfigDict(
        {
            "source": source,
            "dataset": "video_folder",
            "data_dir": str(root / FORMATS[source]),
            "frames": FRAMES,
            "latents": False,
            "augment": "none",
            **keys,
        }
    )


@pytest.fixture(params=SOURCES)
def config(request, data_dirs) -> ConfigDict:
    return config_for(data_dirs, request.param)


def with_keys(config: ConfigDict, **keys: object) -> ConfigDict:
    return ConfigDict({**config.to_dict(), **keys})


def take(batches: Iterator, count: int) -> list:
    return list(itertools.islice(batches, count))


def assert_same(actual: list, expected: list):
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected):
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])


def joined(parts) -> dict:
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def test_a_batch_is_as_agreed(config, data_dirs):
    """Frames in order from somewhere in a window, and not always the same place."""
    stored = video_folder.load_windows(data_dirs / "array_record", "train")
    assert stored.video is not None
    starts = set()
    for batch in take(pipeline.load_source(config, "train", 4, seed=0), 8):
        shapes = {key: (value.shape, str(value.dtype)) for key, value in batch.items()}
        assert shapes == {
            "video": ((4, FRAMES, 24, 24, 3), "uint8"),
            "identity": ((4,), "int32"),
            "clip": ((4,), "int32"),
        }
        for video, clip, identity in zip(batch["video"], batch["clip"], batch["identity"]):
            assert identity == clip // 2
            found = [
                start
                for window in stored.video[stored.clip == clip]
                for start in range(STORED - FRAMES + 1)
                if np.array_equal(window[start : start + FRAMES], video)
            ]
            assert len(found) == 1
            starts.update(found)
    assert starts == set(range(STORED - FRAMES + 1))


@pytest.mark.parametrize("latents", [False, True])
def test_a_resumed_run_equals_an_uninterrupted_one(config, latents: bool):
    config = with_keys(config, latents=latents, augment="none" if latents else "flip")
    expected = take(pipeline.load_source(config, "train", 4, seed=1), 9)
    first = pipeline.load_source(config, "train", 4, seed=1)
    assert_same(take(first, 5), expected[:5])
    state = json.loads(json.dumps(first.get_state()))
    first.close()
    fresh = pipeline.load_source(config, "train", 4, seed=1)
    fresh.set_state(state)
    assert_same(take(fresh, 4), expected[5:])
    assert not np.array_equal(
        next(pipeline.load_source(config, "train", 4, seed=2))["clip"], expected[0]["clip"]
    )


@pytest.mark.parametrize("source", ["in_memory", "grain"])
def test_any_number_of_processes_sees_the_same_global_batches(data_dirs, source: str):
    config = config_for(data_dirs, source, augment="flip")
    expected = take(pipeline.load_source(config, "train", 4, seed=0), 6)
    shares = [take(pipeline.load_source(config, "train", 4, 0, index, 2), 6) for index in (0, 1)]
    assert_same([joined(parts) for parts in zip(*shares)], expected)


def test_in_memory_and_grain_give_the_same_batches(data_dirs):
    one, other = (
        take(pipeline.load_source(config_for(data_dirs, source, augment="flip"), "train", 4, 3), 6)
        for source in ("in_memory", "grain")
    )
    assert_same(one, other)


def test_both_formats_load_alike_and_a_limit_is_kept(data_dirs):
    for split in video_folder.SPLITS:
        one, other = (
            video_folder.load_windows(data_dirs / form, split) for form in set(FORMATS.values())
        )
        for field, expected in one._asdict().items():
            np.testing.assert_array_equal(getattr(other, field), expected)
        if split != "train":  # which is written in a random order
            starts = [0, 0.4, 0.8] * (len(one.start) // 3)
            np.testing.assert_allclose(one.start, starts, rtol=1e-6)
            np.testing.assert_allclose(one.end, one.start + 0.4, rtol=1e-6)
    few = video_folder.load_windows(data_dirs / "array_record", "train", limit=2)
    assert few.video is not None
    assert few.latents is not None
    assert [len(few.video), len(few.latents), len(few.start)] == [2, 2, 2]
    assert few.fps == 25


def test_flip_mirrors_some_clips_and_is_stateless():
    video = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)
    seen = [augment.flip(video, (0, step, 0)) for step in range(60)]
    mirrored = [np.array_equal(one, video[:, :, ::-1]) for one in seen]
    plain = [np.array_equal(one, video) for one in seen]
    assert all(a != b for a, b in zip(mirrored, plain))
    assert 15 < sum(mirrored) < 45
    np.testing.assert_array_equal(augment.flip(video, (0, 7, 0)), seen[7])


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"latents": True, "augment": "flip"}, "works on pixels"),
        ({"augment": "shift"}, "take one of none, flip"),
        ({"frames": 11}, "have 10 frames"),
        ({"frames": 0}, "have 10 frames"),
        ({"data_dir": None}, "data_dir=DIR is needed"),
        ({"data_dir": "/nonesuch"}, "vdd.data.prepare --source=VIDEOS --out=/nonesuch"),
        ({"source": "tfdata"}, "in array_record files: take --config.data.source=grain"),
    ],
)
def test_what_a_user_can_mend_is_one_line(data_dirs, keys: dict, words: str):
    with pytest.raises(UserError, match=words) as error:
        pipeline.load_source(with_keys(config_for(data_dirs, "grain"), **keys), "train", 4, 0)
    assert "\n" not in str(error.value)


def test_splits_that_are_not_there_are_told(data_dirs):
    config = config_for(data_dirs, "in_memory")
    with pytest.raises(UserError, match="no split 'nonesuch': take one of train, validation, test"):
        pipeline.load_source(config, "nonesuch", 4, seed=0)


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
@pytest.mark.parametrize("damage", ["truncated", "missing", "no info", "no metadata"])
def test_a_damaged_data_set_is_told(data_dirs, tmp_path, file_format: str, damage: str):
    shutil.copytree(data_dirs / file_format, tmp_path / "data")
    folder = tmp_path / "data" / "video_folder" / "video" / "1.0.0"
    (shard,) = folder.glob("video_folder-test*")
    if damage == "truncated":
        shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    elif damage == "missing":
        shard.unlink()
    elif damage == "no info":
        (folder / "dataset_info.json").write_text("{")
    else:
        (folder / "metadata.json").unlink()
    with pytest.raises(UserError, match=r"damaged: delete.*vdd\.data\.prepare") as error:
        video_folder.load_windows(tmp_path / "data", "test")
    assert str(folder) in str(error.value)


WITHOUT_TENSORFLOW = """
import sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: (
    None if name.partition(".")[0] == "tensorflow" else find(name, *rest)
)
from ml_collections import ConfigDict
from vdd.data import pipeline, prepare, video_folder
for config in {configs}:
    batch = next(pipeline.load_source(ConfigDict(config), "train", 4, seed=0))
    assert batch["clip"].shape == (4,)
assert len(video_folder.load_windows({data_dir!r}, "test").clip)
assert prepare.main({again}) == 0
assert "tensorflow" not in sys.modules
"""


@pytest.mark.process
def test_array_records_are_written_and_read_without_tensorflow(data_dirs, tmp_path):
    configs = [config_for(data_dirs, source).to_dict() for source in ("in_memory", "grain")]
    again = [f"--source={data_dirs / 'videos'}", f"--out={tmp_path}", "--size=24", "--frames=10"]
    code = WITHOUT_TENSORFLOW.format(
        configs=configs, data_dir=str(data_dirs / "array_record"), again=[*again, "--workers=0"]
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tfds_opens_what_was_prepared(data_dirs):
    folder = data_dirs / "array_record" / "video_folder" / "video" / "1.0.0"
    builder = tfds.builder_from_directory(folder)
    assert "--split-by clip" in builder.info.description
    example = builder.as_data_source("train")[0]
    assert example["path"].endswith(b".mp4")
    assert example["end"] - example["start"] == pytest.approx(0.4)
    assert example["fps"] == 25


def test_the_builder_alone_says_how_it_is_done(tmp_path):
    with pytest.raises(UserError, match=r"python -m vdd\.data\.prepare"):
        Builder(data_dir=tmp_path, config="video")
