"""A prior from beginning to end: trained on a tiny run's codes, resumed, refused, put to use."""

import json
import os
import shutil
import signal
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from etils import epath
from small_prior import STEPS, get_config

import vdd
from vdd import apply, cli, compiled, main, priors, runs, streaming
from vdd.data import video_io
from vdd.diffusion.samplers import Sampler
from vdd.errors import UserError
from vdd.run import Run
from vdd.tasks import prior as task
from vdd.tasks.prior import evaluation

SAMPLER = Sampler("euler", 1, 0.05, 2.0)


def metrics(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_bits_are_those_of_all_groups(place):
    """A prior that has not learned takes every code of 2 x 8 for as likely: 6 bits."""
    first = metrics(place / "tiny_prior")[0]
    assert first["bits_per_frame"] == pytest.approx(6.0, abs=1e-4)
    assert metrics(place / "tiny_prior")[-1]["bits_per_frame"] < 6.0


def test_its_evaluation_is_of_held_out_clips(place):
    report = json.loads((place / "tiny_prior" / "eval" / f"{STEPS}.json").read_text())
    assert tiny.order_of_writing(place / "tiny_prior")[-2:] == ["report.md", f"eval/{STEPS}.json"]
    rate, prior = report["bitrate"], priors.load_prior(place / "tiny_prior")
    codes = evaluation.load_codes(vdd.load(place / "tiny"), "test", batch_size=4)
    logits = jax.jit(prior.model.apply)({"params": prior.params}, codes)
    log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), codes[..., None], -1)
    assert rate["prior_bits_per_clip"] == pytest.approx(
        float(-log_p.sum((1, 2, 3)).mean() / np.log(2)), rel=1e-4
    )
    assert rate["prior_bits_per_frame"] == pytest.approx(rate["prior_bits_per_clip"] / 4)
    assert rate["prior_bits_per_frame"] == pytest.approx(np.mean(rate["prior_bits_of_frames"]))
    logged = metrics(place / "tiny_prior")
    hooked = [line for line in logged if "validation_bits_per_frame" in line]
    assert [line["step"] for line in hooked] == [3, 6]
    watched = evaluation.load_codes(vdd.load(place / "tiny"), "validation", batch_size=4)
    expected = evaluation.rates(prior.model, prior.params, watched, 4)["prior_bits_per_frame"]
    assert hooked[-1]["validation_bits_per_frame"] == pytest.approx(expected)
    assert {line["seen_in_training"] for line in hooked} == {0}
    assert not any(key.startswith("test") for line in logged for key in line)
    page = (place / "tiny_prior" / "report.md").read_text()
    assert f"| {rate['prior_bits_per_frame']:.3f} |" in page


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(place, monkeypatch):
    workdir, config = place / "stopped", get_config(place / "tiny")
    with monkeypatch.context() as patch:
        patch.setattr(
            task, "hooks", lambda *_: [(2, lambda *_: os.kill(os.getpid(), signal.SIGTERM))]
        )
        assert main.train(config, workdir) == signal.SIGTERM
    assert main.train(config, workdir) is None
    one, other = (
        tiny.state_of(place / name, STEPS)["params"] for name in ("stopped", "tiny_prior")
    )
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_prior_is_found_by_its_run_and_not_taken_for_one(place, tmp_path):
    for name in ("tiny", "tiny_prior"):
        assert priors.find_prior(place / name) == place / "tiny_prior"
    shutil.copytree(place / "tiny_prior", place / "tiny" / "prior")
    assert priors.find_prior(place / "tiny") == place / "tiny" / "prior"
    shutil.rmtree(place / "tiny" / "prior")
    with pytest.raises(UserError, match="task 'prior', not a model of video"):
        vdd.load(place / "tiny_prior")
    shutil.copytree(place / "tiny", tmp_path / "alone")
    with pytest.raises(priors.NoPriorError, match=r"has no prior, neither as .*: train one with"):
        priors.load_prior(tmp_path / "alone")
    with pytest.raises(UserError, match="no such run") as missing:
        priors.find_prior(tmp_path / "nothing")
    assert not isinstance(missing.value, priors.NoPriorError)


def test_a_prior_beside_the_working_directory_is_found(place, monkeypatch):
    monkeypatch.chdir(place / "tiny")
    for name in (".", "../tiny", epath.Path("checkpoints/..")):
        assert priors.find_prior(name) == place / "tiny_prior"
    assert runs.absolute(epath.Path("gs://bucket/tiny")) == epath.Path("gs://bucket/tiny")


def test_a_prior_of_another_model_is_refused(place, tmp_path, monkeypatch):
    run, other = vdd.load(place / "tiny"), vdd.load(place / "tiny", step=3)
    assert priors.load_prior_of(run, place / "tiny").step == STEPS
    with pytest.raises(UserError, match=r"a prior of .*tiny, step 7, and not of .*, step 3"):
        priors.load_prior_of(other, place / "tiny")
    # Nor is the training gone on with when its source has been trained further.
    shutil.rmtree(shutil.copytree(place / "tiny", tmp_path / "source") / "checkpoints" / "7")
    shutil.copytree(place / "tiny_prior", tmp_path / "prior")
    config = get_config(tmp_path / "source")
    with pytest.raises(UserError, match="another model by now"):
        task.hooks(config, tmp_path / "prior")


def test_a_source_in_training_is_read_at_one_step_also_by_a_resumed_prior(
    place, tmp_path, monkeypatch
):
    source, workdir = epath.Path(tmp_path / "source"), epath.Path(tmp_path / "prior")
    shutil.copytree(place / "tiny", source)
    later = source / "checkpoints" / "7"
    later.rename(tmp_path / "7")
    config, load, loaded = get_config(source), vdd.load, []

    def trained_meanwhile(name, step=None):
        run = load(name, step)
        loaded.append(run.step)
        if not later.exists():
            shutil.copytree(tmp_path / "7", later)
        return run

    monkeypatch.setattr(task, "load_run", trained_meanwhile)
    monkeypatch.setattr(evaluation, "load_run", trained_meanwhile)
    with monkeypatch.context() as patch:
        hooks = task.hooks

        def stopped(*given):
            hooks(*given)
            return [(2, lambda *_: os.kill(os.getpid(), signal.SIGTERM))]

        patch.setattr(task, "hooks", stopped)
        assert main.train(config, workdir) == signal.SIGTERM
    assert main.train(config, workdir) is None
    assert len(loaded) > 3
    assert set(loaded) == {3}
    assert priors.load_prior(workdir).source.step == 3
    assert runs.load_config(workdir).source_step is None, "what was asked for is what is kept"


def test_an_exported_run_keeps_its_prior(place, tmp_path, capsys):
    assert cli.main(["export", str(place / "tiny"), str(tmp_path / "small")]) == 0
    small = vdd.load(tmp_path / "small")
    assert priors.load_prior_of(small, tmp_path / "small").model.num_codes == 8
    assert (tmp_path / "small" / "prior" / "eval" / f"{STEPS}.json").exists()
    # It says nothing of where it was made, but what its source was called.
    exported = epath.Path(tmp_path / "small" / "prior")
    files = [epath.Path(file).read_bytes() for file in Path(exported).rglob("*") if file.is_file()]
    assert not any(str(place).encode() in file for file in files)
    config, source = runs.load_config(exported), priors.read_source(exported)
    assert (config.source, source.run, source.step) == ("tiny", "tiny", 7)
    capsys.readouterr()
    assert cli.main(["info", str(tmp_path / "small" / "prior")]) == 0
    said = capsys.readouterr().out
    assert "2 groups x 8 codes\n" in said
    assert "prior_bits_per_frame" in said


def test_generated_video_is_that_of_its_codes_piece_by_piece(place, monkeypatch):
    monkeypatch.setattr(apply, "FRAMES_AT_ONCE", 2)
    run, prior = vdd.load(place / "tiny"), priors.load_prior(place / "tiny_prior")
    content = np.random.default_rng(0).normal(size=(2, 2, 4)).astype(np.float32)
    start = np.random.default_rng(0).integers(0, 8, (2, 2, 2), np.int32)

    @jax.jit
    def generate(keys, content, start):
        both = (run.model, run.params, prior.model, prior.params)
        return apply.generate(*both, keys, content, 5, start, sampler=SAMPLER)

    keys = jax.random.split(jax.random.key(0), 2)
    video, codes = generate(keys, content, start)
    assert video.shape == (2, 5, *tiny.SIZE)
    np.testing.assert_array_equal(codes[:, :2], start)
    # The noise of piece i is that of the clip's key, stream 1, number i.
    fold_in = jax.vmap(jax.random.fold_in, (0, None))
    sample = jax.jit(partial(apply.sample, run.model, run.params, sampler=SAMPLER))
    # The last is filled up with copies of its last frame.
    padded = jnp.concatenate([codes, codes[:, -1:]], axis=1)
    for number, piece in enumerate((slice(0, 2), slice(2, 4), slice(4, 6))):
        noise = fold_in(fold_in(keys, 1), number)
        motion = apply.lookup(run.model, run.params, padded[:, piece])
        drawn, expected = video[:, piece], sample(noise, content, motion)
        np.testing.assert_allclose(drawn, expected[:, : drawn.shape[1]], atol=1e-4)
    turned, _ = generate(keys[::-1], content[::-1], start[::-1])
    np.testing.assert_allclose(turned[::-1], video, atol=1e-4)


def test_what_is_streamed_is_what_is_generated(place, monkeypatch):
    monkeypatch.setattr(apply, "FRAMES_AT_ONCE", 2)
    run, prior = vdd.load(place / "tiny"), priors.load_prior(place / "tiny_prior")
    both = (run.model, run.params, prior.model, prior.params)
    content, start = tiny.random_video(1, 3)[0], tiny.random_video(1, 2, seed=1)[0]
    encode = jax.jit(apply.encode, static_argnums=0)
    tokens = encode(run.model, run.params, content[None]).content
    codes = encode(run.model, run.params, start[None]).codes
    generate = jax.jit(apply.generate, static_argnums=(0, 2, 6, 10))
    pieces = list(streaming.generate(*both, 7, tokens, 5, SAMPLER, codes, 0.8, 0.9))
    assert [piece.shape[1] for piece in pieces] == [2, 2, 1]
    whole = generate(*both, jax.random.key(7), tokens, 5, codes, 0.8, 0.9, SAMPLER)
    # Of two programs, which may round differently.
    drawn, expected = np.concatenate(pieces, axis=1), apply.to_uint8(whole.video)
    np.testing.assert_allclose(drawn, np.asarray(expected), atol=1)


def test_the_command(place, tmp_path, capsys):
    content = video_io.write_clip(tmp_path / "content.npy", tiny.random_video(1, 3)[0])
    out = tmp_path / "new" / "out.npy"

    def run(*more):
        common = ["--content", content, "--out", out, "--frames", 5, "--steps", 1]
        arguments = ["generate", place / "tiny", *common, *more]
        status = cli.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    status, said, complained = run()
    assert (status, complained) == (0, "")
    assert "5 frames of 16x16 at 8 frames a second" in said
    video = video_io.read_clip(out)
    run("--prior", place / "tiny_prior", "--fps", 3)
    np.testing.assert_array_equal(video_io.read_clip(out), video)
    run("--seed", 1)
    assert not np.array_equal(video_io.read_clip(out), video)
    for more, complaint in (
        (("--prior", place / "none"), "no such run directory"),
        (("--step", 3), "a prior of"),
        (("--top-p", 0), "not a number from 0.001 to 1"),
        (("--temperature", "hot"), "not a number from 0 to 100"),
        (("--frames", 40000000000), "more than 1,000,000"),
        (("--frames", 10**20), "more than 1,000,000"),
    ):
        status, _, complained = run(*more)
        assert (status, complained.count("\n")) == (2, 1)
        assert complaint in complained


def test_the_command_reads_no_more_of_clips_than_it_uses(place, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Run, "windows", (3, 0))
    window, read = 4, []
    monkeypatch.setattr(
        streaming,
        "generate",
        lambda *given: read.append(given) or iter([np.zeros((1, 5, *tiny.SIZE), np.uint8)]),
    )
    monkeypatch.setattr(
        compiled, "encode", lambda *given: SimpleNamespace(content=given[2], codes=given[2])
    )
    video = tiny.random_video(1, 7)[0]
    clip, end = (
        video_io.write_clip(tmp_path / f"{len(frames)}.npy", frames)
        for frames in (video, video[-window:])
    )

    def run(start, frames):
        clips = ["--content", clip, "--start", start, "--out", tmp_path / "out.npy"]
        arguments = ["generate", place / "tiny", *clips, "--frames", frames]
        status = cli.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    status, said, _ = run(clip, 5)
    assert status == 0
    assert "its last 4 frames of 7" in said
    np.testing.assert_array_equal(read[-1][5][0], video[:3])
    np.testing.assert_array_equal(read[-1][8][0], video[-window:])
    assert "its last" not in run(end, 5)[1]
    np.testing.assert_array_equal(read[-1][8][0], video[-window:])
    status, _, complained = run(clip, 4)
    assert status == 2
    assert "gives 4 frames: --frames" in complained
