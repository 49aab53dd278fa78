import json

import pytest
import toy
from etils import epath

from vdd import files
from vdd.errors import UserError
from vdd.training.workdir import check, claim


def run_at(tmp_path, config):
    """A workdir that holds a run with a checkpoint."""
    claim(epath.Path(tmp_path), config)
    step = tmp_path / "checkpoints" / "4"
    step.mkdir(parents=True)
    (step / "commit_success.txt").write_text("")


def test_config_is_written(tmp_path):
    claim(epath.Path(tmp_path / "new"), toy.get_config())
    written = json.loads((tmp_path / "new" / "config.json").read_text())
    assert written["train"]["mesh"] == {"data": -1, "fsdp": 1}


def test_a_check_writes_nothing(tmp_path):
    assert not check(epath.Path(tmp_path / "new"), toy.get_config())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["config.json", "metrics.jsonl", "report.md", "source.json", "samples/swaps.gif"]
)
def test_files_of_somebody_else_are_not_taken_for_the_run_s(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("{}")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UserError, match=f"{name}: already there, and not as vdd wrote it"):
        claim(epath.Path(tmp_path), toy.get_config())
    assert (tmp_path / name).read_text() == "{}"
    (tmp_path / name).unlink()
    claim(epath.Path(tmp_path), toy.get_config())


def test_a_run_that_came_without_its_list_is_gone_on_with(tmp_path):
    run_at(tmp_path, toy.get_config())
    (tmp_path / files.LIST).unlink()
    (tmp_path / "metrics.jsonl").write_text("{}")
    claim(epath.Path(tmp_path), toy.get_config(**{"train.num_steps": 99}))
    assert files.is_ours(tmp_path / "metrics.jsonl")
    assert json.loads((tmp_path / "config.json").read_text())["train"]["num_steps"] == 99


def test_what_is_no_config_is_not_compared_with_one(tmp_path):
    run_at(tmp_path, toy.get_config())
    (tmp_path / "config.json").write_text('{"train": 3}')
    with pytest.raises(UserError, match="holds a run of another config"):
        claim(epath.Path(tmp_path), toy.get_config())
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UserError, match="not the config of a run"):
        claim(epath.Path(tmp_path), toy.get_config())


@pytest.mark.parametrize(
    "changes",
    [
        {"train.num_steps": 99},
        {"train.log_every": 1, "train.checkpoint_every": 2, "train.eval_every": 3},
        {"train.keep": 9, "train.keep_every": 9, "train.sample_every": 9},
        {"train.mesh.data": 1, "train.mesh.fsdp": 8},
        {"eval.batch_size": 1},
        {"data.art_dir": "there"},
        {"model.motion_window": 2},
    ],
)
def test_what_may_change(tmp_path, changes):
    run_at(tmp_path, toy.get_config())
    claim(epath.Path(tmp_path), toy.get_config(**changes))
    claim(epath.Path(tmp_path), toy.get_config(**changes))
    written = json.loads((tmp_path / "config.json").read_text())
    key, value = next(iter(changes.items()))
    for part in key.split("."):
        written = written[part]
    assert written == value


@pytest.mark.parametrize("key", ["seed", "model.width", "data.size", "train.batch_size"])
def test_what_may_not_change(tmp_path, key):
    run_at(tmp_path, toy.get_config())
    before = (tmp_path / "config.json").read_text()
    with pytest.raises(UserError, match=f"another config: {key} was .* and is now 77"):
        claim(epath.Path(tmp_path), toy.get_config(**{key: 77}))
    assert (tmp_path / "config.json").read_text() == before


def test_first_keys_are_named(tmp_path):
    run_at(tmp_path, toy.get_config())
    changes = {"seed": 1, "model.width": 2, "data.size": 3, "optimizer.learning_rate": 4.0}
    with pytest.raises(UserError, match=r"data.size .*model.width .*\(and 1 more key"):
        claim(epath.Path(tmp_path), toy.get_config(**changes))


def test_key_that_was_not_there(tmp_path):
    run_at(tmp_path, toy.get_config())
    config = toy.get_config().unlock()
    config.model.depth = 2
    with pytest.raises(UserError, match=r"model.depth was absent and is now 2"):
        claim(epath.Path(tmp_path), config)


def test_without_a_checkpoint_any_config_may_start(tmp_path):
    claim(epath.Path(tmp_path), toy.get_config())
    claim(epath.Path(tmp_path), toy.get_config(**{"model.width": 3}))
    assert json.loads((tmp_path / "config.json").read_text())["model"]["width"] == 3


def test_broken_config_json(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        claim(epath.Path(tmp_path), toy.get_config())


def test_workdir_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Not a directory"):
        claim(epath.Path(tmp_path / "file" / "run"), toy.get_config())
