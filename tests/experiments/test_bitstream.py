"""The bitstream script in its tiny form: a tiny run, a random prior, a random judge."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from vdd import priors
from vdd.data.sprites import SpritesArrays
from vdd.evaluation.judge import Verdict
from vdd.models.prior import MotionPrior
from vdd.run import Run

CLIPS = 18


@pytest.fixture
def bitstream(monkeypatch):
    monkeypatch.syspath_prepend(tiny.ROOT / "experiments")
    return importlib.import_module("bitstream")


def load_run(path):
    config = tiny.get_config({"eval.batch_size": 6})
    return Run(config, *tiny.get_model(), 1)


def load_prior_of(run, path, prior):
    model = MotionPrior(2, 8, 16, 1, 1, 2, 16, window=3)
    codes = jax.ShapeDtypeStruct((1, 2, 2), jnp.int32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), codes)["params"]
    source = priors.source_of(run, "sprites")  # `path` is nowhere
    return priors.PriorRun(None, model, tiny.perturbed(shapes, seed=9), 1, source)


def load_arrays(art, split, *_):
    rng = np.random.default_rng(0)
    motion = np.arange(CLIPS, dtype=np.int32) % 9
    clips = tiny.random_video(CLIPS, 8), motion, rng.integers(0, 6, (CLIPS, 4), np.int32)
    return SpritesArrays(*(np.repeat(part, 200, axis=0) for part in clips))  # one of 200 is taken


def judge(video):
    rng = np.random.default_rng(int(video.astype(np.int64).sum()))
    shapes = (len(video), 9), (len(video), 4, 6)
    return Verdict(*(rng.normal(size=shape).astype(np.float32) for shape in shapes))


@pytest.mark.experiment
def test_what_files_take_and_hold_is_told(bitstream, capsys, monkeypatch):
    monkeypatch.setattr(bitstream.vdd, "load", load_run)
    monkeypatch.setattr(bitstream, "load_prior_of", load_prior_of)
    monkeypatch.setattr(bitstream.data, "load_arrays", load_arrays)
    monkeypatch.setattr(bitstream.judge, "load_or_train", lambda *_, **__: judge)
    bitstream.main(["a_run", "--tiny"])
    said = capsys.readouterr().out.splitlines()
    assert said[1] == f"a_run at step 1, {CLIPS} clips of the validation split"
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in said if "|" in line}
    for name in ("counting", "prior"):
        file, clip, stream, ideal = (float(cell) for cell in rows[name][:4])
        assert file >= clip >= stream >= ideal > 0
    assert rows["counting"][4].strip() == "-"
    assert float(rows["prior"][4]) == pytest.approx(float(rows["prior"][3]), rel=1e-3)
    assert any("all codes and numbers are the same" in line for line in said)
    assert [line.split(":")[0] for line in said[-2:]] == [
        "4 swaps as they are",
        "4 swaps through files",
    ]


def test_a_code_that_changes_on_the_way_is_told(bitstream):
    run = load_run("a_run")
    coded_run = bitstream.CodedRun.create(run, None)
    coded = bitstream.take_apart(coded_run, tiny.random_video(2, 8), 6)
    written = bitstream.write_files(coded_run, coded)
    bitstream.read_files(coded_run, coded, written)
    changed = coded[0]._replace(codes=(coded[0].codes + 1) % 8)
    with pytest.raises(AssertionError):
        bitstream.read_files(coded_run, [changed, coded[1]], written)
