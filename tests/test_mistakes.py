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
