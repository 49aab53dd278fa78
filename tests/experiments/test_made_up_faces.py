"""`experiments/made_up_faces.py`: samples that are alike and samples that are not; a tiny run."""

import importlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from tiny import ROOT

import vdd
from vdd import priors
from vdd.errors import UserError
from vdd.evaluation.faces import Faces, Observed
from vdd.models.prior import MotionPrior

pytestmark = pytest.mark.experiment


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    return importlib.import_module("made_up_faces")


def test_two_samples_of_one_distribution_cannot_be_told_apart(script):
    rng = np.random.default_rng(0)
    p = [script.two_samples(*rng.normal(size=(2, 20, 3)), seed=i)["p"] for i in range(12)]
    assert 0.2 < np.mean(p) < 0.8
    assert min(p) > 0.005


def test_two_samples_that_differ_in_spread_alone_are_told_apart(script):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), 3 * rng.normal(size=(40, 3))
    found = script.two_samples(x, y, seed=0)
    assert found["p"] < 0.01
    assert found["MMD^2"] > 0.0


def test_samples_that_are_all_the_same_are_not_told_apart(script):
    assert script.two_samples(np.ones((3, 2)), np.ones((3, 2)), seed=0)["p"] == 1.0


def test_distance_of_distributions_is_that_of_their_steps(script):
    x = np.arange(10.0)
    assert script.kolmogorov_smirnov(x, x) == 0.0
    assert script.kolmogorov_smirnov(x, x + 5) == pytest.approx(0.5)
    assert script.kolmogorov_smirnov(x, x + 100) == 1.0


FACE = np.random.default_rng(0).normal(size=(68, 2))


def observe(video):
    """A face as far down as the frame is bright, and nowhere where it is black."""
    bright = video.mean(axis=(1, 2, 3))
    landmarks = FACE[None] + bright[:, None, None] * np.array([0.0, 0.1])
    return Observed(np.where(bright[:, None, None] > 0, landmarks, np.nan), None)


def shown(*bright):
    return np.broadcast_to(np.array(bright, np.uint8)[:, None, None, None], (len(bright), 8, 8, 3))


def test_speed_and_range_are_those_of_the_tracks(script):
    steady = np.arange(8.0)[:, None] * np.array([0.1, 0, 0, 0, 0, 0.2])[None]
    rows = script.speeds([steady], [2 * steady])
    assert rows["mouth open"] == {"median": pytest.approx(0.1), "KS": 1.0}
    assert rows["eyes open"] == {"median": 0.0, "KS": 0.0}
    assert script.ranges([steady, steady])["place down"] == pytest.approx(0.2 * np.arange(8).std())


def test_frames_without_a_face_between_do_not_make_a_face_faster(script):
    whole, gap = (
        script.tracks(Faces(observe, {}), shown(*bright))
        for bright in ((10, 20, 30, 40, 50, 60), (10, 20, 0, 0, 50, 60))
    )
    assert gap.shape == (6, 6)
    assert np.isnan(gap[2:4]).all()
    np.testing.assert_array_equal(np.isfinite(gap[:, 5]), [1, 1, 0, 0, 1, 1])
    speeds = script.speeds([gap], [whole])
    assert speeds["place down"]["median"] == pytest.approx(np.diff(whole[:, 5])[0])
    assert len(script.steps([gap])) == 2
    assert script.ranges([gap])["place down"] == pytest.approx(gap[[0, 1, 4, 5], 5].std())
    told = script.told([whole, gap])
    np.testing.assert_allclose(told[0, :6], told[1, :6], atol=1e-12)
    assert np.isfinite(told).all()


def test_clips_with_few_faces_or_none_beside_another_are_left_out(script):
    see = Faces(observe, {})
    assert script.tracks(see, shown(10, 20, 0, 0, 0)) is None
    assert script.tracks(see, shown(10, 0, 20, 0)) is None
    assert script.tracks(see, shown(10, 20, 0, 0)) is not None


@pytest.fixture
def run(tiny_run, monkeypatch):
    """A run of random parameters, and a prior of its codes."""
    model = MotionPrior(2, 8, 16, 1, 1, 2, 16, window=3)
    codes = jax.ShapeDtypeStruct((1, 2, 2), jnp.int32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), codes)["params"]
    run = vdd.load(tiny_run)
    prior = priors.PriorRun(
        None, model, tiny.perturbed(shapes, seed=9), 1, priors.source_of(run, "sprites")
    )
    monkeypatch.setattr(priors, "load_prior_of", lambda *_: prior)
    return run


def test_codes_are_made_up_by_the_run_s_prior(script, run):
    codes = script.make_up(run, 7, 3)
    assert codes.shape == (7, 2)
    assert codes.min() >= 0
    assert codes.max() < 8
    assert len(np.unique(codes, axis=0)) > 1
    np.testing.assert_array_equal(codes, script.make_up(run, 7, 3))
    assert (codes != script.make_up(run, 7, 4)).any()


def test_all_figures_are_of_clips_with_a_face_in_all_three(script, run):
    videos = tiny.random_video(4, 20)
    clips = [script.Stranger(f"p{i}", video[:8], video[8:]) for i, video in enumerate(videos)]
    clips[0].later[:] = 0  # nobody is seen there
    clips[1].later[3] = 0
    found = script.measure(run, clips, Faces(observe, {"landmarks": "brightness"}), seed=0)
    assert found["clips"] == 4
    assert found["clips with a face in all three"] == 3
    assert found["networks"] == {"landmarks": "brightness"}
    assert found["frames compared"]["real"] == 2 * 11 + 9
    assert found["speed, real"]["place down"]["KS"] == 0.0
    names = ("real and rebuilt", "real and made up", "rebuilt and made up")
    assert set(found["two samples"]) == set(names)
    for name in names:
        assert found["two samples"][name]["n"] == 3
        assert 0 < found["two samples"][name]["p"] <= 1
    assert found["two samples, codes"]["n"] == 4
    assert "nan" not in json.dumps(found).lower()


def test_too_few_faces_are_refused(script, run):
    video = tiny.random_video(1, 20)[0]
    clips = [script.Stranger(f"p{i}", video[:8], np.zeros_like(video[8:])) for i in range(2)]
    with pytest.raises(UserError, match="fewer than two clips"):
        script.measure(run, clips, Faces(observe, {}), seed=0)
