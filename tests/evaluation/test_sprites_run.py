"""Which clips of Sprites a training is watched on, and which its probes learn from."""

from types import SimpleNamespace

import numpy as np
import pytest
import tiny
from etils import epath
from ml_collections import ConfigDict
from world import World, random_clips

from vdd import runs
from vdd.data import sprites as data
from vdd.data.sprites import benchmark
from vdd.evaluation import watching
from vdd.evaluation.inference import Functions
from vdd.evaluation.sprites import page as sprites_page
from vdd.evaluation.sprites import protocol as sprites
from vdd.evaluation.sprites import run as sprites_run


def clips_of(split: str) -> data.SpritesArrays:
    """The split's labels, without pixels."""
    motion, attributes = benchmark.split_labels(split)
    return data.SpritesArrays(np.zeros((len(motion), 1, 1, 1, 3), np.uint8), motion, attributes)


def characters(clips: data.SpritesArrays) -> set[tuple]:
    return set(map(tuple, clips.attributes.tolist()))


@pytest.fixture
def watched(monkeypatch, tmp_path):
    """Runs a config's hooks on a world that is the validation split; what they log."""
    world = World(random_clips(4))

    def load_arrays(art, split, *_):
        assert split == "validation", "a training looks at another split"
        return world.clips

    monkeypatch.setattr(data, "load_arrays", load_arrays)
    monkeypatch.setattr(watching, "functions_of", lambda *_: world.model())
    monkeypatch.setattr(sprites_run, "_judge", lambda config: world.judge)

    def run(config) -> tuple[dict, dict]:
        state = SimpleNamespace(ema_params={})
        quick, picture = (
            hook(3, state) for _, hook in sprites_run.hooks(config, epath.Path(tmp_path))
        )
        assert (tmp_path / "samples" / "3.png").exists()
        return quick, picture

    return run


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_training_never_looks_at_the_test_split(watched, split):
    """Not even where that is what the run is to be evaluated on."""
    quick, picture = watched(tiny.get_config({"eval.split": split}))
    assert quick["swap_joint_acc"] == 1
    assert picture["swaps"].dtype == np.uint8


def test_it_says_whether_it_was_trained_on_what_it_looks_at(watched):
    assert watched(tiny.get_config())[0]["seen_in_training"] == 0
    assert watched(tiny.get_config({"data.split": "train"}))[0]["seen_in_training"] == 1
    before_there_was_a_choice = tiny.get_config()
    with before_there_was_a_choice.unlocked():
        del before_there_was_a_choice.data.split
    assert watched(before_there_was_a_choice)[0]["seen_in_training"] == 1


@pytest.fixture
def given(monkeypatch):
    """What the protocols are given for a config and a split: (clips for the probes, clips)."""
    asked = []
    monkeypatch.setattr(data, "load_arrays", lambda art, split, *_: clips_of(split))
    monkeypatch.setattr(sprites_run, "_judge", lambda config: None)
    monkeypatch.setattr(sprites, "evaluate", lambda *args, **_: asked.append(args) or {})
    monkeypatch.setattr(sprites_page, "sections", lambda figures: [])

    def evaluate(config, split):
        sprites_run.evaluate(config, 3, Functions(None, None, None), split)
        return asked[-1][1:3]

    return evaluate


@pytest.mark.parametrize(
    ("trained", "measured", "probed"),
    [
        ("fit", "validation", "fit"),
        ("fit", "test", "fit"),
        ("train", "test", "train"),
        ("train", "validation", "fit"),
        ("fit", "fit", None),
        ("fit", "train", None),
    ],
)
def test_probes_learn_from_the_training_and_are_tested_on_others(given, trained, measured, probed):
    probes, tested = given(tiny.get_config({"data.split": trained}), measured)
    assert characters(tested) == characters(clips_of(measured))
    if probed is None:
        assert probes is None
    else:
        assert characters(probes) == characters(clips_of(probed))
        assert len(probes.motion) == len(clips_of(probed).motion)


def test_a_run_whose_config_does_not_say_was_trained_on_all_of_train(given):
    config = ConfigDict(runs.load_config(runs.find("sprites")).to_dict())
    del config.data["split"]
    probes, tested = given(config, "test")
    assert characters(probes) == characters(clips_of("train"))
    assert characters(tested) == characters(clips_of("test"))
