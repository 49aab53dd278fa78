"""DSVAE and C-DSVAE: their terms on cases with known answers, and a tiny run end to end."""

import json
import math
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from tiny import normal

from experiments.baselines import cdsvae, dsvae, evaluation, strided, train
from experiments.baselines.dsvae import Gaussian
from vdd.data.sprites import SpritesArrays
from vdd.evaluation import sections
from vdd.evaluation.inference import Encoded, Functions
from vdd.evaluation.judge import Verdict
from vdd.evaluation.probes import ProbeSettings, probe_accuracy

TINY = dsvae.DSVAE(width=2, feature_dim=4, hidden_dim=4, f_dim=3, z_dim=2, size=16)


def xla(x, kernel, stride, padding, dilation):
    return jax.lax.conv_general_dilated(
        x, kernel, (stride,) * 2, ((padding,) * 2,) * 2, (dilation,) * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip


def test_strided_convolutions_equal_those_of_xla():
    x, kernel = normal(0, 2, 4, 6, 3), normal(1, 4, 4, 3, 5)
    halved, expected = jax.jit(lambda *of: (strided.halve(*of), xla(*of, 2, 1, 1)))(x, kernel)
    np.testing.assert_allclose(halved, expected, atol=1e-5)
    order = np.array([1, 0, 3, 2])
    turned = np.asarray(kernel)[order][:, order]
    expected = jax.jit(partial(xla, stride=1, padding=2, dilation=2))(x, turned)
    np.testing.assert_allclose(jax.jit(strided.double)(x, kernel), expected, atol=1e-5)


def test_kl_in_closed_form():
    q = Gaussian(jnp.array([[1.0, 0.0]]), jnp.log(jnp.array([[4.0, 1.0]])))
    by_hand = 0.5 * (4 + 1 - 1 - math.log(4))
    assert float(dsvae.kl_to_standard(q)[0]) == pytest.approx(by_hand, rel=1e-6)
    p = Gaussian(jnp.array([[3.0, 0.0]]), jnp.log(jnp.array([[2.0, 1.0]])))
    by_hand = 0.5 * (4 / 2 + 4 / 2 - 1 - math.log(4 / 2))
    assert float(dsvae.kl(q, p)[0]) == pytest.approx(by_hand, rel=1e-6)
    assert float(dsvae.kl(p, p)[0]) == pytest.approx(0, abs=1e-6)


def test_elbo_sums_over_a_clip_and_averages_over_clips():
    b, t, z = 2, 3, 2
    unit = Gaussian(jnp.ones((b, t, z)), jnp.zeros((b, t, z)))
    zero = Gaussian(jnp.zeros((b, t, z)), jnp.zeros((b, t, z)))
    f, video = Gaussian(jnp.zeros((b, 5)), jnp.zeros((b, 5))), jnp.zeros((b, t, 4, 4, 3))
    done = dsvae.Pass(f, unit, zero, f.mean, unit.mean, video + 0.5)
    error, kl_f, kl_z = jax.jit(dsvae.negative_elbo)(done, video)
    assert float(error) == pytest.approx(0.25 * t * 4 * 4 * 3)
    assert float(kl_f) == 0
    assert float(kl_z) == pytest.approx(0.5 * t * z)


def test_lstm_equals_that_of_flax():
    x, size = normal(0, 2, 4, 3), 5
    params = jax.device_get(jax.jit(dsvae.LSTM(size).init)(jax.random.key(1), x))["params"]
    inputs, recurrent = (
        np.split(kernel, 4, axis=1) for kernel in (params["Dense_0"]["kernel"], params["recurrent"])
    )
    cell = {f"i{gate}": {"kernel": kernel} for gate, kernel in zip("ifog", inputs)}
    cell |= {f"h{g}": {"kernel": k, "bias": np.zeros(size)} for g, k in zip("ifog", recurrent)}
    expected = tiny.call(nn.RNN(nn.OptimizedLSTMCell(size)), {"cell": cell}, None, x)
    np.testing.assert_allclose(tiny.call(dsvae.LSTM(size), params, None, x), expected, atol=1e-5)
    backward = tiny.call(dsvae.LSTM(size, reverse=True), params, None, np.asarray(x)[:, ::-1])
    np.testing.assert_allclose(np.asarray(backward)[:, ::-1], expected, atol=1e-5)


def test_prior_of_a_frame_sees_the_frames_before_it_alone():
    z = normal(0, 1, 5, 2)
    variables = jax.jit(partial(TINY.init, method=TINY.prior))(jax.random.key(1), z)
    changed = z.at[:, 2].add(1.0)
    prior = jax.jit(partial(TINY.apply, method=TINY.prior))
    before, after = (prior(variables, x).mean for x in (z, changed))
    same = np.isclose(np.asarray(before), np.asarray(after)).all(-1)[0]
    assert same.tolist() == [True, True, True, False, False]


def test_info_nce_where_the_answer_is_known():
    b, temperature = 8, 0.5
    info_nce = jax.jit(cdsvae.info_nce, static_argnums=2)
    told_apart = float(info_nce(np.eye(b), 3 * np.eye(b), temperature))
    assert told_apart == pytest.approx(math.log(1 + (2 * b - 2) * math.exp(-1 / temperature)))
    alike = float(info_nce(np.ones((b, 4)), np.ones((b, 4)), temperature))
    assert alike == pytest.approx(math.log(2 * b - 1))
    unrelated = float(info_nce(normal(0, b, 64), normal(1, b, 64), temperature))
    assert unrelated > alike - 0.3 > told_apart + 1


def information(share: float) -> float:
    """The estimate for clips of which f and z tell the same to a `share`; one frame, 1-D each."""
    count, spread = 1024, 3.0
    draw = np.random.default_rng(0).normal
    f_mean, other = spread * draw(size=(2, count, 1))
    z_mean = (share * f_mean + math.sqrt(1 - share**2) * other)[:, None]
    f, z = f_mean + draw(size=f_mean.shape), z_mean + draw(size=z_mean.shape)
    q_f, q_z = (Gaussian(mean, np.zeros_like(mean)) for mean in (f_mean, z_mean))
    return float(jax.jit(cdsvae.mutual_information)(f, q_f, z, q_z))


def test_mutual_information_of_gaussians():
    correlation = 0.9  # of f and z where their means are equal: 9 / (9 + 1)
    assert information(0.0) == pytest.approx(0, abs=0.05)
    assert information(1.0) == pytest.approx(-0.5 * math.log(1 - correlation**2), abs=0.1)


def test_shuffled_clips_keep_their_frames():
    video = normal(0, 6, 8, 2, 2, 3)
    shuffled = jax.jit(cdsvae.shuffle_frames)(jax.random.key(1), video)
    by_first = [np.sort(np.asarray(x)[:, :, 0, 0, 0], axis=1) for x in (video, shuffled)]
    np.testing.assert_array_equal(*by_first)
    orders = {tuple(np.argsort(x)) for x in np.argsort(np.asarray(shuffled)[:, :, 0, 0, 0], 1)}
    assert len(orders) > 1, "each clip has an order of its own"
    rows = {clip.tobytes() for clip in np.asarray(video[0])}
    assert {clip.tobytes() for clip in np.asarray(shuffled[0])} == rows, "frames stay whole"


def test_shuffled_view_is_what_shuffled_clips_are_read_as():
    video = np.random.default_rng(0).random((4, 5, 16, 16, 3), np.float32)
    key = jax.random.key(1)
    variables = jax.jit(TINY.init)(jax.random.key(2), video, key)
    q_f, q_z, _ = jax.jit(partial(cdsvae.read_views, TINY))(variables, video, 1 - video, key)

    @jax.jit
    def encode(clips):
        return TINY.apply(variables, clips, True, method=TINY.encode, mutable=["batch_stats"])

    shuffled = jax.jit(cdsvae.shuffle_frames)(key, video)
    for view, clips in ((0, video), (1, 1 - video), (2, shuffled)):
        expected, _ = encode(clips)
        for got, wanted in zip((q_f[view], q_z[view]), expected):
            np.testing.assert_allclose(got.mean, wanted.mean, atol=1e-5)
    assert not np.allclose(q_f[2].mean, q_f[0].mean, atol=1e-3)


def test_colours_change_alike_in_all_frames_of_a_clip_and_unlike_between_clips():
    frame = np.random.default_rng(0).random((1, 1, 4, 4, 3), np.float32)
    video = np.tile(frame, (5, 3, 1, 1, 1))
    distorted = np.asarray(jax.jit(cdsvae.distort_colours)(jax.random.key(1), video))
    np.testing.assert_allclose(distorted, np.repeat(distorted[:, :1], 3, axis=1), atol=1e-6)
    assert len(np.unique(distorted[:, 0].round(4), axis=0)) >= 4  # one in five is left as it is
    assert distorted.min() >= 0
    assert distorted.max() <= 1


def test_colour_matrix_at_its_ends():
    matrix = jax.jit(cdsvae.colour_matrix)
    np.testing.assert_allclose(matrix(1.0, 1.0, 0.0), np.eye(3), atol=1e-5)
    colour, weights = np.array([0.2, 0.5, 0.9]), np.array([0.299, 0.587, 0.114])
    luma = colour @ weights
    np.testing.assert_allclose(colour @ np.asarray(matrix(1.0, 0.0, 0.0)), [luma] * 3, atol=2e-3)
    turned = colour @ np.asarray(matrix(1.0, 1.0, 0.25))
    assert np.abs(turned - colour).max() > 0.1
    np.testing.assert_allclose(turned @ weights, luma, atol=2e-3)


@pytest.mark.parametrize("model", ["dsvae", "cdsvae"])
def test_published_sizes(model):
    options = train.parse(["--model", model, "--workdir", "unused"])
    config = train.config_of(options)
    assert (config.train.batch_size, config.learning_rate) == (128, 1e-3)
    assert config.train.num_steps == round(1000 * 9000 / 128)
    training, clip = train.build(config), jax.ShapeDtypeStruct((4, 8, 64, 64, 3), np.uint8)
    state = jax.eval_shape(training.init, jax.random.key(0), {"video": clip})
    after, metrics = jax.eval_shape(training.step, state, {"video": clip})
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert {"loss", "error", "kl_f", "kl_z"} <= set(metrics)
    assert ("contrast_f" in metrics) == (model == "cdsvae")
    assert state.params["encoder"]["Down_3"]["kernel"].shape == (4, 4, 256, 512)
    assert state.params["f_mean"]["kernel"].shape == (512, 256)


@pytest.mark.experiment
def test_tiny_run_from_the_command_line_to_the_report(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VDD_CACHE", str(tmp_path / "cache"))
    brief = ProbeSettings(hidden=16, batch_size=16, checks=2, steps_per_check=2)
    # That probes learn is in test_probes.
    monkeypatch.setattr(sections, "probe_accuracy", partial(probe_accuracy, settings=brief))
    command = ["--model", "cdsvae", "--workdir", str(tmp_path / "run"), "--tiny"]
    with tiny.few_characters():
        assert train.main(command) == 0
    assert "| cdsvae, published | 0.9999 |" in capsys.readouterr().out
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["step"] == 3
    assert report["sampler"] is None
    assert report["bitrate"]["entropy_bits_per_frame"] is None
    assert report["bitrate"]["content_bits_per_clip"] > 0
    assert 0 <= report["leakage"]["content_from_motion_acc"] <= 1
    assert 0 <= report["cdsvae_protocol"]["acc"] <= 1
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert math.isfinite(json.loads(lines[-1])["loss"])


def test_a_mistake_is_told_in_one_line(tmp_path, capsys):
    command = ["--model", "dsvae", "--workdir", str(tmp_path), "--epochs", "0"]
    assert train.main(command) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_drawn_content_is_shown_in_the_motion_of_every_clip():
    motion = np.arange(9, dtype=np.int32)
    video = np.broadcast_to(motion[:, None, None, None, None], (9, 8, 16, 16, 3)).astype(np.uint8)
    clips = SpritesArrays(video, motion, np.zeros((9, 4), np.int32))
    seen = []

    def encode(video):
        label = np.asarray(video)[:, :, 0, 0, :1].astype(np.float32)
        nothing = np.zeros((len(video), 1, 3), np.float32)
        return Encoded(nothing, label, np.zeros((*label.shape[:2], 0), np.int32), nothing[:, 0, 0])

    def sample(keys, content, motion):
        seen.append(np.asarray(content))
        assert content.shape == (4, 1, 3)
        return np.broadcast_to(motion[..., None, None, :], (4, 8, 16, 16, 3)).astype(np.uint8)

    def judge(video):
        sure = 50 * np.eye(9, dtype=np.float32)[video[:, 0, 0, 0, 0]]
        return Verdict(sure, np.zeros((len(video), 4, 6), np.float32))

    functions = Functions(encode, sample, None)
    figures = evaluation.drawn_content(functions, 3, clips, judge, seed=0, batch_size=4)
    assert figures["acc"] == 1
    assert figures["h_y"] == pytest.approx(math.log(9), rel=1e-4)
    drawn = np.concatenate(seen)[:9, 0]
    assert len(np.unique(drawn, axis=0)) == 9
    assert 0.5 < drawn.std() < 1.5
