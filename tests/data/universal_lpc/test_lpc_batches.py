"""Batches of clips of Universal LPC: drawn as they are asked for, by processes, or prepared."""

import itertools
import shutil
from multiprocessing import active_children
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from collection import save, sheet
from ml_collections import ConfigDict
from PIL import Image

from vdd.data import datasets, pipeline, workers
from vdd.data import universal_lpc as lpc
from vdd.data.universal_lpc import __main__ as command
from vdd.data.universal_lpc import clips
from vdd.errors import UserError


@pytest.fixture
def config(art_dir, tmp_path, monkeypatch) -> ConfigDict:
    for split in clips.COUNTS:
        monkeypatch.setitem(clips.COUNTS, split, 5)
    keys = {"dataset": "universal_lpc", "source": "in_memory", "art_dir": str(art_dir)}
    keys |= {"data_dir": str(tmp_path / "tfds"), "frames": 6, "channels": 3}
    return ConfigDict(
        {**keys, "background": "grey", "recolour": 0.0, "augment": "none", "num_clips": 10}
    )


def take(config: ConfigDict, split: str, count: int, size: int = 4, seed: int = 0, **share) -> list:
    batches = pipeline.load_source(config, split, size, seed, **share)
    found = list(itertools.islice(batches, count))
    batches.close()
    return found


def assert_equal(one: dict, other: dict):
    assert one.keys() == other.keys() == {"video", "cell", "parts"}
    for key, value in one.items():
        np.testing.assert_array_equal(value, other[key])


def test_training_goes_on_without_end_and_is_resumed_exactly(config, art):
    expected = take(config, "train", 6)
    assert len({clip.tobytes() for batch in expected for clip in batch["video"]}) == 24
    settings = clips.Settings.from_config(config, "train")
    for number in (0, 7, 23):
        clip = lpc.draw_clip(art, settings, 0, "train", number)._asdict()
        assert_equal({k: v[number % 4] for k, v in expected[number // 4].items()}, clip)
    batches = pipeline.load_source(config, "train", 4, seed=0)
    batches.set_state({"step": 3})
    assert_equal(next(batches), expected[3])
    assert batches.get_state() == {"step": 4}
    batches.close()
    assert take(config, "train", 1, seed=1)[0]["video"].tobytes() != expected[0]["video"].tobytes()


def test_processes_draw_what_the_thread_draws(config):
    expected = take(config, "train", 8)
    config.workers = 2
    batches = pipeline.load_source(config, "train", 4, seed=0)
    batches.set_state({"step": 1})
    for batch in expected[1:]:  # more than there are places to draw into
        assert_equal(next(batches), batch)
    assert len(active_children()) == 2
    batches.set_state({"step": 2})  # ends them, and begins anew
    assert_equal(next(batches), expected[2])
    batches.close()
    assert not active_children()


def test_a_process_that_is_killed_is_done_without(config):
    expected = take(config, "train", 12)
    config.workers = 2
    batches = pipeline.load_source(config, "train", 4, seed=0)
    assert_equal(next(batches), expected[0])
    assert_equal(next(batches), expected[1])
    active_children()[0].kill()
    with pytest.warns(RuntimeWarning, match="this one draws them now"):
        found = list(itertools.islice(batches, 10))
    for one, other in zip(found, expected[2:], strict=True):
        assert_equal(one, other)
    batches.close()
    assert not active_children()


def test_workers_that_there_cannot_be_are_told(config, monkeypatch):
    config.workers = -1
    with pytest.raises(UserError, match="at least 0"):
        take(config, "train", 1)
    config.workers = 1
    monkeypatch.setattr(workers.os, "statvfs", lambda path: SimpleNamespace(f_bavail=1, f_frsize=9))
    with pytest.raises(UserError, match="shm-size"):
        take(config, "train", 1)


def test_a_process_that_fails_to_draw_is_told(config, tmp_path):
    config.workers, config.art_dir = 1, str(shutil.copytree(config.art_dir, tmp_path / "gone"))
    batches = pipeline.load_source(config, "train", 4, seed=0)
    next(batches)
    # At once, as by then another is drawn, which looks where the sheets are.
    Path(config.art_dir).rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="no sheets"):
        list(itertools.islice(batches, 8))
    assert not active_children()


def test_processes_share_a_batch_without_end(config):
    (whole,) = take(config, "train", 1)
    parts = [take(config, "train", 1, process_index=i, process_count=2)[0] for i in range(2)]
    assert_equal({k: np.concatenate([part[k] for part in parts]) for k in whole}, whole)
    with pytest.raises(ValueError, match="3 processes"):
        pipeline.load_source(config, "train", 4, 0, process_count=3)


@pytest.mark.parametrize("source", ["tfdata", "grain"])
@pytest.mark.parametrize("split", ["train", "test_parts"])
def test_prepared_clips_are_those_in_memory(config, source, split):
    dataset = datasets.find("universal_lpc")
    config = ConfigDict({**config.to_dict(), "source": source, "background": "random"})
    arrays = dataset.arrays(config, split)
    assert len(arrays["video"]) == (10 if split == "train" else 5)
    place = {video.tobytes(): row for row, video in enumerate(arrays["video"])}
    (batch,) = take(config, split, 1, size=5)
    assert {key: str(value.dtype) for key, value in batch.items()} == {
        "video": "uint8",
        "cell": "int32",
        "parts": "int32",
    }
    for row in range(5):
        clip = {key: value[row] for key, value in batch.items()}
        assert_equal(clip, {k: v[place[clip["video"].tobytes()]] for k, v in arrays.items()})


def test_clips_prepared_from_other_sheets_do_not_pass(config, art_dir, tmp_path):
    config.source = "grain"
    take(config, "train", 1)
    other = tmp_path / "other"
    shutil.copytree(art_dir, other)
    save(other, "hair/male/plain/red", sheet(99))
    with pytest.raises(UserError, match="other sheets"):
        take(ConfigDict({**config.to_dict(), "art_dir": str(other)}), "train", 1)


def test_only_training_stands_on_colours(config, art):
    config.background = "random"

    def grounds(split: str) -> set[bytes]:
        settings = clips.Settings.from_config(config, split)
        found = set()
        for number in range(4):
            clip = lpc.draw_clip(art, settings, 0, split, number)
            alpha = lpc.play(art, clip.parts, clip.cell, None)[..., 3]
            colours = np.unique(clip.video[alpha == 0], axis=0)
            assert len(colours) == 1
            found.add(colours.tobytes())
        return found

    assert len(grounds("train")) == 4
    assert grounds("validation") == {bytes([96, 96, 96])}


def test_four_channels_are_the_clip_over_nothing(config):
    (opaque,) = take(config, "validation", 1)
    config.channels = 4
    (free,) = take(config, "validation", 1)
    assert free["video"].shape == (4, 6, 64, 64, 4)
    seen = free["video"][..., 3] == 255
    np.testing.assert_array_equal(free["video"][seen][:, :3], opaque["video"][seen])
    assert (opaque["video"][free["video"][..., 3] == 0] == 96).all()


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("channels", 2, "channels=2: take 3 or 4"),
        ("background", "blue", "background=blue: take grey or random"),
        ("frames", 0, "frames=0"),
        ("num_clips", 0, "num_clips=0"),
    ],
)
def test_a_wrong_value_is_told(config, key, value, told):
    config[key] = value
    with pytest.raises(UserError, match=told):
        datasets.find("universal_lpc").arrays(config, "train")


def test_a_colour_behind_nothing_is_told(config):
    config.channels, config.background = 4, "random"
    with pytest.raises(UserError, match="have none"):
        take(config, "train", 1)


def test_no_split_is_seen_in_the_training_of_another(config):
    seen = {split for split in lpc.SPLITS if datasets.seen_in_training(config, split)}
    assert seen == {"train"}
    assert datasets.find("universal_lpc").watched_split(config, "test") == "validation"


def test_the_command_draws_all_splits(art_dir, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    assert command.main([f"--out={out}", f"--art_dir={art_dir}"]) == 0
    with Image.open(out) as image:
        assert image.size == (16 * 64, 4 * 8 * 64)
    assert command.main([f"--out={tmp_path / 'other.png'}"]) == 2
    assert "VDD_UNIVERSAL_LPC" in capsys.readouterr().err
