"""A preparation that was interrupted goes on, and nothing of others is touched."""

import json
import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("av")

from preparing import contents, report, run

from vdd.data.video_folder import examples, workers
from vdd.data.video_folder import store as stores


def test_any_number_of_processes_writes_the_same_bytes(three, tmp_path):
    outs = [tmp_path / f"{count}" for count in (0, 2)]
    for out, count in zip(outs, (0, 2)):
        assert run(three, out, f"--workers={count}").status == 0
    assert contents(outs[0]) == contents(outs[1])


def test_an_interrupted_run_goes_on_where_it_was(three, tmp_path, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(three, whole)
    decode, seen = stores.Store._decode, []

    def interrupted(self, clip):
        seen.append(clip.path)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return decode(self, clip)

    monkeypatch.setattr(stores.Store, "_decode", interrupted)
    assert run(three, cut).status == 130
    assert not (cut / "report.json").exists()
    assert run(three, cut).status == 0
    assert seen == ["0.mp4", "1.mp4", "2.mp4", "2.mp4"]
    assert contents(cut) == contents(whole)
    monkeypatch.setattr(stores.Store, "_decode", None)
    again = run(three, cut)
    assert (again.status, "prepared already" in again.out) == (0, True)


def test_a_clip_that_has_gone_is_skipped(three, tmp_path, monkeypatch):
    decode = stores.Store.decode

    def late(self, clip):
        if clip.path == "1.mp4":
            (three / clip.path).unlink()
        decode(self, clip)

    monkeypatch.setattr(stores.Store, "decode", late)
    assert run(three, tmp_path / "out").status == 0
    (skipped,) = report(tmp_path / "out")["skipped"]
    assert skipped == {"path": "1.mp4", "reason": "cannot be read (No such file or directory)"}


def test_what_an_interrupted_writer_left_is_removed(three, tmp_path, monkeypatch):
    read, count = examples.Windows.__getitem__, []

    def interrupt(self, index):
        count.append(index)
        if len(count) == 4:
            raise KeyboardInterrupt
        return read(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(examples.Windows, "__getitem__", interrupt)
        assert run(three, tmp_path / "cut").status == 130
    assert run(three, tmp_path / "cut").status == 0
    assert [path.name for path in (tmp_path / "cut" / "video_folder").iterdir()] == ["video"]
    run(three, tmp_path / "whole")
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


@pytest.mark.parametrize("name", ["downloads", "decoded", "video_folder"])
def test_videos_below_the_output_stay(three, tmp_path, name):
    source = tmp_path / "data" / name
    source.parent.mkdir()
    three.rename(source)
    (source / "video" / "incomplete.notes").mkdir(parents=True)
    (source / "video" / "incomplete.notes" / "a.txt").write_text("mine")
    (tmp_path / "data" / "notes.txt").write_text("mine")
    before = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    assert run(source, tmp_path / "data").status == 0
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("name", ["report.json", ".vdd-decoded/a", "video_folder/video/1.0.0/a"])
def test_files_of_somebody_else_are_not_written_over(three, tmp_path, name):
    theirs = tmp_path / "out" / name
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    ran = run(three, tmp_path / "out")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "already there" in ran.err
    assert theirs.read_text() == "mine"
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [theirs]


def test_a_report_is_made_anew_unless_somebody_has_changed_it(three, tmp_path):
    out = tmp_path / "out"
    run(three, out)
    shutil.move(out / "video_folder", tmp_path / "elsewhere")
    shutil.copyfile(out / "report.json", tmp_path / "copy")  # which has no mark
    (out / "report.json").unlink()
    shutil.copyfile(tmp_path / "copy", out / "report.json")
    assert run(three, out).status == 0
    noted = json.loads((out / "report.json").read_text()) | {"my notes": "mine"}
    (out / "report.json").write_text(json.dumps(noted))
    assert "prepared already" in run(three, out).out
    shutil.rmtree(out / "video_folder")
    ran = run(three, out)
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "report.json: already there, and not as vdd wrote it" in ran.err
    assert json.loads((out / "report.json").read_text()) == noted


def test_notes_in_what_an_interruption_left_stay(three, tmp_path, monkeypatch):
    def interrupted(self, clip):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stores.Store, "_decode", interrupted)
        assert run(three, tmp_path / "out").status == 130
    (left,) = (tmp_path / "out").iterdir()
    (left / "notes.txt").write_text("mine")
    assert run(three, tmp_path / "out").status == 0
    assert [path.name for path in left.iterdir()] == ["notes.txt"]


def test_another_data_set_has_to_go_elsewhere(three, tmp_path):
    run(three, tmp_path / "out")
    ran = run(three, tmp_path / "out", "--stride=5")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "stride=10, not 5: give another --out" in ran.err
    (three / "1.mp4").unlink()
    assert "other files: give another --out" in run(three, tmp_path / "out").err


def test_a_full_disk_is_one_line_and_loses_nothing(three, tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(stores._Writer, "write", lambda self, data: self._told(full, self, data))
        ran = run(three, tmp_path / "out")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "No space left on device" in ran.err
    with monkeypatch.context() as patch:
        patch.setattr(examples.Windows, "__getitem__", full)
        ran = run(three, tmp_path / "out")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "cannot be written (No space left on device" in ran.err
    assert run(three, tmp_path / "out").status == 0


def test_an_unreadable_folder_or_file_is_skipped(three, tmp_path, monkeypatch):
    if os.geteuid() == 0:  # whom no file refuses

        def refused(self, *args, **kwargs):
            if self.name == "1.mp4":
                raise PermissionError(13, "Permission denied", str(self))
            return opened(self, *args, **kwargs)

        opened = Path.open
        monkeypatch.setattr(Path, "open", refused)
    else:
        (three / "1.mp4").chmod(0)
    assert run(three, tmp_path / "out").status == 0
    (skipped,) = report(tmp_path / "out")["skipped"]
    assert skipped == {"path": "1.mp4", "reason": "cannot be read (Permission denied)"}


def crash(clip) -> None:
    """Brings its process down, for one clip."""
    if "1" in clip.path:
        os._exit(11)
    Path(clip.identity, clip.path).write_text("done")


def test_a_clip_that_brings_its_process_down_stops_no_other(tmp_path):
    clips = [workers.Clip(f"{i}", str(tmp_path)) for i in range(4)]
    crashed, count = [], []
    workers.in_processes(crash, clips, 2, count.append, crashed.append)
    assert [clip.path for clip in crashed] == ["1"]
    assert sum(count) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "2", "3"]
