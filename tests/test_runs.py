"""A run that is written by a command is whole, or not there."""

import pytest

from vdd import files, runs
from vdd.errors import UserError


def test_a_run_that_a_crash_left_half_written_is_made_anew(tmp_path):
    folder = tmp_path / "run"
    crashed = runs.making(folder)
    files.write(crashed.__enter__() / "half", "half of it")
    assert not folder.exists()
    with runs.making(folder) as target:
        files.write(target / "config.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert sorted(path.name for path in folder.iterdir()) == [".vdd.sha256", "config.json"]
    assert files.is_ours(folder / "config.json")
    assert not files.is_ours(folder / "note")
    with pytest.raises(UserError, match="run: already there; name a new or an empty folder"):
        runs.making(folder).__enter__()


def test_an_error_leaves_nothing(tmp_path):
    def fail():
        with runs.making(tmp_path / "run") as target:
            files.write(target / "half", "half of it")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_written_in_place(tmp_path):
    with runs.making(tmp_path) as target:
        files.write(target / "config.json", "{}")
    assert (tmp_path / "config.json").exists()
