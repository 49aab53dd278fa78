"""The judge learns quickly, and its cache never gives a stale one."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vdd.data import sprites
from vdd.data.sprites.renderer import Art
from vdd.evaluation import judge as judges
from vdd.evaluation import judge_training
from vdd.evaluation.judge import Judge
from vdd.evaluation.judge_training import JudgeNet, JudgeSettings

TINY = JudgeSettings(width=4)


PALETTE = np.array(
    [(200, 30, 30), (30, 200, 30), (30, 30, 200), (180, 180, 0), (0, 180, 180), (180, 0, 180)],
    np.uint8,
)


def coloured_clips(count: int, seed: int) -> sprites.SpritesArrays:
    """Attributes are the colours of the quarters; the motion is the frame that is lit, or none."""
    rng = np.random.default_rng(seed)
    motion = rng.integers(0, 9, count, dtype=np.int32)
    attributes = rng.integers(0, 6, (count, 4), dtype=np.int32)
    video = PALETTE[attributes].reshape(count, 1, 2, 2, 3)
    video = video.repeat(8, 1).repeat(32, 2).repeat(32, 3)
    lit = np.flatnonzero(motion < 8)
    video[lit, motion[lit]] = 255
    return sprites.SpritesArrays(video, motion, attributes)


@partial(jax.jit, static_argnames="members")
def random_params(seed: int, members: int = 2):
    """Parameters of a judge that has learned nothing."""
    net, clip = JudgeNet(TINY.width), jnp.zeros((1, 8, 64, 64, 3))
    keys = jax.random.split(jax.random.key(seed), members)
    return jax.vmap(lambda key: net.init(key, clip)["params"])(keys)


class FakeArt:
    """Stands for the art, whose parts are what `colour` says, and for the training, counted."""

    colour = 0
    trained = 0

    def load_art(self, art, art_dir=None) -> Art:
        frames = np.full((8, 64, 64, 4), self.colour, np.uint8)
        return Art((("body", "body"),), lambda part, variant, motion: frames)

    def load_arrays(self, art, split, art_dir=None) -> sprites.SpritesArrays:
        return coloured_clips(1, 0)

    def train_judge(self, video, motion, attributes, settings, show_progress):
        self.trained += 1
        return random_params(seed=self.trained)


@pytest.fixture
def art(monkeypatch) -> FakeArt:
    fake = FakeArt()
    monkeypatch.setattr(sprites, "load_art", fake.load_art)
    monkeypatch.setattr(sprites, "load_arrays", fake.load_arrays)
    monkeypatch.setattr(judge_training, "train_judge", fake.train_judge)
    return fake


def test_a_tiny_judge_learns():
    settings = JudgeSettings(
        width=8, steps=40, batch_size=8, learning_rate=5e-3, ema_decay=0.9, members=2
    )
    train, test = coloured_clips(400, 0), coloured_clips(100, 1)
    params = judge_training.train_judge(*train, settings, show_progress=False)
    judge = Judge(JudgeNet(8), params)
    kernels = params["Conv_0"]["kernel"]
    assert len(kernels) == settings.members == len(judge.members())
    assert jnp.abs(kernels[0] - kernels[1]).max() > 0.01
    for one in (judge, *judge.members()):
        shares = judges.accuracies(one, test)
        assert set(shares) == {"motion", *sprites.ATTRIBUTES}
        assert min(shares.values()) > 0.8


def test_probabilities_are_the_mean_of_those_of_the_members(untrained):
    video = coloured_clips(5, 0).video
    together, (one, other) = untrained(video), (member(video) for member in untrained.members())
    assert np.abs(one.motion_logits - other.motion_logits).max() > 1e-3
    for field in ("motion_logits", "attribute_logits"):
        mean = (np.exp(getattr(one, field)) + np.exp(getattr(other, field))) / 2
        np.testing.assert_allclose(np.exp(getattr(together, field)), mean, atol=1e-5)
        np.testing.assert_allclose(mean.sum(-1), 1, atol=1e-5)


def test_a_loud_member_has_one_vote():
    params = random_params(seed=0, members=3)
    last = params["Dense_5"]  # logits of the motion
    last["kernel"] = jnp.zeros_like(last["kernel"])
    last["bias"] = last["bias"].at[:2, 0].set(3.0).at[2, 1].set(300.0)
    verdict = Judge(JudgeNet(TINY.width), params)(coloured_clips(1, 0).video)
    assert verdict.motion == 0
    quiet = 1 / (np.exp(3.0) + 8)  # what the other two give to each class but the first
    assert verdict.motion_probs[0, 1] == pytest.approx((1 + 2 * quiet) / 3, rel=1e-4)


def test_the_logits_are_linear_in_the_features(untrained):
    video, first = coloured_clips(3, 0).video, untrained.members()[0]
    frames, clips = np.split(untrained.features(video), 2, axis=1)
    assert frames.shape == clips.shape == (3, 128)
    heads = (
        (first(video).attribute_logits, "Dense_3", frames),
        (first(video).motion_logits, "Dense_5", clips),
    )
    for logits, name, features in heads:
        layer = jax.tree.map(lambda x: np.asarray(x[0]), first.params[name])
        expected = (features @ layer["kernel"] + layer["bias"]).reshape(logits.shape)
        np.testing.assert_allclose(logits, jax.nn.log_softmax(expected), atol=1e-4)


def load(tmp_path, settings=TINY):
    return judges.load_or_train("lpc", None, tmp_path, settings, show_progress=False)


def test_a_cached_judge_is_the_judge_that_was_trained(art, tmp_path):
    first, second = load(tmp_path), load(tmp_path)
    assert first is not second
    assert art.trained == 1
    video = coloured_clips(5, 3).video
    np.testing.assert_array_equal(first(video).motion_logits, second(video).motion_logits)
    np.testing.assert_array_equal(first(video).attribute_logits, second(video).attribute_logits)
    assert len(list(tmp_path.iterdir())) == 1


def test_other_art_or_settings_train_another_judge(art, tmp_path):
    load(tmp_path)
    art.colour = 1
    load(tmp_path)
    assert art.trained == 2
    load(tmp_path, dataclasses.replace(TINY, seed=1))
    assert art.trained == 3
    load(tmp_path)
    assert art.trained == 3


def test_other_training_code_trains_another_judge(art, tmp_path, monkeypatch):
    before = judges.fingerprint("lpc", None, TINY)
    code = tmp_path / "code.py"
    code.write_text("x = 1")
    monkeypatch.setattr(judge_training, "__file__", str(code))
    assert judges.fingerprint("lpc", None, TINY) != before


def test_the_cache_folder_is_chosen_by_argument_then_environment(monkeypatch):
    monkeypatch.setenv("VDD_CACHE", "/elsewhere")
    assert str(judges.default_cache_dir("/here")) == "/here"
    assert str(judges.default_cache_dir()) == "/elsewhere"
    monkeypatch.delenv("VDD_CACHE")
    assert str(judges.default_cache_dir()).endswith(".cache/vdd")


@pytest.fixture
def untrained() -> Judge:
    return Judge(JudgeNet(TINY.width), random_params(seed=0), batch_size=4)


def test_verdicts_do_not_depend_on_the_batch(untrained):
    video = coloured_clips(6, 0).video
    whole, apart = untrained(video), [untrained(clip[None]) for clip in video]
    np.testing.assert_allclose(
        whole.motion_logits, np.concatenate([one.motion_logits for one in apart]), atol=1e-5
    )
    np.testing.assert_allclose(whole.motion_probs.sum(-1), 1)
    assert untrained(video[:0]).motion.shape == (0,)


def test_the_order_of_frames_matters_to_motion_but_not_to_attributes(untrained):
    video = coloured_clips(3, 0).video
    there, back = untrained(video), untrained(video[:, ::-1])
    np.testing.assert_allclose(there.attribute_logits, back.attribute_logits, atol=1e-5)
    assert np.abs(there.motion_logits - back.motion_logits).max() > 1e-3


@pytest.mark.parametrize("shape", [(1, 7, 64, 64, 3), (1, 8, 32, 32, 3)])
def test_clips_of_another_shape_are_refused(untrained, shape):
    for look in (untrained, untrained.features):
        with pytest.raises(ValueError, match="the judge wants"):
            look(np.zeros(shape, np.uint8))


def test_blur_keeps_flat_frames_and_spreads_a_dot():
    flat = jnp.full((1, 1, 16, 16, 3), 0.5)
    np.testing.assert_allclose(judge_training.blur(flat, 1.2), flat, rtol=1e-5)
    dot = jnp.zeros((1, 1, 17, 17, 3)).at[0, 0, 8, 8, 1].set(1.0)
    spread = np.asarray(judge_training.blur(dot, 1.5))[0, 0]
    distance = np.arange(17) - 8
    variance = (spread[..., 1].sum(0) * distance**2).sum() / spread[..., 1].sum()
    assert variance == pytest.approx(1.5**2, rel=0.01)
    assert spread[..., 0].max() == 0
    np.testing.assert_allclose(spread[..., 1], spread[..., 1].T, atol=1e-7)


def test_an_unknown_art_is_told_in_one_line(capsys):
    assert judges.main(["--art=clay"]) == 2
    assert "clay" in capsys.readouterr().err
