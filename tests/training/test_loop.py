import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy
from toy import assert_same, lines

from vdd.errors import UserError
from vdd.training import checkpoint_files
from vdd.training.feed import DeviceBatches
from vdd.training.sharding import make_mesh


def with_value_at(step, name, value):
    """The toy's step, but that the loss or a parameter becomes `value` once."""
    _, usual = toy.build(toy.get_config())

    def broken(state, batch):
        state, metrics = usual(state, batch)
        here = state.step == step
        if name == "loss":
            return state, {**metrics, "loss": jnp.where(here, value, metrics["loss"])}
        bad = jnp.where(here, value, state.params["mean"])
        return state.replace(params={**state.params, "mean": bad}), metrics

    return broken


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run: its directory and outcome."""
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, toy.run(workdir, toy.get_config())


# 7 is between two log lines and between two regular checkpoints, 4 and 6 are on one of them.
@pytest.mark.parametrize("stop_at", [4, 6, 7])
def test_resumed_equals_uninterrupted(tmp_path, whole, stop_at):
    stopped = toy.run(tmp_path, toy.get_config(), hooks=[(stop_at, toy.stop)])
    assert (stopped.step, stopped.stopped_by) == (stop_at, "SIGTERM")
    assert checkpoint_files.list_steps(tmp_path)[-1] == stop_at
    resumed = toy.run(tmp_path, toy.get_config())
    assert (resumed.step, resumed.stopped_by) == (12, None)
    assert_same(resumed.state, whole[1].state)
    assert lines(tmp_path) == lines(whole[0])


def test_lines_beyond_the_checkpoint_are_dropped(tmp_path, whole):
    toy.run(tmp_path, toy.get_config(**{"train.num_steps": 8}))
    with (tmp_path / "metrics.jsonl").open("a") as file:  # killed between checkpoints
        file.write('{"step": 9, "loss": 5.0}\n{"step": 12, "lo')
    toy.run(tmp_path, toy.get_config())
    assert [line["step"] for line in lines(tmp_path)] == [3, 6, 8, 9, 12]
    assert lines(tmp_path)[-1] == lines(whole[0])[-1]


def test_finished_run_does_nothing(tmp_path, whole):
    workdir, outcome = whole
    before = (workdir / "metrics.jsonl").read_text()
    with count_compilations() as compiled:
        again = toy.run(workdir, toy.get_config())
    assert again.step == 12
    assert not compiled
    assert_same(again.state, outcome.state)
    assert (workdir / "metrics.jsonl").read_text() == before


def test_lines_are_means_over_their_window(tmp_path, whole):
    toy.run(tmp_path, toy.get_config(**{"train.log_every": 1}))
    losses = [line["loss"] for line in lines(tmp_path)]
    expected = np.float32(losses).reshape(4, 3).mean(1)
    np.testing.assert_allclose([line["loss"] for line in lines(whole[0])], expected, rtol=1e-6)


def test_timings_are_in_every_line(whole):
    for line in map(json.loads, (whole[0] / "metrics.jsonl").read_text().splitlines()):
        assert line["steps_per_second"] > 0
        assert line["examples_per_second"] == pytest.approx(8 * line["steps_per_second"], rel=1e-2)
        assert 0 < line["mfu"] < 1


def test_hooks_run_when_due_and_are_logged(tmp_path):
    seen = []

    def hook(step, state):
        assert checkpoint_files.list_steps(tmp_path)[-1:] != [step]  # the checkpoint comes last
        seen.append((step, int(state.step)))
        return {"score": float(step), "grid": np.zeros((4, 4, 3), np.uint8)}

    toy.run(tmp_path, toy.get_config(), hooks=[(4, hook), (0, pytest.fail)])
    assert seen == [(4, 4), (8, 8), (12, 12)]
    scores = {line["step"]: line.get("score") for line in lines(tmp_path)}
    assert scores == {3: None, 4: 4.0, 6: None, 8: 8.0, 9: None, 12: 12.0}
    assert {"loss", "score"} < lines(tmp_path)[-1].keys()  # one object a step
    assert not any("grid" in line for line in lines(tmp_path))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_loss_not_finite_stops_at_its_step(tmp_path, value):
    with pytest.raises(UserError, match="loss was not finite at step 8"):
        toy.run(tmp_path, toy.get_config(), with_value_at(8, "loss", value))
    assert checkpoint_files.list_steps(tmp_path) == [4]
    assert lines(tmp_path)[-1]["step"] == 6


def test_state_not_finite_is_never_saved(tmp_path):
    with pytest.raises(UserError, match="state was not finite at step 4"):
        toy.run(tmp_path, toy.get_config(), with_value_at(4, "params", np.nan))
    assert checkpoint_files.list_steps(tmp_path) == []


def test_step_is_compiled_once(tmp_path):
    def compilations(num_steps):
        with count_compilations() as compiled:
            toy.run(tmp_path / str(num_steps), toy.get_config(**{"train.num_steps": num_steps}))
        return len(compiled)

    compilations(1)  # of all that a process compiles but once
    assert compilations(5) == compilations(12) > 0  # each run has a step of its own


def test_step_is_traced_once(tmp_path):
    _, usual = toy.build(toy.get_config())
    calls = []

    def counted(state, batch):
        calls.append(batch["video"].shape)
        return usual(state, batch)

    toy.run(tmp_path, toy.get_config(), step=counted)
    assert len(calls) == 1


class count_compilations:
    """Collects the programs that JAX compiles or loads."""

    def __enter__(self):
        self.events = []
        jax.monitoring.register_event_duration_secs_listener(self.note)
        return self.events

    def note(self, event, seconds, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            self.events.append(seconds)

    def __exit__(self, *_):
        jax.monitoring.unregister_event_duration_listener(self.note)


def test_place_is_that_of_the_batch_in_use():
    clips = toy.Clips(toy.get_config())
    batches = DeviceBatches(clips, make_mesh())
    assert batches.state == {"index": 0}
    for index in range(1, 5):
        batch = next(batches)
        assert batch.keys() == {"video"}  # no labels
        assert batches.state == {"index": index}
    assert clips.index > 4  # it reads ahead


def test_a_look_at_the_next_batch_neither_loses_it_nor_moves_on():
    clips = toy.Clips(toy.get_config())
    first = next(toy.Clips(toy.get_config()))["video"]
    batches = DeviceBatches(clips, make_mesh())
    np.testing.assert_array_equal(batches.peek()["video"], first)
    assert (batches.state, clips.index) == ({"index": 0}, 1)
    np.testing.assert_array_equal(next(batches)["video"], first)
    assert np.any(batches.peek()["video"] != first)
    batches.move_to({"index": 0})  # what was read ahead is of another place
    assert batches.state == {"index": 0}
    np.testing.assert_array_equal(next(batches)["video"], first)


def test_a_training_reads_each_batch_once(tmp_path, monkeypatch):
    asked = []
    usual = toy.Clips.__next__

    def counted(clips):
        asked.append(clips.index)
        return usual(clips)

    monkeypatch.setattr(toy.Clips, "__next__", counted)
    toy.run(tmp_path, toy.get_config(**{"train.num_steps": 2}))
    assert asked[:2] == [0, 1]
    assert len(asked) == len(set(asked))


def test_batch_size_must_fit(tmp_path):
    config = toy.get_config(**{"train.accumulate": 3})
    with pytest.raises(UserError, match=r"batch_size=8 .* multiple of 3"):
        toy.run(tmp_path, config)
    assert not (tmp_path / "config.json").exists()


def test_other_config_is_refused(whole):
    with pytest.raises(UserError, match=r"optimizer.learning_rate was 0.01 and is now 0.02"):
        toy.run(whole[0], toy.get_config(**{"optimizer.learning_rate": 0.02}))
