"""`vdd encode`, `vdd decode` and `vdd info`, in this process and on a machine set up otherwise."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
import tiny
from etils import epath

import vdd
from vdd import apply, cli, priors
from vdd.codec import container, description, files
from vdd.data import video_io
from vdd.evaluation import run as evaluation
from vdd.models.prior import MotionPrior
from vdd.training import checkpoints, workdir


@pytest.fixture(scope="session")
def tiny_prior(tiny_run, tmp_path_factory) -> Path:
    """The run directory of a prior of random parameters, of the codes of `tiny_run`."""
    path = epath.Path(tmp_path_factory.mktemp("priors") / "prior")
    sizes = {"width": 16, "time_layers": 1, "group_layers": 1, "num_heads": 2, "mlp_dim": 16}
    config = ml_collections.ConfigDict({"task": priors.TASK, "seed": 0})
    config.model, config.train = {**sizes, "window": 3}, {"keep": 1, "checkpoint_every": 0}
    workdir.claim(path, config)
    priors.write_source(path, priors.source_of(vdd.load(tiny_run), tiny_run))
    codes = jax.ShapeDtypeStruct((1, 2, 2), jnp.int32)
    model = MotionPrior(2, 8, **sizes, window=3)
    shapes = jax.eval_shape(model.init, jax.random.key(0), codes)["params"]
    with checkpoints.Checkpoints(path) as saved:
        saved.save(1, {"ema_params": tiny.perturbed(shapes, seed=9)}, {})
    return Path(path)


def vdd_command(capsys, *arguments) -> tuple[int, str, str]:
    status = cli.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_what_is_decoded_is_what_a_transfer_shows(tiny_run, tiny_prior, clip, tmp_path, capsys):
    coded, out, swap = tmp_path / "new" / "clip.vdd", tmp_path / "a.npy", tmp_path / "b.npy"
    options = ["--prior", tiny_prior]
    encode = ["encode", tiny_run, clip, "--out", coded, *options, "--chunk", 2]
    status, said, complained = vdd_command(capsys, *encode)
    assert (status, complained) == (0, "")
    assert f"{coded}: 5 frames, {coded.stat().st_size} bytes" in said
    assert "in 3 chunks" in said

    status, said, _ = vdd_command(capsys, "info", coded)
    assert status == 0
    assert "5 frames of 16x16 at 20 frames a second" in said
    assert "2 groups x 8 codes" in said
    assert "content tokens" in said
    assert files.open_run(tiny_run, tiny_prior).motion.fingerprint.hex() in said

    decode = ["decode", tiny_run, coded, *options, "--steps", 1, "--out"]
    status, said, complained = vdd_command(capsys, *decode, out)
    assert (status, complained) == (0, "")
    assert "5 frames of 16x16 at 20 frames a second" in said
    arguments = ["--content", clip, "--motion", clip, "--steps", 1, "--out", swap]
    assert vdd_command(capsys, "transfer", tiny_run, *arguments)[0] == 0
    difference = video_io.read_clip(out).astype(int) - video_io.read_clip(swap)
    assert np.abs(difference).mean() < 2  # the content's steps are all that differs

    # Of another clip's content the codes are the same, the pictures are not.
    other = video_io.write_clip(tmp_path / "other.gif", tiny.random_video(1, 5, seed=4)[0])
    assert vdd_command(capsys, *decode, swap, "--content", other)[0] == 0
    assert not np.array_equal(video_io.read_clip(swap), video_io.read_clip(out))


def test_what_is_lost_is_told_and_the_rest_is_shown(tiny_run, clip, tmp_path, capsys):
    coded, out = tmp_path / "clip.vdd", tmp_path / "out.npy"
    assert vdd_command(capsys, "encode", tiny_run, clip, "--out", coded, "--chunk", 2)[0] == 0
    whole = coded.read_bytes()
    data = bytearray(whole)
    data[data.rfind(container.SYNC) + 5] ^= 1
    coded.write_bytes(data)
    assert "1 of 3 chunks are lost" in vdd_command(capsys, "info", coded)[1]
    decode = ["decode", tiny_run, coded, "--steps", 1, "--out", out]
    status, _, complained = vdd_command(capsys, *decode)
    assert status == 0
    assert complained.splitlines() == [f"vdd: warning: {coded}: the last 1 of 5 frames are missing"]
    assert len(video_io.read_clip(out)) == 4
    data = bytearray(whole)
    data[data.find(container.SYNC) + 5] ^= 1
    coded.write_bytes(data)
    _, _, complained = vdd_command(capsys, *decode)
    assert complained.splitlines() == [
        f"vdd: warning: {coded}: frames 0 to 1 are lost: a pose is held"
    ]
    assert len(video_io.read_clip(out)) == 5


@pytest.mark.process
def test_a_process_set_up_otherwise_decodes_the_same(tiny_run, tiny_prior, clip, tmp_path):
    """Other devices, other code from the compiler, other BLAS threads, chunks by other batches."""
    coded_run = files.open_run(tiny_run, tiny_prior)
    coded = tmp_path / "clip.vdd"
    files.encode(coded_run, clip, coded, chunk_frames=2)
    script = f"""
import numpy as np, jax
from vdd.codec import clip, files
assert jax.device_count() == 3
clip._AT_ONCE = 1
decoded = files.decode(files.open_run({str(tiny_run)!r}, {str(tiny_prior)!r}), {str(coded)!r})
np.save({str(tmp_path / "codes.npy")!r}, decoded.codes)
"""
    settings = {
        "XLA_FLAGS": "--xla_cpu_enable_fast_math=true --xla_backend_optimization_level=3",
        "JAX_NUM_CPU_DEVICES": "3",
        "OPENBLAS_NUM_THREADS": "2",
        "OPENBLAS_CORETYPE": "Nehalem",
    }
    subprocess.run([sys.executable, "-c", script], env={**os.environ, **settings}, check=True)
    codes = np.load(tmp_path / "codes.npy")
    np.testing.assert_array_equal(codes, files.decode(coded_run, coded).codes)
    run = vdd.load(tiny_run)
    video = video_io.read_clip(clip, (16, 16))
    encoding = jax.jit(apply.encode, static_argnums=0)(run.model, run.params, video[None])
    np.testing.assert_array_equal(codes, encoding.codes[0])


def test_every_mistake_is_one_line_and_status_2(tiny_run, tiny_prior, clip, tmp_path, capsys):
    coded, out = tmp_path / "clip.vdd", tmp_path / "out.gif"
    assert vdd_command(capsys, "encode", tiny_run, clip, "--out", coded)[0] == 0
    for name in ("cut", "future"):
        (tmp_path / f"{name}.vdd").write_bytes(coded.read_bytes()[:40])
    (tmp_path / "future.vdd").write_bytes(b"\xb5VDD\x07" + coded.read_bytes()[5:])
    (tmp_path / "more.vdd").write_bytes(coded.read_bytes() + b"more")
    (tmp_path / "noise.vdd").write_bytes(np.random.default_rng(0).bytes(1000))
    with (tmp_path / "huge.vdd").open("wb") as file:
        file.truncate(description.container.MAX_BYTES + 1)
    decode = ["decode", tiny_run, "--out", out]
    for arguments, words in (
        (["encode", tiny_run, clip, "--out", "clip.mp4"], "ends in .vdd"),
        (["encode", tiny_run, clip, "--out", coded, "--chunk", 5000], "1 to 4096 frames"),
        (["encode", tiny_run, tmp_path / "none.gif", "--out", coded], "no such file"),
        (["encode", tiny_run, clip, "--out", coded, "--prior", tiny_run], "prior"),
        (["encode", tmp_path, clip, "--out", coded], "not a run"),
        ([*decode, tmp_path / "none.vdd"], "no such file"),
        ([*decode, clip], "not a vdd clip"),
        ([*decode, tmp_path / "cut.vdd"], "ends within its header"),
        ([*decode, tmp_path / "noise.vdd"], "not a vdd clip"),
        ([*decode, tmp_path / "huge.vdd"], "more than 64 MB"),
        ([*decode, tmp_path / "more.vdd"], "more.vdd: 4 bytes follow the clip's end"),
        ([*decode, tmp_path / "future.vdd"], "version 7"),
        ([*decode, coded, "--step", 3], "another model"),
        ([*decode, coded, "--prior", tiny_prior], "with no prior"),
        (["info", tmp_path / "future.vdd"], "version 7"),
        (["info", tmp_path / "cut.vdd"], "ends within its header"),
        (["info", tmp_path / "gone.vdd"], "no such file"),
    ):
        status, _, complained = vdd_command(capsys, *arguments)
        assert status == 2, (arguments, complained)
        assert words in complained, (arguments, complained)
        assert complained.count("\n") == 1
        assert complained.startswith("vdd: ")
    assert not out.exists()


def test_the_prior_that_lies_with_a_run_is_taken_where_one_is_needed(
    tiny_run, tiny_prior, clip, tmp_path
):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    without = files.open_run(run)
    files.encode(without, clip, tmp_path / "counted.vdd")
    shutil.copytree(tiny_prior, tmp_path / "run_prior")
    predicting = files.open_run(run)
    files.encode(predicting, clip, tmp_path / "predicted.vdd")
    assert predicting.motion.fingerprint != bytes(8)
    assert files.open_run(run, "none").motion.fingerprint == bytes(8)
    for name in ("counted", "predicted"):
        coded = tmp_path / f"{name}.vdd"
        decoded = files.decode(files.open_run(run, clip=coded), coded)
        assert len(decoded.codes) == 5


def test_a_prior_that_does_not_fit_or_is_broken_is_told_and_can_be_done_without(
    tiny_run, tiny_prior, clip, tmp_path, capsys
):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    shutil.copytree(tiny_prior, tmp_path / "run_prior")
    encode = ["encode", run, clip, "--out", tmp_path / "clip.vdd"]
    place = epath.Path(run)
    assert evaluation._coder(vdd.load(tiny_run), epath.Path(tiny_run)) is None
    coder = evaluation._coder(vdd.load(run), place)
    assert coder is not None
    assert coder(np.zeros((2, 3, 2), np.int64)) > 0
    hint = "; or encode with --prior none"

    status, _, complained = vdd_command(capsys, *encode, "--step", 3)
    assert (status, hint in complained, "not of" in complained) == (2, True, True)
    assert evaluation._coder(vdd.load(run, 3), place) is None
    (tmp_path / "run_prior" / "source.json").write_text("{")
    status, _, complained = vdd_command(capsys, *encode)
    assert (status, hint in complained, "cannot be read" in complained) == (2, True, True)
    with pytest.raises(vdd.errors.UserError, match="cannot be read"):
        evaluation._coder(vdd.load(run), place)
    for named in (["--prior", tmp_path / "run_prior"], ["--prior", "none"]):
        status, _, complained = vdd_command(capsys, *encode, *named)
        assert status == (0 if named[1] == "none" else 2)
        assert hint not in complained


def test_a_pipe_is_read_once(tiny_run, clip, tmp_path, capsys):
    coded, pipe, out = (tmp_path / name for name in ("clip.vdd", "pipe.vdd", "out.npy"))
    files.encode(files.open_run(tiny_run), clip, coded)
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(coded.read_bytes(),), daemon=True)
    writer.start()
    decode = ["decode", tiny_run, pipe, "--steps", 1, "--out", out]
    assert vdd_command(capsys, *decode)[0] == 0
    assert len(video_io.read_clip(out)) == 5


def test_losses_are_told_in_few_lines(tiny_run):
    run = files.open_run(tiny_run)
    decoded = run.from_bytes(run.to_bytes(run.take_apart(tiny.random_video(1, 2)[0]), 8.0))
    decoded = decoded._replace(codes=np.zeros((40, 2), np.int64))
    ranges = [(i, i + 1) for i in range(0, 36, 4)]
    assert list(files._losses(decoded)) == []
    many = list(files._losses(decoded._replace(lost=[*ranges, (37, 39)])))
    assert many == [
        *(f"frames {i} to {i + 1} are lost: a pose is held" for i in (0, 4, 8)),
        "18 frames in 9 places are lost like that",
        "the last 3 of 40 frames are missing",
    ]
    assert len(list(files._losses(decoded._replace(lost=ranges[:3])))) == 3
