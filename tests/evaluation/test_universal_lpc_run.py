"""What a training and an evaluation on Universal LPC do with the protocol: no art is needed."""

from types import SimpleNamespace

import lpc_world as world
import numpy as np
import pytest
import tiny
from etils import epath
from ml_collections import ConfigDict
from PIL import Image

from vdd.data.universal_lpc import Art
from vdd.errors import UserError
from vdd.evaluation import watching
from vdd.evaluation.universal_lpc import protocol
from vdd.evaluation.universal_lpc import run as lpc_run

CAST = [world.KNOWN, world.BEARDED, world.NEW, world.NEW_BEARD]


@pytest.fixture
def asked(monkeypatch):
    """Puts made-up characters in the place of the art; which splits are looked at."""
    splits = []

    def clips(art, config, split, count):
        splits.append(split)
        return world.clips_of([*CAST, *CAST])

    art = Art(world.WARDROBE, drawings={}, left_out=(), fingerprint="")
    monkeypatch.setattr(lpc_run, "load_art", lambda place: art)
    monkeypatch.setattr(lpc_run, "_clips", clips)
    monkeypatch.setattr(protocol, "drawer", lambda art, channels: world.draw)
    truth = protocol.Truth(world.draw, world.WARDROBE)
    monkeypatch.setattr(protocol, "truth_of", lambda art, channels: truth)
    monkeypatch.setattr(watching, "functions_of", lambda *_: world.model())
    return splits


def config():
    return tiny.load_module("universal_lpc").get_config("smoke")


def check_picture(path):
    """What is drawn is what ought to be: of four rows the third is the fourth."""
    with Image.open(path) as image:
        rows = np.asarray(image.convert("RGB")).reshape(-1, 4, world.SIZE, image.width, 3)
    assert len(rows) == 6
    np.testing.assert_array_equal(rows[:, 2], rows[:, 3])
    assert np.any(rows[:, 0] != rows[:, 3])


def test_a_training_is_watched_on_the_validation_split(asked, tmp_path):
    hooks = lpc_run.hooks(config(), epath.Path(tmp_path))
    assert [every for every, _ in hooks] == [
        config().train.eval_every,
        config().train.sample_every,
    ]
    state = SimpleNamespace(ema_params={})
    figures, picture = (hook(3, state) for _, hook in hooks)
    assert asked == ["validation"]
    assert figures["swap_pose_acc"] == figures["reconstruction_pose_acc"] == 1.0
    assert figures["swap_parts"] == 1.0
    assert figures["joint_bits_per_frame"] > 0.0
    assert picture["swaps"].dtype == np.uint8
    check_picture(tmp_path / "samples" / "3.png")


def test_an_evaluation_has_figures_a_page_and_a_picture(asked, tmp_path):
    done = lpc_run.evaluate(config(), 7, world.model(), "test_parts")
    assert asked == ["test_parts"]
    assert (done.figures["step"], done.figures["split"]) == (7, "test_parts")
    assert done.figures["transfer"]["pose_acc"] == 1.0
    assert done.sections[0].startswith("## ")
    (shown,) = done.draw(epath.Path(tmp_path))
    check_picture(tmp_path / shown.file)


@pytest.mark.parametrize("wrong", [{"num_clips": 1}, {"quick_pairs": 1}])
def test_a_swap_takes_two_clips(wrong):
    with pytest.raises(UserError, match=r"at least 2|2 or more"):
        lpc_run.check(ConfigDict({**config().eval, **wrong}))
