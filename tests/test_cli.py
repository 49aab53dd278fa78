"""The `vdd` command, run in this process through `cli.main`, and once as an installed program."""

import json
import shlex
import shutil
from fractions import Fraction

import jax
import numpy as np
import pytest
import tiny
from commanding import transfer_arguments, vdd_command
from etils import epath
from PIL import Image

import vdd
from vdd import apply, cli, runs
from vdd.compression import compress
from vdd.data import video_io


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

    def close(a, b):
        np.testing.assert_allclose(a, b, rtol=2**-8, atol=np.abs(a).max() / 253)

    jax.tree.map(close, before, after)
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
        assert tiny.has_sound(out) == kept


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
