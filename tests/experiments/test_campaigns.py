"""The campaigns in their short forms: each in a process of its own, which forks its children."""

import importlib
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from tiny import ROOT

CAMPAIGNS = ROOT / "experiments" / "campaigns"


def table_of(name, work, *options):
    """The cells of the table that a campaign prints in the end, a dict a row."""
    said = work.with_name("said")  # a pipe would wait for whoever else has it open
    with said.open("w") as out:
        done = subprocess.run(
            [sys.executable, CAMPAIGNS / f"{name}.py", "--work", work, "--tiny", *options],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    text = said.read_text()
    assert done.returncode == 0, text[-2000:]
    lines = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line] for line in lines]
    return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.mark.experiment
@pytest.mark.process
def test_a_data_set_is_the_same_however_often_it_was_stopped(tmp_path):
    options = ("--count", "2", "--others", "1", "--commands", "prepare")
    (row,) = table_of("kill", tmp_path / "work", *options)
    assert (row["command"], row["SIGKILL"], row["faults"]) == ("prepare", "2", "0")
    assert int(row["folders compared"]) > 3


@pytest.mark.experiment
@pytest.mark.process
def test_damaged_clips_of_all_kinds_are_read_or_refused(tmp_path):
    pytest.importorskip("av", reason="needs PyAV (the extra `video`)")
    rows = table_of("hostile", tmp_path / "work", "--count", "150", "--slow", "0")
    assert {"npy", "vdd", "png", "animated gif", "mp4 mpeg4"} <= {row["kind"] for row in rows}
    assert sum(int(row["refused"]) for row in rows) > 20
    assert not any(int(row["faults"]) for row in rows)


@pytest.mark.experiment
@pytest.mark.process
def test_a_training_looks_at_itself(tmp_path):
    options = ("--variant", "toy", "--count", "60")
    rows = {row.pop(""): row for row in table_of("endurance", tmp_path / "work", *options)}
    assert float(rows["MiB resident"]["most"]) > 100
    assert rows["open files"]["first tenth"] == rows["open files"]["last tenth"]


@pytest.mark.experiment
@pytest.mark.process
def test_the_wheel_runs_where_it_is_installed(tmp_path):
    (row,) = table_of("wheels", tmp_path / "work")
    assert row["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert (row["pixels unlike the first's"], row["ok"]) == ("0.00%", "yes")


def test_a_clip_that_shows_no_transfer_is_refused(campaign):
    wheels = campaign("wheels")
    content, motion, video = (
        np.full((t, 4, 4, 3), x, np.uint8) for t, x in ((5, 9), (8, 99), (8, 0))
    )
    video[3:] = 200
    video[:3] = 150
    wheels.check(video, content, motion)
    for bad, words in (
        (video[:5], "a clip of"),
        (video[3:].repeat(2, 0)[:8], "nothing moves"),
        (motion + video // 40, "it is the motion"),
        (video - 150 + content[0], "it is the content"),
    ):
        with pytest.raises(ValueError, match=words):
            wheels.check(bad, content, motion)


@pytest.mark.parametrize(
    ("grown", "factor"),
    [("seconds", 1.1), ("MiB resident", 1.06), ("open files", 1.2), ("threads", 1.2)],
)
def test_what_grows_by_a_tenth_is_seen(campaign, capsys, grown, factor):
    endurance = campaign("endurance")

    def looks(factor):  # 1 ms of CPU a step; the machine becomes slower, which is no fault
        seconds = 0.0
        for i in range(100):
            machine, late = 1 + i / 100, factor if i > 80 else 1.0
            found = {"MiB resident": 250.0, "open files": 10, "threads": 24, "seconds": 0.001}
            found[grown] *= late
            seconds += 200 * found["seconds"] * machine
            yield found | {"step": 200 * i, "seconds": seconds, "yardstick": 0.004 * machine}

    assert endurance.tell(list(looks(1.0)))
    assert endurance.tell(list(looks(1.03)))
    assert "yes" not in capsys.readouterr().out
    assert not endurance.tell(list(looks(factor)))
    assert capsys.readouterr().out.count("yes") == 1


@pytest.fixture
def campaign(monkeypatch):
    monkeypatch.syspath_prepend(CAMPAIGNS)
    return importlib.import_module


def test_what_collectives_give_is_counted(campaign):
    devices, traffic = campaign("devices"), campaign("traffic")
    program = """
  %x = f32[8,4]{1,0} all-gather(f32[4,4]{1,0} %a), dimensions={0}
  %y = (f32[3]{0}, bf16[2,2]{1,0}) all-reduce(f32[3]{0} %b, bf16[2,2]{1,0} %c), to_apply=%add
  %z = f32[100]{0} add(f32[100]{0} %d, f32[100]{0} %e)
"""
    assert traffic.moved(program) == {"all-gather": 4 * 32, "all-reduce": 4 * 3 + 2 * 4}
    assert list(devices.splits([1, 4])) == [(1, 1), (4, 1), (2, 2), (1, 4)]


def test_a_child_tells_how_it_ended(campaign, tmp_path):
    common = campaign("common")
    progress, error = "decoding 2/16, 141 s left\n", "vdd: no room\n"
    warning, traceback = "vdd: warning: old\n", "Traceback (most recent call last):\n"

    def told(text):
        return common.Ended(2, "", text, 0.0).told

    assert all(map(told, ["", error, progress + warning + warning + error]))
    assert not any(map(told, [error + error, traceback, error + "and more\n"]))


def test_a_run_is_compared_without_its_times(campaign):
    kill, left_behind = campaign("kill"), campaign("left_behind")
    assert left_behind.stripped([{"step": 1, "seconds": 2.0, "a": {"mfu": 3}}]) == [
        {"step": 1, "a": {}}
    ]
    assert signal.SIGKILL in kill.SIGNALS.values()


@pytest.mark.process
@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--work", "."), "--work .*: file exists; give a new folder"),
        (
            ("--work", "new", "--commands", "train,dance"),
            "--commands dance: take of train, prepare",
        ),
    ],
)
def test_a_campaign_that_cannot_begin_says_so_in_one_line(tmp_path, given, told):
    done = subprocess.run(
        [sys.executable, CAMPAIGNS / "kill.py", "--tiny", *given], cwd=tmp_path,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode
    assert re.search(told, done.stderr.splitlines()[-1])
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
