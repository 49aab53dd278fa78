"""A second run begins with the parameters of a first one, and then needs it no more."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
import toy
from etils import epath
from processes import finish, reserved_port, start
from toy import assert_same, lines

import vdd
from vdd import main
from vdd.data import pipeline
from vdd.errors import UserError
from vdd.evaluation import run
from vdd.export import export
from vdd.training import checkpoints, init_from, loop
from vdd.training.parameters import load_params
from vdd.training.workdir import claim

ADDED = {"model.skip": True, "train.num_steps": 8}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The run that others begin with."""
    workdir = tmp_path_factory.mktemp("runs") / "first"
    toy.run(workdir, toy.get_config())
    return epath.Path(workdir)


@pytest.fixture(scope="module")
def second(tmp_path_factory, first):
    """An uninterrupted run that begins with it: its directory and outcome."""
    workdir = tmp_path_factory.mktemp("runs") / "second"
    return workdir, toy.run(workdir, toy.get_config(**ADDED), earlier=first)


def resting(state, batch):
    """A step that learns nothing."""
    del batch
    return state.replace(step=state.step + 1), {"loss": jnp.float32(0)}


def test_the_first_state_has_the_averages_and_what_is_new_is_fresh(tmp_path, first, capsys):
    config = toy.get_config(**ADDED | {"train.num_steps": 1})
    fresh = toy.run(tmp_path / "fresh", config, resting).state
    capsys.readouterr()
    state = toy.run(tmp_path / "second", config, resting, earlier=first).state
    _, averaged = load_params(first)
    assert np.any(averaged["in"]["kernel"] != tiny.state_of(first, 12)["params"]["in"]["kernel"])
    expected = {**averaged, "skip": fresh.params["skip"]}
    assert_same(state.params, expected)
    assert_same(state.ema_params, expected)
    assert_same(state.opt_state, fresh.opt_state)
    assert int(state.step) == 1
    told = capsys.readouterr().out.splitlines()
    assert f"49,153 parameters of {first} at step 12, and 96 new ones: skip" in told


def test_the_averages_of_the_last_readable_checkpoint_are_taken(tmp_path, first):
    shutil.copytree(first, tmp_path / "first")
    toy.damage(tmp_path / "first", 12)
    with pytest.warns(UserWarning, match="step 12 .* cannot be read"):
        earlier = init_from.load(epath.Path(tmp_path / "first"), tiny.state_of(first, 8)["params"])
    np.testing.assert_array_equal(
        earlier.arrays["in.kernel"], tiny.state_of(first, 8)["ema_params"]["in"]["kernel"]
    )


@pytest.mark.parametrize("stop_at", [3, 4])  # between two checkpoints, and on one
def test_resumed_without_the_first_run_equals_uninterrupted(tmp_path, second, first, stop_at):
    shutil.copytree(first, tmp_path / "first")
    options = {"earlier": epath.Path(tmp_path / "first")}
    workdir, config = tmp_path / "run", toy.get_config(**ADDED)
    toy.run(workdir, config, hooks=[(stop_at, toy.stop)], **options)
    shutil.rmtree(tmp_path / "first")
    resumed = toy.run(workdir, config, **options)
    assert (resumed.step, resumed.stopped_by) == (8, None)
    assert_same(resumed.state, second[1].state)
    assert lines(workdir) == lines(second[0])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"model.width": 128},
            "in.kernel is float32[96,256] there and float32[96,128] here;"
            " out.kernel is float32[256,96] there and float32[128,96] here",
        ),
        ({"model.skip": False}, "skip is float32[96] there and absent here"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_written(tmp_path, second, changes, told):
    config = toy.get_config(**(ADDED | changes))
    with pytest.raises(UserError) as error:
        toy.run(tmp_path / "run", config, earlier=epath.Path(second[0]))
    assert str(error.value).split(": ", 1)[1].endswith(f"do not fit: {told}")
    assert not (tmp_path / "run").exists()


def test_five_of_many_are_named(tmp_path):
    params = {f"p{i}": {"kernel": jnp.ones(2), "bias": jnp.ones(i + 1)} for i in range(7)}
    with checkpoints.Checkpoints(tmp_path) as saving:
        saving.save(3, {"ema_params": params}, {})
    with pytest.raises(UserError, match=r"p0\.bias is .*p2\.bias is .* \(and 9 more\)$") as error:
        init_from.load(epath.Path(tmp_path), {})
    assert str(error.value).count("absent here") == 5
    wider = params | {f"q{i}": params["p0"] for i in range(6)}
    wider["p1"] = {**params["p1"], "scale": jnp.ones(3)}
    summary = init_from.load(epath.Path(tmp_path), wider).summary
    assert summary.endswith("21 new ones: p1.scale, q0, q1, q2, q3 (and 2 more)")


def run_in_processes(workdir, first, count, **options):
    """A run in which nothing is learned, so that its parameters are those of its first state."""
    changes = {**ADDED, "optimizer.learning_rate": 0.0, "train.num_steps": 2}
    changes["train.mesh.fsdp"] = 2
    options |= {"earlier": str(first)}
    with reserved_port() as port:
        if count > 1:
            options |= {"port": port}
        runs = [start(workdir, changes, process=i, **options) for i in range(count)]
        return [finish(process) for process in runs]


@pytest.mark.process
@pytest.mark.parametrize(("count", "devices"), [(1, 8), (2, 1)])
def test_however_many_devices_and_processes(tmp_path, first, count, devices):
    workdir = tmp_path / "runs" / "run"
    for code, said in run_in_processes(workdir, first, count, devices=devices):
        assert code == 0, said
    params, (_, averaged) = tiny.state_of(workdir, 2)["params"], load_params(first)
    assert np.any(params.pop("skip"))
    assert_same(params, averaged)


SPATIAL = {
    "train.num_steps": 1,
    "train.log_every": 1,
    "objective.reread_clips": 0,
    "objective.mean_frames": 4,
    "objective.noisy_frames": 4,
    "model.denoiser.readout": None,
    "model.denoiser.sight": 0,
    "model.denoiser.network": {
        "kind": "dit", "patch": 2, "width": 8, "depth": 2, "num_heads": 2, "mlp_ratio": 2,
        "content_tokens": True, "content_map": 0, "temporal": False,
    },
}  # fmt: skip


class LongClips(toy.Clips):
    """As long as clips of Sprites."""

    def __next__(self):
        batch = super().__next__()
        return {**batch, "video": np.tile(batch["video"], (1, 4, 1, 1, 1))}


def test_attention_along_time_comes_in_the_second_run(tmp_path, monkeypatch, capsys):
    """The model's own step from `vdd.main`, and what `vdd.load` makes of both runs."""
    config = tiny.get_config(SPATIAL)
    with config.unlocked():
        config.data.size = tiny.SIZE[0]
    monkeypatch.setattr(pipeline, "load_source", lambda *args: LongClips(config))
    monkeypatch.setattr(run, "hooks", lambda *args: [])
    folders = [epath.Path(tmp_path / name) for name in ("first", "second")]
    claim(folders[0], config)  # as if it had been trained
    with checkpoints.Checkpoints(folders[0]) as saved:
        saved.save(1, {"ema_params": tiny.get_model(SPATIAL)[1]}, {})
    config.model.denoiser.network.temporal = True
    config.train.init_from = str(folders[0])
    config.seed = 1  # and with it the clips, and their mean
    config.optimizer.warmup_steps = 9  # with a rate of 0 in its first step
    assert main.train(config, folders[1]) is None
    assert "new ones: denoiser.network.blocks.time\n" in capsys.readouterr().out
    spatial, temporal = (vdd.load(folder) for folder in folders)
    assert temporal.config.train.init_from == str(folders[0])
    np.testing.assert_array_equal(
        temporal.params["latents"]["mean"], spatial.params["latents"]["mean"]
    )

    inputs = [jnp.ones(shape) for shape in ((1, 2, 4, 4, 48), (1, 2), (1, 2, 4), (1, 2, 8))]
    fresh = jax.jit(temporal.model.denoiser.network.init)(jax.random.key(0), *inputs)
    network = spatial.params["denoiser"]["network"]
    before = tiny.call(spatial.model.denoiser.network, network, None, *inputs)
    blocks = {**network["blocks"], "time": fresh["params"]["blocks"]["time"]}
    after = tiny.call(temporal.model.denoiser.network, {**network, "blocks": blocks}, None, *inputs)
    assert np.any(before)
    np.testing.assert_allclose(before, after, atol=1e-6)

    export(folders[1], tmp_path / "small")
    assert vdd.load(tmp_path / "small").config.train.init_from is None  # a place of this machine
    shutil.rmtree(folders[0])
    config.train.num_steps = 2
    asked = []

    def train(*args, earlier, **options):
        asked.append(earlier)
        return loop.Outcome(2, None, None)

    monkeypatch.setattr(loop, "train", train)
    assert main.train(config, folders[1]) is None
    assert asked == [None]
