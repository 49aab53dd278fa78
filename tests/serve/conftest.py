"""A server of the tiny run, and one who asks it."""

from pathlib import Path

import pytest
import serving

import vdd


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("dropped")


@pytest.fixture(scope="module")
def page(tiny_run, place):
    with serving.asking(tiny_run, place) as asking:
        yield asking


@pytest.fixture(scope="module")
def run(tiny_run):
    return vdd.load(tiny_run)
