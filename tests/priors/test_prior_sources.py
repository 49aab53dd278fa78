"""Of which model's codes a prior is, and what cannot be trained."""

import shutil
import types

import numpy as np
import pytest
import tiny
from etils import epath
from ml_collections import ConfigDict
from small_prior import get_config

import vdd
from vdd import apply, priors, runs
from vdd.errors import UserError
from vdd.tasks.prior import evaluation
from vdd.train import build


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_run):
    """A copy of the tiny run, and no prior beside it."""
    folder = epath.Path(tmp_path_factory.mktemp("sources"))
    shutil.copytree(tiny_run, folder / "tiny")
    return folder


def test_codes_of_long_clips_are_measured_from_where_their_first_windows_rest(monkeypatch):
    """As `vdd encode` reads them: with a rest pose each, windows would all end in the middle."""
    grid = {"kind": "grid", "num_groups": 4, "num_codes": 31, "alpha": 2.0}
    model, params = tiny.get_model({"model.relative_motion": True, "model.quantizer": grid})
    video = tiny.random_video(3, 7)
    monkeypatch.setattr(evaluation, "load_clips", lambda *given: video)
    run = types.SimpleNamespace(
        model=model, params=params, windows=(4, 1), config=ConfigDict({"data": {}})
    )
    codes = evaluation.load_codes(run, "test", batch_size=2)
    rest = apply.rest_pose(model, params, video[:, :4])
    first = apply.encode(model, params, video[:, :4]).codes[:, :3]
    second = apply.encode(model, params, video[:, 3:], rest=rest).codes
    np.testing.assert_array_equal(codes, np.concatenate([first, second], axis=1))
    assert (second != apply.encode(model, params, video[:, 3:]).codes).any()


def test_the_source_of_a_prior_is_known_from_anywhere(place, monkeypatch):
    run = vdd.load(place / "tiny")
    monkeypatch.chdir(place)
    source = priors.source_of(run, "tiny")
    assert source == priors.source_of(run, place / "tiny")
    monkeypatch.chdir("/")
    assert evaluation.load_source(source).step == run.step
    monkeypatch.setattr(runs, "PRETRAINED", place)
    assert priors.source_of(run, "tiny").run == "tiny"


def test_a_config_that_cannot_be_built(place):
    config = get_config(place / "tiny")
    with config.unlocked():
        config.train.accumulate = 2
    with pytest.raises(UserError, match=r"train\.accumulate=2: a prior takes whole batches"):
        build(config)
    with pytest.raises(UserError, match="no such run directory"):
        build(get_config("nothing"))
