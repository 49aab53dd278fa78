"""The `vdd` command, run in this process through `cli.main`, and once as an installed program."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny
from etils import epath
from PIL import Image

import vdd
from vdd import apply, cli, runs, startup
from vdd.compression import compress, rereading
from vdd.data import video_io, video_writer


@pytest.fixture
def clips(tmp_path):
    """A content clip of the model's own size and a longer, larger motion clip."""
    rng = np.random.default_rng(0)
    content = rng.integers(0, 256, (2, 16, 16, 3), np.uint8)
    motion = rng.integers(0, 256, (5, 90, 120, 3), np.uint8)
    return (
        str(video_io.write_clip(tmp_path / "content.npy", content)),
        str(video_io.write_clip(tmp_path / "motion.gif", motion, fps=20)),
    )


def vdd_command(capsys, *arguments) -> tuple[int, str, str]:
    status = cli.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def transfer_arguments(run, clips, out, *more) -> list:
    # One step and always the same lengths, so that there is only one program to compile.
    clips = ["--content", clips[0], "--motion", clips[1]]
    return ["transfer", run, *clips, "--out", out, "--steps", 1, *more]


def test_transfer_writes_a_clip_as_long_as_the_motion_clip(tiny_run, clips, tmp_path, capsys):
    out = tmp_path / "new" / "swap.npy"
    status, said, complained = vdd_command(capsys, *transfer_arguments(tiny_run, clips, out))
    assert (status, complained) == (0, "")
    assert "120x90 scaled and cropped to the model's 16x16" in said
    assert "frames a second, 1 sampler step (1 network evaluation)\n" in said
    assert "5 frames of 16x16 at 20 frames a second" in said
    video = video_io.read_clip(out)
    assert video.shape == (5, 16, 16, 3)

    again, other = tmp_path / "again.npy", tmp_path / "other.npy"
    vdd_command(capsys, *transfer_arguments(tiny_run, clips, again))
    vdd_command(capsys, *transfer_arguments(tiny_run, clips, other, "--seed", 1))
    assert np.array_equal(video_io.read_clip(again), video)
    assert not np.array_equal(video_io.read_clip(other), video)

    motion = video_io.read_clip(clips[1])
    longer = video_io.write_clip(tmp_path / "longer.gif", np.concatenate([motion, motion]))
    arguments = transfer_arguments(tiny_run, (clips[0], longer), again, "--frames", 5, "--fps", 3)
    assert "at 3 frames a second" in vdd_command(capsys, *arguments)[1]
    assert np.array_equal(video_io.read_clip(again), video)

    windows = ("--window", 5, "--overlap", 2)
    arguments = transfer_arguments(tiny_run, (clips[0], longer), again, *windows)
    assert ": 10 frames" in vdd_command(capsys, *arguments)[1]
    assert video_io.read_clip(again).shape == (10, 16, 16, 3)
    arguments = transfer_arguments(tiny_run, clips, again, "--window", 2, "--overlap", 2)
    status, _, complained = vdd_command(capsys, *arguments)
    assert (status, complained) == (2, "vdd: --overlap 2 does not fit windows of 2 frames\n")


def test_examples_are_clips_that_the_command_it_prints_can_read(tmp_path, capsys):
    status, said, complained = vdd_command(capsys, "examples", tmp_path / "clips")
    assert (status, complained) == (0, "")
    arguments = shlex.split(said.splitlines()[-1])
    options = cli.parser().parse_args(arguments[1:])
    assert options.run_dir in runs.pretrained()
    clips = [video_io.read_clip(path) for path in (options.content, options.motion)]
    assert [clip.shape for clip in clips] == [(8, 64, 64, 3)] * 2
    assert len(list((tmp_path / "clips").glob("*.gif"))) == 9
    assert (tmp_path / "clips/idle.png").exists()


def test_info_of_a_run(tiny_run, capsys):
    status, said, _ = vdd_command(capsys, "info", tiny_run)
    assert status == 0
    run = vdd.load(tiny_run)
    total = sum(leaf.size for leaf in __import__("jax").tree.leaves(run.params))
    assert f"{total:,}" in said
    assert "2 groups x 8 codes: at most 6 bits a frame" in said
    assert "checkpoints: 3, 7" in said
    assert "none yet" in said


def test_info_shows_the_latest_evaluation(tiny_run, tmp_path, capsys):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "eval").mkdir()
    for step, accuracy in ((10, 0.875), (9, 0.25)):
        report = {
            "step": step,
            "split": "test",
            "num_clips": 2664,
            "transfer": {"motion_acc": accuracy, "leak_acc": None},
        }
        (run / "eval" / f"{step}.json").write_text(json.dumps(report))
    _, said, _ = vdd_command(capsys, "info", run)
    assert "step 10, 2664 clips of the test split" in said
    assert "motion_acc 0.875" in said
    assert "leak_acc" not in said
    (run / "eval" / "10.json").write_text("{")
    status, _, complained = vdd_command(capsys, "info", run)
    assert status == 2
    assert "10.json: cannot be read" in complained


def test_evaluate_prints_the_figures_and_where_they_are(tiny_run, capsys, monkeypatch):
    asked = []

    def measure(workdir, **options):
        asked.append((str(workdir), options))
        return {"step": 3, "split": "train", "num_clips": 9000, "judge": {"motion_acc": 0.99875}}

    monkeypatch.setattr("vdd.evaluation.run.evaluate_run", measure)
    arguments = ["evaluate", tiny_run, "--split", "train", "--step", 3, "--art-dir", "sheets"]
    status, said, _ = vdd_command(capsys, *arguments)
    assert status == 0
    options = {"split": "train", "step": 3, "art_dir": "sheets", "data_dir": None}
    options |= {"faces": False, "clips": None}
    options["out"] = epath.Path(tiny_run)
    assert asked == [(str(tiny_run), options)]
    assert "motion_acc 0.99875" in said
    assert said.endswith(f"{tiny_run}/eval/3_train.json\n")
    assert vdd_command(capsys, *arguments, "--out", "there")[1].endswith(
        "there/eval/3_train.json\n"
    )

    # What is installed is not written to.
    monkeypatch.setattr(runs, "PRETRAINED", epath.Path(tiny_run.parent))
    said = vdd_command(capsys, "evaluate", tiny_run.name)[1]
    assert said.endswith(f"{tiny_run.name}_evaluation/eval/3_train.json\n")


def test_a_part_is_not_written_over_what_was_measured_of_the_whole(tiny_run, capsys):
    before = sorted(tiny_run.rglob("*"))
    for there in ([], ["--out", tiny_run / ".." / tiny_run.name]):
        status, _, complained = vdd_command(capsys, "evaluate", tiny_run, "--clips", 4, *there)
        assert status == 2
        assert complained == (
            "vdd: --clips 4 measures another part than the run does: give --out DIR\n"
        )
    assert sorted(tiny_run.rglob("*")) == before


def test_figures_of_other_data_do_not_take_the_place_of_the_run_s(tiny_run, tmp_path, capsys):
    before = sorted(tiny_run.rglob("*"))
    status, _, told = vdd_command(capsys, "evaluate", tiny_run, "--data-dir", tmp_path)
    assert status == 2
    assert told == f"vdd: --data-dir {tmp_path} is not the run's: give --out DIR\n"
    assert sorted(tiny_run.rglob("*")) == before


def test_info_of_a_clip(clips, capsys):
    assert "5 frames of 120x90 at 20 frames a second" in vdd_command(capsys, "info", clips[1])[1]
    assert "2 frames of 16x16" in vdd_command(capsys, "info", clips[0])[1]


def test_load_takes_the_latest_step_or_the_one_named(tiny_run):
    latest, named = vdd.load(tiny_run), vdd.load(str(tiny_run), step=3)
    assert (latest.step, named.step) == (7, 3)
    assert latest.model == named.model
    assert not np.array_equal(
        latest.params["motion_head"]["kernel"], named.params["motion_head"]["kernel"]
    )
    assert isinstance(latest.config.model.latents.size, tuple)
    hash(latest.model)  # a static argument of jit


def test_the_name_of_a_shipped_model_works_as_a_path(tiny_run, tmp_path, monkeypatch, capsys):
    shutil.copytree(tiny_run, tmp_path / "pretrained" / "ant")
    monkeypatch.setattr(runs, "PRETRAINED", type(runs.PRETRAINED)(tmp_path / "pretrained"))
    assert vdd.load("ant").step == 7
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ant").mkdir()  # no run, and so not what is meant
    assert vdd.load("ant").step == 7
    assert "checkpoints: 3, 7" in vdd_command(capsys, "info", "ant")[1]
    shutil.copytree(tiny_run, tmp_path / "ant", dirs_exist_ok=True)
    assert runs.find("ant") == epath.Path("ant")
    with pytest.raises(vdd.errors.UserError, match=r"there are: ant\)"):
        vdd.load("bee")


def test_an_exported_run_is_small_and_the_same_but_for_rounding(tiny_run, tmp_path, capsys):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    config["data"]["art_dir"] = str(tmp_path / "art")
    (run / "config.json").write_text(json.dumps(config))
    (run / "eval").mkdir()
    (run / "eval" / "3.json").write_text('{"step": 3, "split": "test", "num_clips": 9}')
    small = tmp_path / "small"
    status, said, complained = vdd_command(capsys, "export", run, small, "--step", 3)
    assert (status, complained) == (0, "")
    assert "step 3" in said
    assert "9 clips of the test split" in vdd_command(capsys, "info", small)[1]
    whole, rounded = vdd.load(run, 3), vdd.load(small)
    assert rounded.step == 3
    assert rounded.model == whole.model
    before, after = jax.device_get((whole.params, rounded.params))  # or `==` compiles every shape
    exact = jax.tree.map(lambda a, b: bool(np.all(a == b)), before, after)
    assert exact["quantizer"]["codebook"]["codewords"]
    assert not all(jax.tree.leaves(exact))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2**-8), before, after)
    assert {x.dtype.name for x in jax.tree.leaves(rounded.params)} == {"float32"}

    def size(folder):
        return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

    assert size(small) < size(run / "checkpoints" / "3")
    assert "already there" in vdd_command(capsys, "export", run, small)[2]
    # It says nothing of where it was made.
    files = [file.read_bytes() for file in small.rglob("*") if file.is_file()]
    assert not any(str(tmp_path).encode() in file for file in files)


def test_a_run_is_compressed_into_a_run(tiny_run, tmp_path, capsys, monkeypatch):
    shown = tiny.random_video(12, 4)
    monkeypatch.setattr(
        compress.datasets, "load_clips", lambda data, split, _: {"fit": shown}[split]
    )
    coded, again = tmp_path / "coded", tmp_path / "again"
    status, said, _ = vdd_command(capsys, "compress", tiny_run, coded, "--step", 3, "--updates", 3)
    assert status == 0
    assert "step 3" in said
    assert "a code of 12 whole numbers" in vdd_command(capsys, "info", coded)[1]
    before, after = vdd.load(tiny_run, 3), vdd.load(coded)
    assert after.step == 3
    assert after.config.compression.num_steps == 3
    encode = jax.jit(apply.encode, static_argnums=0)
    encoded = encode(after.model, after.params, shown)
    aliases = np.asarray(after.params["quantizer"]["codebook"]["aliases"])
    plain = encode(before.model, before.params, shown)
    for group in range(2):
        expected = aliases[group][np.asarray(plain.codes)[..., group]]
        np.testing.assert_array_equal(encoded.codes[..., group], expected)
    assert np.any(encoded.content != plain.content)
    model, params = compress.without_short_codes(after)
    assert model == before.model
    jax.tree.map(np.testing.assert_array_equal, params, before.params)

    # What was compressed can be compressed again, to the same; and exported.
    assert vdd_command(capsys, "compress", coded, again, "--updates", 3)[0] == 0
    jax.tree.map(np.testing.assert_array_equal, vdd.load(again).params, after.params)
    assert vdd_command(capsys, "export", coded, tmp_path / "small")[0] == 0
    small = vdd.load(tmp_path / "small").params
    np.testing.assert_array_equal(small["quantizer"]["codebook"]["aliases"], aliases)


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


def test_the_installed_program_answers_and_ends_with_its_status():
    program = [sys.executable, "-c", "import sys; from vdd.cli import main; sys.exit(main())"]
    done = subprocess.run([*program, "info", "none.gif"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "vdd: none.gif: no such file or folder\n"


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


def test_sound_stays_where_the_speed_does(tiny_run, clips, tmp_path, capsys):
    av = pytest.importorskip("av")
    motion = tmp_path / "motion.mp4"
    with av.open(str(motion), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(30000, 1001))
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
        sound = container.add_stream("aac", rate=48000, layout="mono")
        for i in range(5):
            pixels = np.full((16, 16, 3), 40 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.float32), "fltp", "mono")
        frame.sample_rate = 48000
        container.mux([*sound.encode(frame), *sound.encode()])
    out = tmp_path / "out.mp4"
    for fps, kept in (("29.97", True), ("30", False)):
        arguments = transfer_arguments(tiny_run, (clips[0], motion), out, "--fps", fps)
        status, said, _ = vdd_command(capsys, *arguments)
        assert status == 0
        assert ("its sound is left out, as --fps changes the speed" in said) != kept
        assert video_writer.has_sound(out) == kept


def test_a_transfer_reads_every_kind_that_is_prepared(tiny_run, clips, tmp_path, capsys):
    """An avif still among them, and a photo that is named .jfif."""
    av = pytest.importorskip("av")
    video = video_io.read_clip(clips[1])
    still = Image.fromarray(video[0])
    still.save(tmp_path / "still.avif")
    still.save(tmp_path / "still.jfif", "JPEG")
    motions = [tmp_path / "still.avif", tmp_path / "still.jfif"]
    for name, codec in (("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.m4v", "libx264")):
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream(codec, rate=20)
            stream.height, stream.width, stream.pix_fmt = 90, 120, "yuv420p"
            for pixels in video:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode())
        motions.append(tmp_path / name)
    for motion in motions:
        out = tmp_path / f"{motion.name}.npy"
        arguments = transfer_arguments(tiny_run, (tmp_path / "still.avif", motion), out)
        status, _, complained = vdd_command(capsys, *arguments)
        assert (status, complained) == (0, ""), motion
        assert len(video_io.read_clip(out)) == (1 if motion.stem == "still" else 5)


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


def test_train_and_prepare_are_the_same_programs(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["train", "--config=nowhere.py"])
    assert left.value.code == 2
    assert "no config file nowhere.py" in capsys.readouterr().err
    arguments = ["prepare", "--source", tmp_path / "none", "--out", tmp_path / "out"]
    status, _, complained = vdd_command(capsys, *arguments)
    assert (status, complained.count("\n")) == (2, 1)
    assert "none" in complained
