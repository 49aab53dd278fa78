"""A prior of the tiny run."""

import shutil

import pytest
from etils import epath
from small_prior import get_config, random_clips

from vdd import main
from vdd.data import sprites


@pytest.fixture(scope="module", autouse=True)
def clips():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sprites, "load_arrays", random_clips)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_run, clips):
    """A copy of the tiny run, and beside it a prior, trained in one go and evaluated."""
    folder = epath.Path(tmp_path_factory.mktemp("priors"))
    shutil.copytree(tiny_run, folder / "tiny")
    config = get_config(folder / "tiny")
    assert main.train(config, folder / "tiny_prior") is None
    main.evaluate(config, folder / "tiny_prior")
    return folder
