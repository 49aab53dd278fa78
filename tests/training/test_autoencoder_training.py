"""Training of an autoencoder: its loss, its step, and a run from its config to its weights."""

import importlib.util
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath
from tiny import ROOT, order_of_writing, random_video

from vdd import main, tasks
from vdd.errors import UserError
from vdd.models import autoencoder
from vdd.models.autoencoder.kl import KLAutoencoder
from vdd.tasks.autoencoder import evaluation
from vdd.tasks.autoencoder.step import Objective, build, gradient_size
from vdd.training.parameters import load_params

MODEL = KLAutoencoder(
    channels=(4, 4), num_blocks=1, latent_channels=2, groups=2, attention=False, quant_conv=False
)


def get_config(**changes):
    spec = importlib.util.spec_from_file_location("config", ROOT / "configs/autoencoder.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config("smoke")
    config.model.update(channels=(4, 4), latent_channels=2, groups=2, quant_conv=False)
    config.train.update(num_steps=30)
    config.optimizer.update(learning_rate=1e-2, warmup_steps=2)
    config.update_from_flattened_dict(changes)
    return config.lock()


def batch_of(video=None):
    video = random_video(4, 3) if video is None else video
    return {"video": jnp.asarray(video)}


@pytest.fixture(scope="module")
def trained():
    """The losses of 30 steps on one batch of smooth pictures, and the state before and after."""
    training, ramp = build(get_config()), np.linspace(0, 255, 16)
    video = np.broadcast_to(ramp[None, None, :, None, None], (4, 3, 16, 16, 3)).astype(np.uint8)
    fast = {"xla_backend_optimization_level": 0}
    first = jax.jit(training.init, compiler_options=fast)(jax.random.key(0), batch_of(video))
    step, state, losses = jax.jit(training.step, compiler_options=fast), first, []
    for _ in range(30):
        state, metrics = step(state, batch_of(video))
        losses.append(jax.device_get(metrics))
    return losses, first, state


def test_the_loss_falls_and_its_parts_add_up(trained):
    losses, _, state = trained
    objective = Objective(**get_config().objective)
    for m in losses:
        assert all(np.isfinite(value) for value in m.values())
        nats = m["kl_bits"] * np.log(2.0)
        total = m["l1"] + objective.gradient_weight * m["gradient"] + objective.kl_weight * nats
        assert m["loss"] == pytest.approx(total, rel=1e-4)
    assert losses[-1]["l1"] < 0.7 * losses[0]["l1"]
    assert int(state.step) == 30


def test_the_average_lags_behind_the_parameters(trained):
    _, first, last = trained

    def distance(*both):
        return sum(
            np.sum((x - y) ** 2) for x, y in zip(*map(jax.tree.leaves, jax.device_get(both)))
        )

    assert 0 < distance(first.params, last.ema_params) < distance(first.params, last.params)


def test_gradients_are_blind_to_brightness_and_see_edges_at_every_scale():
    edge = np.zeros((2, 8, 8, 3), np.float32)
    edge[1, :, 4:] = 1.0
    size = jax.jit(gradient_size, static_argnums=1)
    flat, sharp = np.asarray(size(edge + 0.3, 1))
    assert float(flat) == pytest.approx(0.0, abs=1e-6)
    assert float(sharp) == pytest.approx(1 / 7 / 2)  # one of seven columns, across alone
    scales = [float(np.asarray(size(edge, n))[1]) for n in (1, 2, 3)]
    expected = [np.mean([1 / (side - 1) / 2 for side in (8, 4, 2)[:n]]) for n in (1, 2, 3)]
    np.testing.assert_allclose(scales, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eval.split": "all"}, "no split 'all': take one of train, fit"),
        ({"eval.batch_size": 0}, "eval.batch_size=0: it must be at least 1"),
        ({"objective.frames": 0}, "at least 1"),
    ],
)
def test_a_config_that_cannot_be_is_told(changes, message):
    with pytest.raises((UserError, ValueError), match=message):
        tasks.find("autoencoder").build(get_config(**changes))


def test_a_rebuilt_frame_is_measured_frame_by_frame():
    params = jax.jit(MODEL.init)(jax.random.key(0), jnp.zeros((1, 16, 16, 3)))["params"]
    clips = random_video(3, 3)
    whole = evaluation.measure(MODEL, params, iter([clips]), 4)
    parts = evaluation.measure(MODEL, params, iter([clips[:1], clips[1:]]), 4)
    assert whole == pytest.approx(parts)
    assert whole["num_frames"] == 9
    assert whole["kl_bits"] > 0.0


def test_a_run_ends_in_a_report_and_in_weights_for_others(tmp_path, few_characters):
    config = get_config(**{
        "train.num_steps": 2, "train.eval_every": 2, "train.sample_every": 2, "train.log_every": 1,
    })  # fmt: skip
    path = epath.Path(tmp_path)
    assert main.train(config, path) is None
    main.evaluate(config, path)
    assert order_of_writing(path)[-1] == "eval/2.json"
    report = json.loads((path / "eval/2.json").read_text())
    assert report.keys() == {
        "step", "dataset", "split", "seen_in_training", "num_frames", "psnr", "ssim", "kl_bits",
    }  # fmt: skip
    assert (report["step"], report["dataset"]) == (2, "sprites/builtin")
    assert report["num_frames"] == config.eval.num_clips * 8
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    assert "rebuilt_psnr" in lines[-1]
    assert lines[-1]["seen_in_training"] == 0
    page = (path / "report.md").read_text()
    for name in ("samples/reconstructions.png", "samples/curves.png"):
        assert f"]({name})" in page
        assert (path / name).stat().length > 1000
    model, loaded = autoencoder.load("kl", weights=path / evaluation.WEIGHTS)
    assert model == MODEL
    _, params = load_params(path)
    jax.tree.map(np.testing.assert_array_equal, loaded["params"], params)
