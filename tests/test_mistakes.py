"""Mistakes on the command line of a training, each told in one line."""

from pathlib import Path

import pytest
from mistakes import mistake_cases


@pytest.mark.parametrize("name", mistake_cases(Path(), Path()))
def test_mistake_is_told_in_one_line(mistakes, name):
    _, said, status, out, err = mistakes[name]
    assert status == 2, out + err
    assert err.startswith("vdd: ")
    assert err.count("\n") == 1
    assert said in err


def test_somebody_else_s_config_stays_whatever_else_is_wrong(mistakes):
    """A mistake in ours must not be found only when theirs has been written over."""
    _, _, status, _, err = mistakes["foreign"]  # with a batch size of 0; the fixture looks at it
    assert status == 2
    assert "theirs/config.json: already there, and not as vdd wrote it" in err
