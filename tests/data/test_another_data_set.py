"""A data set is a folder and a line in `DATASETS`, and nothing else."""

import sys

import jax
import numpy as np
import pytest
from etils import epath
from ml_collections import ConfigDict
from tiny import SIZE, get_config

from vdd import train
from vdd.data import datasets, pipeline
from vdd.errors import UserError
from vdd.evaluation import run as evaluation
from vdd.tasks import disentangler as task

# A dot that moves, of one of three colours.
MODULE = """
import numpy as np
from vdd.data import datasets

SPLITS, EVALUATION = ("train", "validation"), "dots.protocol"

def check(config, size):
    datasets.check_channels(3, size)
    datasets.choose("speed", config.speed, {"slow": 1, "fast": 2})

def fields(config):
    return ("video", "colour")

def frames(config):
    return 4

def arrays(config, split):
    video = np.zeros((6, 4, 16, 16, 3), np.uint8)
    for number in range(6):
        for time in range(4):
            video[number, time, 8, 2 + time * (1 + (config.speed == "fast")), number % 3] = 255
    return {"video": video, "colour": np.arange(6, dtype=np.int32) % 3}

def clips(config, split):
    return arrays(config, split)["video"]

def watched_split(config, otherwise):
    return "validation"

def overlap(split, other):
    return split == other

def edit_in_training(config):
    return None
"""
PROTOCOL = """
SPLITS = ("validation",)

def check(settings):
    pass

def hooks(config, workdir):
    return [(2, lambda step, state: {})]
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    (tmp_path / "dots").mkdir()
    (tmp_path / "dots" / "source.py").write_text(MODULE)
    (tmp_path / "dots" / "protocol.py").write_text(PROTOCOL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(datasets.DATASETS, "dots", "dots.source")
    for name in ("dots", "dots.source", "dots.protocol"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    config = get_config({"objective.reread_clips": 0})
    config.data = ConfigDict({"source": "in_memory", "dataset": "dots", "speed": "fast"})
    return config


def test_its_clips_come_in_batches_that_a_training_takes(config):
    pipeline.check(config.data, SIZE)
    training = train.build(config.lock())
    batch = next(task.batches(config, 0, 1))
    assert batch["video"].shape == (config.train.batch_size, 4, *SIZE)
    np.testing.assert_array_equal(batch["video"][0].max((0, 1, 2)).argmax(), batch["colour"][0])
    state = jax.eval_shape(training.init, jax.random.key(0), batch)
    jax.eval_shape(training.step, state, batch)


def test_what_it_says_is_asked_wherever_data_sets_are(config):
    assert datasets.count_clips(config.data, "train") == 6
    assert datasets.load_clip(config.data, "train", 2).shape == (4, *SIZE)
    assert datasets.seen_in_training(config.data, "train")
    assert not datasets.seen_in_training(config.data, "validation")
    ((every, look),) = evaluation.hooks(config, epath.Path("nowhere"))
    assert (every, look(0, None)) == (2, {})


def test_a_mistake_in_its_settings_is_told_before_anything_is_read(config):
    config.data.speed = "slowly"
    with pytest.raises(UserError, match=r"data\.speed=slowly is unknown: take one of slow, fast"):
        train.build(config)
