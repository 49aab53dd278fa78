"""Whose a file is, and that nothing of anybody else's is replaced, moved or removed."""

import ast
import errno
import os
from pathlib import Path

import pytest
from etils import epath

import vdd
from vdd import files
from vdd.errors import UserError
from vdd.files import changes as writers
from vdd.files import marks

PACKAGE = Path(vdd.__file__).parent

# Calls that replace, move or remove files, by the name of the function or method.
CHANGES = {"rmtree", "unlink", "rename", "renames", "replace", "rmdir", "remove", "removedirs",
           "move", "write_text", "write_bytes", "copyfile", "copytree", "copy2", "truncate",
           "touch", "tofile"}  # fmt: skip
# Calls that write a file, or into a buffer of one of these names, or hand on to one of these.
SAVES, BUFFERS = {"save", "savefig", "savez", "savez_compressed"}, {"buffer", "file", "png"}
HANDS_ON = {"outputs", "autoencoder", "checkpoints"}
MODES = {f"{mode}{more}" for mode in "wxa" for more in ("", "b", "+", "+b", "b+")}
# The modules that make them, and why they may.
MAY = {
    "files/changes.py": "the owner of the rule",
    "files/marks.py": "the lists themselves",
    "files/locks.py": "the lock itself",
    "data/video_folder/store.py": "frames as they come, under a hash, in a folder of work",
    "data/video_folder/writing.py": "os.devnull",
    "training/checkpoints.py": "in a folder that Orbax has just made",
    "training/tensorboard.py": "a name of time, host and process",
}


def changes(path: Path):
    """The calls in a module that change files."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        of, _, name = ast.unparse(node.func).rpartition(".")
        values = [
            ast.unparse(x).strip("'") for x in (*node.args, *(k.value for k in node.keywords))
        ]
        # A replacement in a string has two arguments, and one in a data class has names.
        other = name == "replace" and of != "os" and (len(node.args) != 1 or node.keywords)
        opens = name == "open" or any(value.endswith(".open") for value in values)
        saves = of and name in SAVES and of not in HANDS_ON and not BUFFERS & set(values)
        if (
            (name in CHANGES and of != "files" and not other)
            or (opens and of != "av" and MODES & set(values))
            or saves
        ):
            yield ast.unparse(node)


def test_nothing_else_in_the_package_changes_files():
    found = {
        path.relative_to(PACKAGE).as_posix(): calls
        for path in PACKAGE.rglob("*.py")
        if (calls := list(changes(path)))
    }
    assert found.keys() == MAY.keys(), found
    assert all(len(found[name]) == 1 for name in MAY if not name.startswith("files/")), found


def test_no_script_changes_files_by_itself():
    """But for campaigns, which work in a new folder each."""
    folder = PACKAGE.parent / "experiments"
    found = {
        path.relative_to(folder).as_posix(): calls
        for path in folder.rglob("*.py")
        if "campaigns" not in path.parts and (calls := list(changes(path)))
    }
    # What these move and remove are parameters of a network, and members of a set.
    assert found.keys() == {"torch_step.py", "torch_timing.py", "xla_trace.py"}, found


@pytest.fixture(params=["attribute", "list"])
def place(request, tmp_path):
    """A folder whose files bear their marks, or have them in a list."""
    folder = tmp_path / "place"
    folder.mkdir()
    if request.param == "list":
        files.own(folder)
    else:
        with pytest.MonkeyPatch.context():
            os.setxattr(folder, "user.vdd", b"")  # else this file system has none
    return folder


def test_what_is_ours_is_replaced_and_what_is_not_stays(place):
    ours, theirs = place / "ours", place / "theirs"
    theirs.write_text("theirs")
    files.write(ours, "1")
    files.write(ours, "2")
    assert ours.read_text() == "2"
    for refuse in (lambda: files.write(theirs, "3"), lambda: files.check(theirs)):
        with pytest.raises(UserError, match="theirs: already there, and not as vdd wrote it"):
            refuse()
    files.remove(theirs)
    assert theirs.read_text() == "theirs"
    files.check(theirs, overwrite=True)
    files.write(theirs, "3", overwrite=True)
    files.write(theirs, "4")
    files.remove(theirs)
    assert not theirs.exists()


def test_what_was_changed_since_is_no_longer_ours(place):
    path = place / "a"
    files.write(path, "ours")
    path.write_text("ours, and a note")
    with pytest.raises(UserError, match="not as vdd wrote it"):
        files.write(path, "new")
    (place / "b").write_bytes(path.read_bytes())
    assert not files.is_ours(place / "b")


def test_a_link_is_never_ours(place):
    (place / "theirs").write_text("theirs")
    files.write(place / "ours", "ours")
    (place / "link").symlink_to("theirs")
    (place / "nowhere").symlink_to("gone")
    (place / "to ours").symlink_to("ours")
    files.mark(place / "to ours")
    for name in ("link", "nowhere", "to ours"):
        with pytest.raises(UserError, match="already there"):
            files.write(place / name, "new")
    assert (place / "link").is_symlink()
    files.write(place / "link", "new", overwrite=True)
    assert ((place / "link").is_symlink(), (place / "theirs").read_text()) == (True, "new")


def test_what_a_link_leads_to_is_replaced_on_its_own_disk(tmp_path, monkeypatch):
    def on_one_disk(source, target):
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    rename = os.replace
    monkeypatch.setattr(os, "replace", on_one_disk)
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "theirs").write_text("theirs")
    for name in ("theirs", "missing"):
        link = tmp_path / f"to {name}"
        link.symlink_to(tmp_path / "disk" / name)
        files.check(link, overwrite=True)
        files.write(link, "new", overwrite=True)
        assert link.is_symlink()
        assert (tmp_path / "disk" / name).read_text() == "new"
    (tmp_path / "nowhere").symlink_to("/proc/none/a")
    with pytest.raises(UserError, match=r"nowhere: cannot be written"):
        files.check(tmp_path / "nowhere", overwrite=True)


def test_without_attributes_a_file_can_be_written_once(tmp_path, monkeypatch):
    def lacks(*_):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", lacks)
    files.write(tmp_path / "a", "1")
    with pytest.raises(UserError, match="already there"):
        files.write(tmp_path / "a", "2")


def test_a_failure_leaves_the_old_file_and_nothing_else(place):
    files.write(place / "a", "old")
    before = {path: path.read_bytes() for path in place.iterdir()}

    def fail():
        with files.writing(place / "a") as file:
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match=r"a: cannot be written \(No space left on device\)"):
        fail()
    assert {path: path.read_bytes() for path in place.iterdir()} == before


def test_a_file_that_grows(place):
    files.append(place / "a", "1\n")
    files.append(place / "a", "2\n")
    files.write(place / "a", "1\n")
    assert (place / "a").read_text() == "1\n"
    (place / "b").write_text("theirs\n")
    with pytest.raises(UserError, match="not as vdd wrote it"):
        files.append(place / "b", "2\n")


def test_a_list_is_read_again_only_where_it_has_changed(tmp_path, monkeypatch):
    folder, read = files.own(tmp_path / "run"), []
    of_a_list = marks.read_list
    monkeypatch.setattr(marks, "read_list", lambda path: read.append(path) or of_a_list(path))
    files.append(folder / "a", "1\n")
    read.clear()
    for _ in range(5):
        files.append(folder / "a", "2\n")
    assert len(read) <= 1
    (folder / "b").write_text("of another process")
    assert not files.is_ours(folder / "b")
    with open(folder / files.LIST, "a") as file:
        file.write(f"{files.GROWS}  b\n")
    assert files.is_ours(folder / "b")
    (folder / files.LIST).unlink()
    assert not files.is_ours(folder / "a")


def test_a_file_that_grows_goes_on_after_a_stop_that_came_as_it_began(tmp_path, monkeypatch):
    def stop(path, text):
        path.touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(writers, "append_line", stop)
        with pytest.raises(KeyboardInterrupt):
            files.append(files.own(tmp_path) / "a", "1\n")
    files.append(tmp_path / "a", "2\n")
    assert (tmp_path / "a").read_text() == "2\n"


def test_checksums_tell_a_flipped_bit(tmp_path):
    (tmp_path / "a").write_bytes(bytes(100))
    files.seal(tmp_path)
    files.verify(tmp_path)
    for name in ("a", files.CHECKSUMS):
        whole = (tmp_path / name).read_bytes()
        for place in range(0, len(whole), 7):
            broken = bytearray(whole)
            broken[place] ^= 1 << place % 8
            (tmp_path / name).write_bytes(broken)
            with pytest.raises(UserError, match=r"damaged|missing"):
                files.verify(tmp_path)
        (tmp_path / name).write_bytes(whole)
    files.verify(tmp_path)


@pytest.mark.process
@pytest.mark.parametrize("text", ["my own list", "-\n", "0" * 70, "\nmine", "c0ffee  a\n"])
def test_a_list_of_somebody_else_s_is_left_alone(tmp_path, text):
    theirs = tmp_path / files.LIST
    theirs.write_text(text)
    files.write(tmp_path / "a.txt", "a")
    files.append(tmp_path / "b.txt", "b")
    with pytest.raises(UserError, match=r"\.vdd\.sha256: already there, and not made by vdd"):
        files.own(tmp_path)
    files.own(tmp_path / "below")
    files.write(tmp_path / "below" / "c.txt", "c")
    assert theirs.read_text() == text
    assert "c.txt" in (tmp_path / "below" / files.LIST).read_text()


@pytest.mark.parametrize("text", ["", "-", "-  ", "c0ffee", "-  a.txt\n", f"{'0' * 64}  b\n"])
def test_a_list_of_ours_is_known_however_little_of_it_there_is(tmp_path, text):
    (tmp_path / files.LIST).write_text(text)
    files.own(tmp_path)
    files.write(tmp_path / "a.txt", "a")
    assert (tmp_path / files.LIST).read_text().startswith(text)
    assert "a.txt" in (tmp_path / files.LIST).read_text()


def test_a_list_that_cannot_be_written_is_named(tmp_path):
    """A disk may be full when a file is closed, and the error then names none."""
    (tmp_path / files.LIST).symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"\.vdd\.sha256: cannot be written \(No space left"):
        writers.append_line(epath.Path(tmp_path / files.LIST), "a line")
