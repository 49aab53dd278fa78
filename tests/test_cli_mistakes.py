"""Mistakes of users of the `vdd` command are told in a line; help helps."""

import json
import os
import shutil
import subprocess
import sys
import tempfile

import jax
import numpy as np
import pytest
from commanding import transfer_arguments, vdd_command

import vdd
from vdd import cli, startup


def broken_runs(folder, tiny_run):
    """Run directories that must end in one clear line, with a word that the line holds."""
    (folder / "empty").mkdir()
    (folder / "file").write_text("")
    for name in ("no_checkpoint", "bad_json", "other_version", "unreadable"):
        shutil.copytree(tiny_run, folder / name)
    shutil.rmtree(folder / "no_checkpoint" / "checkpoints")
    (folder / "bad_json" / "config.json").write_text("{")
    config = json.loads((folder / "other_version" / "config.json").read_text())
    config["model"]["encoder"]["depth"] = 3
    (folder / "other_version" / "config.json").write_text(json.dumps(config))
    for manifest in (folder / "unreadable").rglob("manifest.ocdbt"):
        manifest.unlink()
    return {
        "empty": "no config.json",
        "file": "not a run directory",
        "no_checkpoint": "no checkpoint",
        "bad_json": "cannot be read",
        "other_version": "depth",
        "unreadable": "can be read",
        "missing": "no such run",
    }


@pytest.mark.filterwarnings("ignore:the checkpoint of step")
def test_every_user_mistake_is_one_line_and_status_2(tiny_run, clips, tmp_path, capsys):
    out = tmp_path / "out.gif"
    mistakes = {
        words: transfer_arguments(tmp_path / name, clips, out)
        for name, words in broken_runs(tmp_path, tiny_run).items()
    }
    (tmp_path / "broken.gif").write_bytes(b"GIF89a")
    swapped = (clips[0], tmp_path / "broken.gif")
    mistakes |= {
        "no checkpoint of step 5": transfer_arguments(tiny_run, clips, out, "--step", 5),
        "broken.gif": transfer_arguments(tiny_run, swapped, out),
        "cannot write this ending": transfer_arguments(tiny_run, clips, "out.avi"),
        "above 0": transfer_arguments(tiny_run, clips, out, "--frames", 0),
        "0.1 to 240": transfer_arguments(tiny_run, clips, out, "--fps", "nan"),
        "not a whole number from 0": transfer_arguments(tiny_run, clips, out, "--seed", -1),
        "name one run": ["transfer", "--content", clips[0], "--motion", clips[1], "--out", out],
        "name one": transfer_arguments(tiny_run, clips, out, "--run", tiny_run),
        "required: --content": ["transfer", tiny_run, "--motion", clips[1], "--out", out],
        "invalid choice": ["dance"],
        "required: COMMAND": [],
        "no such file": ["info", tmp_path / "nothing.mp4"],
        "neither a run": ["info", tmp_path / "empty"],
    }
    for words, arguments in mistakes.items():
        status, _, complained = vdd_command(capsys, *arguments)
        lines = complained.splitlines()
        assert status == 2, (arguments, complained)
        assert words in lines[-1], (arguments, complained)
        assert lines[-1].startswith("vdd: ")
        warnings = [line for line in lines[:-1] if not line.startswith("vdd: warning: ")]
        assert not warnings, complained
    assert not out.exists()


def test_a_full_disk_and_an_interrupt_are_quiet(tiny_run, clips, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    arguments = transfer_arguments(tiny_run, clips, tmp_path / "out.gif")
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        status, _, complained = vdd_command(capsys, *arguments)
    assert (status, complained.count("\n")) == (2, 1)
    assert "No space left" in complained
    monkeypatch.setattr("vdd.run.load", interrupted)
    assert vdd_command(capsys, *arguments)[::2] == (130, "")


def test_too_little_memory_is_told_in_one_line(tiny_run, clips, tmp_path, capsys, monkeypatch):
    def fail_with(error):
        def fail(*_, **__):
            raise error

        monkeypatch.setattr("vdd.run.load", fail)
        return vdd_command(capsys, *transfer_arguments(tiny_run, clips, tmp_path / "out.gif"))

    for error in (
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory\nallocating 8 bytes."),
        MemoryError("Unable to allocate 8 bytes"),
    ):
        status, _, complained = fail_with(error)
        assert (status, complained.count("\n")) == (2, 1)
        assert "out of memory" in complained


def test_an_error_that_nobody_foresaw_is_one_line_and_a_file(
    tiny_run, clips, tmp_path, capsys, monkeypatch
):
    def fail(*_, **__):
        raise LookupError("no such\nthing")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("vdd.run.load", fail)
    arguments = transfer_arguments(tiny_run, clips, tmp_path / "out.gif")
    status, _, complained = vdd_command(capsys, *arguments)
    (file,) = tmp_path.glob("vdd-error-*.txt")
    assert (status, complained.count("\n")) == (1, 1)
    assert "while loading the model: LookupError no such thing" in complained
    assert str(file) in complained
    assert "Traceback" in file.read_text()
    assert "in fail" in file.read_text()

    status, _, complained = vdd_command(capsys, *arguments, "--debug")
    assert status == 1
    assert "Traceback" in complained
    assert len(list(tmp_path.glob("vdd-error-*.txt"))) == 1

    # Where no file can be written the traceback is shown after all.
    monkeypatch.setattr("os.replace", full)
    assert "Traceback" in vdd_command(capsys, *arguments)[2]


def test_names_that_the_terminal_cannot_show_do_not_stop_a_command(tmp_path):
    name = tmp_path / "wörld.npy"
    np.save(name, np.zeros((2, 8, 8, 3), np.uint8))
    program = [sys.executable, "-c", "import sys; from vdd.cli import main; sys.exit(main())"]
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*program, "info", name], capture_output=True, text=True, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "w\\xf6rld.npy: 2 frames of 8x8" in done.stdout


def test_a_platform_that_is_not_there_is_told_before_any_work(monkeypatch):
    def none(*_):
        raise AssertionError

    monkeypatch.setattr(jax, "devices", none)
    with pytest.raises(vdd.errors.UserError, match=r"no device .*JAX_PLATFORMS=cuda: unset it"):
        startup.check_devices({"JAX_PLATFORMS": "cuda"})


@pytest.mark.parametrize("place", ["https://host/a.mp4", "s3://bucket/a.mp4", "file:///a.mp4"])
def test_addresses_are_refused_with_a_hint(tiny_run, clips, tmp_path, place, capsys):
    out = tmp_path / "out.gif"
    hint = "by its path, without file://" if place.startswith("file") else "copy it to this machine"
    for arguments in (
        transfer_arguments(tiny_run, (place, clips[1]), out),
        transfer_arguments(tiny_run, (clips[0], place), out),
        transfer_arguments(place, clips, out),
        transfer_arguments(tiny_run, clips, place),
        ["encode", tiny_run, clips[0], "--out", place],
        ["examples", place],
        ["info", place],
    ):
        status, _, complained = vdd_command(capsys, *arguments)
        assert status == 2
        assert complained.startswith(f"vdd: {place}: ")
        assert hint in complained
        assert complained.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        "transfer",
        "generate",
        "encode",
        "decode",
        "sheet",
        "motions",
        "evaluate",
        "info",
        "examples",
        "compress",
        "export",
    ],
)
def test_help_of_every_command_shows_an_example_that_parses(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    example = capsys.readouterr().out.split("example:\n")[1].split()
    assert example[:2] == ["vdd", command]
    cli.parser().parse_args(example[1:])


def test_the_installed_program_answers_and_ends_with_its_status():
    program = [sys.executable, "-c", "import sys; from vdd.cli import main; sys.exit(main())"]
    done = subprocess.run([*program, "info", "none.gif"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "vdd: none.gif: no such file or folder\n"


def test_train_and_prepare_are_the_same_programs(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["train", "--config=nowhere.py"])
    assert left.value.code == 2
    assert "no config file nowhere.py" in capsys.readouterr().err
    arguments = ["prepare", "--source", tmp_path / "none", "--out", tmp_path / "out"]
    status, _, complained = vdd_command(capsys, *arguments)
    assert (status, complained.count("\n")) == (2, 1)
    assert "none" in complained
