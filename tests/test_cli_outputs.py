"""Where the `vdd` command writes, and what it never writes over."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commanding import transfer_arguments, vdd_command

from vdd import cli
from vdd.compression import rereading
from vdd.data import video_io


def test_compressing_learns_nothing_that_cannot_be_written(tiny_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(rereading, "read", lambda *_: pytest.fail("learned in vain"))
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    videos = shutil.copytree(tiny_run, tmp_path / "videos")
    config = json.loads((videos / "config.json").read_text())
    config["data"] = {"dataset": "video_folder", "data_dir": "prepared", "frames": 8}
    (videos / "config.json").write_text(json.dumps(config))
    for run, folder, word in (
        (tiny_run, tmp_path / "file", "already there"),
        (tiny_run, tmp_path / "full", "already there"),
        (tiny_run, tmp_path / "file" / "coded", "Not a directory"),
        (videos, tmp_path / "new", "a run on video_folder"),
        (tmp_path / "none", tmp_path / "new", "no such run"),
    ):
        status, said, complained = vdd_command(capsys, "compress", run, folder)
        assert (status, said) == (2, "")
        assert word in complained
        assert complained.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_the_folder_of_an_output_is_made_as_the_help_says(tiny_run, clips, tmp_path, capsys):
    for command in ("transfer", "generate", "decode", "sheet", "encode"):
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        assert "a folder that is missing is made" in " ".join(capsys.readouterr().out.split())
    out = tmp_path / "not" / "there" / "o.gif"
    assert vdd_command(capsys, *transfer_arguments(tiny_run, clips, out))[0] == 0
    assert out.exists()
    refused = tmp_path / "nor" / "this" / "o.gif"
    wrong = transfer_arguments(tiny_run, clips, refused, "--window", 2, "--overlap", 2)
    assert vdd_command(capsys, *wrong)[0] == 2
    assert not (tmp_path / "nor").exists(), "of what is refused nothing is left"


@pytest.mark.parametrize("which", [0, 1])
def test_an_input_is_never_the_output(tiny_run, clips, tmp_path, capsys, which):
    before = Path(clips[which]).read_bytes()
    arguments = transfer_arguments(tiny_run, clips, clips[which], "--overwrite")
    status, _, complained = vdd_command(capsys, *arguments)
    assert (status, complained.count("\n")) == (2, 1)
    assert "is read, and cannot be written too" in complained
    assert Path(clips[which]).read_bytes() == before


def test_a_picture_is_not_written_among_those_that_are_read(tiny_run, clips, tmp_path, capsys):
    (tmp_path / "stills").mkdir()
    for number in range(2):
        pixels = np.full((16, 16, 3), 90 * number, np.uint8)
        video_io.write_clip(tmp_path / f"stills/{number}.png", pixels[None])
    (tmp_path / "link").symlink_to(tmp_path / "stills")
    before = {path: path.read_bytes() for path in (tmp_path / "stills").iterdir()}
    for name in ("stills/0.png", "link/1.png", "stills/new.png"):
        for more in (clips[0], tmp_path / "stills"), (tmp_path / "stills", clips[1]):
            arguments = transfer_arguments(tiny_run, more, tmp_path / name, "--overwrite")
            status, _, complained = vdd_command(capsys, *arguments)
            assert (status, complained.count("\n")) == (2, 1)
            assert "would be one of the pictures of" in complained
    assert {path: path.read_bytes() for path in (tmp_path / "stills").iterdir()} == before


def test_a_sheet_is_not_written_over_the_run_that_draws_it(tiny_run, clips, tmp_path, capsys):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    before = (run / "config.json").read_bytes()
    (tmp_path / "link").symlink_to(run)
    for place in (run, tmp_path / "link"):
        arguments = ["sheet", run, "--content", clips[0], "--out", place / "config.png"]
        status, _, complained = vdd_command(capsys, *arguments, "--overwrite")
        assert (status, complained.count("\n")) == (2, 1)
        assert "config.json: is read, and cannot be written too" in complained
    assert (run / "config.json").read_bytes() == before


def test_the_report_of_another_run_is_not_written_over(tiny_run, tmp_path, capsys):
    other = shutil.copytree(tiny_run, tmp_path / "other")
    before = sorted(other.rglob("*"))
    status, _, complained = vdd_command(capsys, "evaluate", tiny_run, "--out", other)
    assert (status, complained.count("\n")) == (2, 1)
    assert f"{other} is another run" in complained
    assert sorted(other.rglob("*")) == before


def test_an_output_is_refused_before_a_model_is_loaded(
    tiny_run, clips, tmp_path, capsys, monkeypatch
):
    for place in ("vdd.run.load", "vdd.codec.files.load_run"):
        monkeypatch.setattr(place, lambda *_, **__: pytest.fail("loaded in vain"))
    for ending in ("gif", "png", "vdd"):
        (tmp_path / f"folder.{ending}").mkdir()
    content = ["--content", clips[0]]
    commands = (
        ("gif", ["transfer", tiny_run, *content, "--motion", clips[1]]),
        ("gif", ["generate", tiny_run, *content, "--frames", 4]),
        ("gif", ["decode", tiny_run, clips[0]]),
        ("vdd", ["encode", tiny_run, clips[1]]),
        ("png", ["sheet", tiny_run, *content]),
    )
    for ending, arguments in commands:
        for name in (
            "a.xyz",
            f"folder.{ending}",
            f"content.npy/a.{ending}",
            f"{'x' * 300}.{ending}",
        ):
            status, _, told = vdd_command(capsys, *arguments, "--out", tmp_path / name)
            assert (status, told.count("\n")) == (2, 1), told
            assert told.startswith(f"vdd: {tmp_path / name}")


def test_somebody_else_s_file_is_replaced_only_if_that_is_said(tiny_run, clips, tmp_path, capsys):
    out = tmp_path / "theirs.npy"
    out.write_bytes(b"theirs")
    status, _, complained = vdd_command(capsys, *transfer_arguments(tiny_run, clips, out))
    assert (status, complained.count("\n")) == (2, 1)
    assert "not as vdd wrote it" in complained
    assert "--overwrite" in complained
    assert out.read_bytes() == b"theirs"
    arguments = transfer_arguments(tiny_run, clips, out, "--overwrite")
    assert vdd_command(capsys, *arguments)[0] == 0
    assert len(video_io.read_clip(out)) == 5


def test_home_is_spelled_out(tiny_run, clips, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run").symlink_to(tiny_run)
    arguments = transfer_arguments("~/run", ("~/content.npy", "~/motion.gif"), "~/new.npy")
    assert vdd_command(capsys, *arguments)[0] == 0
    assert (tmp_path / "new.npy").exists()


@pytest.mark.parametrize("name", ["report.md", "samples", "samples/swaps.gif", "eval/7.json"])
def test_an_evaluation_writes_over_nothing_of_somebody_else_s(tiny_run, tmp_path, capsys, name):
    theirs = tmp_path / "out" / name
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    status, _, complained = vdd_command(
        capsys, "evaluate", tiny_run, "--clips", 4, "--out", tmp_path / "out"
    )
    assert (status, complained.count("\n")) == (2, 1)
    assert f"{theirs}: " in complained
    assert theirs.read_text() == "mine"
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [theirs]


@pytest.mark.parametrize("command", ["export", "compress"])
@pytest.mark.parametrize("name", [".", "file"])
def test_a_folder_that_is_not_empty_is_not_written_into(tiny_run, tmp_path, capsys, command, name):
    (tmp_path / "file").write_text("mine")
    status, _, complained = vdd_command(capsys, command, tiny_run, tmp_path / name)
    assert (status, complained.count("\n")) == (2, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_examples_replace_no_clip_of_somebody_else_s(tmp_path, capsys):
    theirs = tmp_path / "walk_front.gif"
    theirs.write_text("mine")
    assert vdd_command(capsys, "examples", tmp_path)[0] == 2
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
