"""The tiny collection, and the real sheets where the machine has them."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from collection import BESIDE, MODES, NAMES, REAL_ART_DIR, save, sheet

from vdd.data import universal_lpc as lpc

REAL_HOME = os.environ.get("HOME", "")  # read here, since the tests set it


@pytest.fixture(scope="session")
def _home(tmp_path_factory) -> Path:
    """One for all modules, since a process keeps the art that it has loaded."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module", autouse=True)
def _cache_of_the_tests(_home) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(_home))
        patch.delenv(lpc.ART_DIR_VARIABLE, raising=False)
        yield


@pytest.fixture(scope="session")
def art_dir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("collection")
    for seed, (name, mode) in enumerate(zip((*NAMES, *BESIDE), itertools.cycle(MODES))):
        save(folder, name, sheet(seed, mode))
    return folder


@pytest.fixture(scope="module")
def art(art_dir) -> lpc.Art:
    return lpc.load_art(art_dir)


@pytest.fixture(scope="module")
def real() -> lpc.Art:
    if not REAL_ART_DIR:
        pytest.skip(f"needs the Universal LPC sheets: set {lpc.ART_DIR_VARIABLE} to their folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", REAL_HOME)
        return lpc.load_art(REAL_ART_DIR)


@pytest.fixture(params=["tiny", "real"])
def any_art(request) -> lpc.Art:
    return request.getfixturevalue("art" if request.param == "tiny" else "real")
