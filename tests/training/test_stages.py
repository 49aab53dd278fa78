"""Two stages in one run: stopped anywhere, it equals one that never stopped."""

import json

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
import tiny
import toy
from etils import epath
from toy import assert_same, damage, lines

import vdd
from vdd import main
from vdd.data import pipeline
from vdd.errors import UserError
from vdd.evaluation import run
from vdd.method.disentangler import Disentangler
from vdd.training import checkpoints, stages
from vdd.training.workdir import claim

STAGES = ((7, (("model.skip", True), ("optimizer.learning_rate", 0.005))),)


def get_config(**changes):
    return toy.get_config(**{"train.stages": STAGES, "train.keep": 9} | changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run of two stages: its directory and outcome."""
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, toy.run(workdir, get_config())


def test_a_stage_adds_to_the_one_before(whole):
    workdir, outcome = whole
    assert checkpoints.list_steps(workdir) == [4, 7, 8, 12]
    assert [line["step"] for line in lines(workdir)] == [3, 6, 7, 9, 12]
    before, after = tiny.state_of(workdir, 7), tiny.state_of(workdir, 8)
    assert set(after["params"]) - set(before["params"]) == {"skip"}
    assert outcome.state.params["skip"].shape == outcome.state.ema_params["skip"].shape


# In the first stage, between two checkpoints; where the one ends; where the other goes on.
@pytest.mark.parametrize("stop_at", [5, 7, 9])
def test_resumed_equals_uninterrupted(tmp_path, whole, stop_at):
    stopped = toy.run(tmp_path, get_config(), hooks=[(stop_at, toy.stop)])
    assert (stopped.step, stopped.stopped_by) == (stop_at, "SIGTERM")
    resumed = toy.run(tmp_path, get_config())
    assert (resumed.step, resumed.stopped_by) == (12, None)
    assert_same(resumed.state, whole[1].state)
    assert lines(tmp_path) == lines(whole[0])
    assert not list(tmp_path.glob("checkpoints/*damaged*"))  # the state of its own stage was asked


def test_a_run_that_lost_its_second_stage_goes_through_it_again(tmp_path, whole):
    toy.run(tmp_path, get_config())
    for step in (7, 8, 12):
        damage(tmp_path, step)
    with pytest.warns(UserWarning, match="step 12 .* cannot be read"):
        again = toy.run(tmp_path, get_config())
    assert_same(again.state, whole[1].state)


def test_a_stage_may_be_added_to_a_run_that_has_ended(tmp_path, whole):
    toy.run(tmp_path, get_config(**{"train.stages": (), "train.num_steps": 7}))
    toy.run(tmp_path, get_config())
    assert lines(tmp_path) == lines(whole[0])
    with pytest.raises(UserError, match=r"train.stages was \[\[7, .* and is now absent"):
        toy.run(tmp_path, get_config(**{"train.stages": ()}))


def test_what_has_not_begun_may_change(tmp_path):
    claim(epath.Path(tmp_path), get_config())
    step = tmp_path / "checkpoints" / "7"
    step.mkdir(parents=True)
    (step / "commit_success.txt").write_text("")
    claim(epath.Path(tmp_path), get_config(**{"train.stages": ((9, (("model.skip", True),)),)}))
    with pytest.raises(UserError, match=r"train.stages was absent and is now \[\[5"):
        claim(epath.Path(tmp_path), get_config(**{"train.stages": ((5, ()),)}))


def test_growth_leaves_what_there_is():
    def init(names):
        params = {name: jnp.full(3, i + 1.0) for i, name in enumerate(names)}
        moments = jax.tree.map(jnp.zeros_like, params)
        return {"params": params, "moments": moments, "step": jnp.int32(0)}

    where = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shapes = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where), init("abc")
    )
    old = jax.tree.map(lambda x: x + 7, init("ac"))
    grown = stages.grow(old, lambda: init("abc"), shapes)
    expected = init("abc")
    for part in ("params", "moments"):
        expected[part] |= old[part]
    assert_same(grown, expected | {"step": old["step"]})


def test_what_a_stage_cannot_take_over_is_told_before_the_training(tmp_path):
    for key, value in (("model.width", 128), ("model.skip", False)):
        config = get_config(**{"train.stages": ((7, ((key, value),)),), "model.skip": True})
        with pytest.raises(UserError, match="stage from step 7 on may only add") as error:
            toy.run(tmp_path, config)
        told = {"model.width": "['out']['kernel'] was (256, 96) and is now (128, 96)"}
        assert told.get(key, "['skip'] was (96,) and is now gone") in str(error.value)
        assert "ema" not in str(error.value)
    assert checkpoints.list_steps(tmp_path) == []


def test_settings_of_a_stage_hold_from_its_first_step_on():
    later = (9, (("model.skip", False), ("train.accumulate", 2)))
    config = get_config(**{"train.stages": (*STAGES, later)})
    assert stages.starts(config) == (0, 7, 9)
    assert stages.starts(get_config(**{"train.num_steps": 7})) == (0,)
    seen = [stages.config_at(config, step) for step in (0, 7, 8, 9, 10)]
    assert [c.model.skip for c in seen] == [False, False, True, True, False]
    assert [c.optimizer.learning_rate for c in seen] == [0.01, 0.01, 0.005, 0.005, 0.005]
    assert [c.train.accumulate for c in seen] == [1, 1, 1, 1, 2]
    assert not config.model.skip
    assert all(c.is_locked for c in seen)


def test_a_frozen_config_stays_frozen_and_of_the_same_model():
    changes = (
        ("model.denoiser.network.temporal", True),
        ("model.denoiser.network.channels", (8, 8, 8)),
    )
    config = tiny.get_config({"train.stages": ((7, changes),)})
    saved = ml_collections.FrozenConfigDict(json.loads(config.to_json_best_effort()))
    models = [Disentangler.from_config(stages.config_at(c, 8).model) for c in (config, saved)]
    assert models[0].denoiser.network.channels == (8, 8, 8)
    assert stages.config_at(saved, 7) is saved
    assert hash(models[0]) == hash(models[1])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (((7, (("model.depth", 3),)),), 'model.depth=3: Key "depth" does not exist'),
        (((7, (("train.batch_size", 3),)),), "train.batch_size is none of model., objective."),
        (((7, (("seed", 3),)),), "seed is none of"),
        (((7, (("model.width.x", 3),)),), '"model.width" is not a ConfigDict'),
        (((7, (("model.width", "x"),)),), "model.width='x': Could not override"),
        (((7, ("model.width", 3)),), r"is not \(\(step, \(\(key, value\), ...\)\), ...\)"),
        ((7, ()), "is not"),
        (((7, ()), (7, ())), r"begin after steps \(7, 7\)"),
        (((0, ()),), "from 1 on, and ascending"),
    ],
)
def test_mistakes_are_told(given, told):
    config = get_config(**{"train.stages": given})
    with pytest.raises(UserError, match=told):
        print(stages.starts(config), stages.config_at(config, 8))


SPATIAL_THEN_TEMPORAL = {
    "train.stages": ((2, (("model.denoiser.network.temporal", True),)),),
    "train.num_steps": 3,
    "train.log_every": 1,
    "train.keep": 9,
    "objective.reread_clips": 0,
    "objective.mean_frames": 1,
    "model.denoiser.readout": None,
    "model.denoiser.network": {
        "kind": "dit", "patch": 2, "width": 8, "depth": 2, "num_heads": 2, "mlp_ratio": 2,
        "content_tokens": True, "content_map": 0, "temporal": False,
    },
}  # fmt: skip


@pytest.mark.timeout(600)
def test_attention_along_time_comes_in_the_second_stage(tmp_path, monkeypatch):
    """The model's own step from `vdd.main`, and what `vdd.load` makes of both stages."""
    config = tiny.get_config()
    with config.unlocked():
        config.data.size = tiny.SIZE[0]
        for key, value in SPATIAL_THEN_TEMPORAL.items():
            config.update_from_flattened_dict({key: value})
    config.lock()
    seen = []

    def hooks(config, workdir):
        temporal = config.model.denoiser.network.temporal
        return [(1, lambda step, state: seen.append((step, temporal)))]

    monkeypatch.setattr(pipeline, "load_source", lambda *args: toy.Clips(config))
    monkeypatch.setattr(run, "hooks", hooks)
    assert main.train(config, epath.Path(tmp_path))
    assert seen == [(1, False), (2, False), (3, True)]
    spatial, final = vdd.load(tmp_path, step=2), vdd.load(tmp_path)
    assert (spatial.step, final.step) == (2, 3)
    assert (spatial.model.denoiser.network.temporal, final.model.denoiser.network.temporal) == (
        False,
        True,
    )
    assert set(final.params["denoiser"]["network"]["blocks"]) - set(
        spatial.params["denoiser"]["network"]["blocks"]
    ) == {"time"}

    inputs = [jnp.ones(shape) for shape in ((1, 2, 4, 4, 48), (1, 2), (1, 2, 4), (1, 2, 8))]
    denoiser = final.model.denoiser.network
    fresh = jax.jit(denoiser.init)(jax.random.key(0), *inputs)["params"]["blocks"]["time"]
    params = spatial.params["denoiser"]["network"]
    before = spatial.model.denoiser.network.apply({"params": params}, *inputs)
    params = {**params, "blocks": {**params["blocks"], "time": fresh}}
    after = denoiser.apply({"params": params}, *inputs)
    assert np.any(before)
    np.testing.assert_allclose(before, after, atol=1e-6)
