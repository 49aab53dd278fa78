"""Outputs are checked before any work; folders of work, lists and locks."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import vdd
from vdd import files
from vdd.errors import UserError

PACKAGE = Path(vdd.__file__).parent


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x" * 300, "File name too long"),
        (f"{'y' * 300}/a", "File name too long"),
        ("file/a", "Not a directory"),
        ("folder", "is a folder, not a file"),
        ("input", "is read, and cannot be written too"),
        ("hard", "is read, and cannot be written too"),
    ],
)
def test_an_output_is_checked_before_any_work(tmp_path, name, words):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "input").write_text("clip")
    (tmp_path / "hard").hardlink_to(tmp_path / "input")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=words):
        files.check(tmp_path / name, [tmp_path / "input", None], overwrite=True)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_input_that_is_not_there_is_told_before_any_work(tmp_path):
    with pytest.raises(UserError, match=r"missing\.gif: no such file or folder"):
        files.check(tmp_path / "out.gif", [None, tmp_path / "missing.gif"])
    files.check(tmp_path / "out.gif", ["https://host/a.gif"])  # whoever reads it says what of it


def test_a_folder_that_cannot_be_written_is_told_before_any_work(tmp_path, monkeypatch):
    def refuse(dir):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    for check in (files.check, files.check_folder):
        with pytest.raises(UserError, match=r"new/a: cannot be written \(Permission denied\)"):
            check(tmp_path / "new" / "a")
    assert not list(tmp_path.iterdir())


def test_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    assert str(files.expand("~/x")) == "/home/ann/x"
    assert str(files.expand("a/~")) == "a/~"
    assert str(files.expand("gs://bucket/x")) == "gs://bucket/x"
    assert str(files.cache_dir()) == "/home/ann/.cache/vdd"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda _: (_ for _ in ()).throw(KeyError()))
    assert files.cache_dir() is None
    with pytest.raises(UserError, match="HOME is not set"):
        files.expand("~/x")


def test_a_folder_of_work_goes_without_what_somebody_else_put_there(tmp_path):
    work = files.own_work(tmp_path / "work")
    for name in ("1.json", "2.json"):
        files.write(work / name, "{}")
        files.write(work / name, "[]")
    (tmp_path / "work" / "notes.txt").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "3.json").write_text("mine")
    (tmp_path / "work" / "4.json").symlink_to(tmp_path / "elsewhere" / "3.json")
    (tmp_path / "work" / "parts").symlink_to(tmp_path / "elsewhere")
    files.own_work(work)
    files.remove_work(work, r"\d\.json|parts")
    left = sorted(path.name for path in (tmp_path / "work").iterdir())
    assert left == ["4.json", "notes.txt", "parts"]
    assert (tmp_path / "elsewhere" / "3.json").exists()
    with pytest.raises(UserError, match="not made by vdd"):
        files.own_work(work)  # by now it is the user's
    files.remove_work(work, ".*")
    assert (tmp_path / "work" / "notes.txt").exists()


def test_only_what_a_list_names_is_removed(tmp_path):
    files.own(tmp_path)
    for name in ("a", "below/b", "below/c"):
        files.write(tmp_path / "step" / name, name)
    (tmp_path / "outside").write_text("")
    files.seal(tmp_path / "step")
    (tmp_path / "step" / "below" / "notes.txt").write_text("mine")
    names = tmp_path / "step" / files.CHECKSUMS
    names.write_text(f"{names.read_text()}0  ../outside\n0  {tmp_path}/outside\n0  /\n0  ./\n")
    files.remove_listed(tmp_path / "step")
    left = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "step").rglob("*")}
    assert left == {"step/below", "step/below/notes.txt"}
    assert (tmp_path / "outside").exists()


HOLDS = """
import sys
from vdd import files
with files.lock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_held_by_one_process_and_goes_with_it(tmp_path):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDS, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        refused = pytest.raises(UserError, match=f"in use by process {other.pid} on ")
        with refused, files.lock(tmp_path):
            pass
    finally:
        other.kill()
        other.communicate()
    with files.lock(tmp_path), files.lock(tmp_path):
        pass


@pytest.mark.parametrize("names", [(), (files.LIST,)])
def test_a_folder_of_work_that_was_stopped_before_its_first_line_is_taken_up(tmp_path, names):
    work = tmp_path / "work"
    work.mkdir()
    for name in names:
        (work / name).touch()
    files.own_work(work)
    files.write(work / "run-1", "")
    files.remove_work(work, "run-.*")
    assert not work.exists()
