"""Sizes of files whose owner has no name: in a container, or on a share of other machines."""

import pwd
from pathlib import Path

import numpy as np
import pytest
from etils import epath

from vdd import files
from vdd.data import video_io


@pytest.fixture
def nobody_has_a_name(monkeypatch):
    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.usefixtures("nobody_has_a_name")
def test_files_of_nobody_have_a_size(tmp_path):
    path = epath.Path(tmp_path) / "some"
    path.write_bytes(bytes(7))
    assert files.size_of(path) == 7
    with pytest.raises(KeyError):  # why there is such a function
        path.stat()


@pytest.mark.usefixtures("nobody_has_a_name")
@pytest.mark.parametrize("name", ["clip.npy", "clip.gif", "clip.png"])
def test_clips_of_nobody_are_read(tmp_path, name):
    clip = np.zeros((1, 8, 8, 3), np.uint8)
    video_io.write_clip(tmp_path / name, clip, fps=8)
    np.testing.assert_array_equal(video_io.read_clip(tmp_path / name, 8), clip)


def test_no_size_is_asked_of_a_path_that_asks_for_its_owner():
    """`stat().length` is of etils' paths, `st_size` of Python's, which ask for no name."""
    package = Path(files.__file__).parent.parent
    asking = [p for p in package.rglob("*.py") if "stat().length" in p.read_text()]
    assert [path.name for path in asking] == ["paths.py"]
