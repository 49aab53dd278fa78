import json
import os
import shutil
import subprocess
import sys

import jax
import ml_collections
import numpy as np
import pytest
import tiny
from etils import epath

from vdd import command, main
from vdd.data import pipeline, sprites
from vdd.errors import UserError
from vdd.evaluation import run
from vdd.export import export
from vdd.train import default_workdir, expand_homes
from vdd.training import checkpoint_files, loop
from vdd.training.logging import TIMINGS
from vdd.training.processes import connect_processes

# `vdd.main` on random clips, where TensorFlow cannot be imported; a SIGTERM after step {stop}.
ON_RANDOM_CLIPS = """
import os, runpy, signal, sys
import no_tensorflow
import numpy as np
from vdd.data import sprites
from vdd.evaluation import run
from vdd.export import export
def load_arrays(art, split, *_):
    rng = np.random.default_rng(0)
    draw = lambda high, *shape: rng.integers(0, high, shape, np.int32)
    video = rng.integers(0, 256, (16, 8, 16, 16, 3), np.uint8)
    return sprites.SpritesArrays(video, draw(9, 16), draw(6, 16, 4))
sprites.load_arrays = load_arrays
run.hooks = lambda config, workdir: [({stop}, lambda *_: os.kill(os.getpid(), signal.SIGTERM))]
run.evaluate_run = lambda workdir: print("evaluated") or {{"step": 6}}
runpy.run_module("vdd.main", run_name="__main__")
"""

# Holds a run directory until its stdin ends.
HOLDS = """
import sys
from vdd import files
with files.lock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def config():
    changes = {"data.source": "in_memory", "train.num_steps": 6, "train.log_every": 2}
    changes |= {"objective.mean_frames": 1, "objective.reread_clips": 0}
    changes |= {
        "model.denoiser.network.channels": (8,),
        "model.denoiser.network.attention_levels": (0,),
        "model.denoiser.sight": 0,
    }
    return tiny.get_config(changes).lock()


def run_main(config, workdir, stop):
    """`python -m vdd.main` with a config of the test's; its exit status and what it said."""
    file = workdir.parent / "config.py"
    file.write_text(
        "import json, ml_collections\n"
        "def get_config():\n"
        f"    return ml_collections.ConfigDict(json.loads({config.to_json_best_effort()!r}))\n"
    )
    code = ON_RANDOM_CLIPS.format(stop=stop)
    env = os.environ | {
        "PYTHONPATH": f"{tiny.ROOT}:{tiny.ROOT / 'tests'}",
        "JAX_COMPILATION_CACHE_DIR": str(workdir.parent / "xla"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, f"--config={file}", f"--workdir={workdir}"],
        env=env,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def lines(workdir):
    """metrics.jsonl without what tells of the machine."""
    found = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMINGS} for line in found]


def test_stopped_run_goes_on_exactly(tmp_path, config):
    """The shipped config made small, the real step: from the command line, without TensorFlow."""
    status, out, err = run_main(config, tmp_path / "run", stop=3)
    assert (status, err) == (143, ""), out + err[-3000:]
    assert "SIGTERM: saved at step 3" in out
    assert "evaluated" not in out
    assert checkpoint_files.list_steps(tmp_path / "run") == [3]

    status, out, err = run_main(config, tmp_path / "run", stop=0)
    assert (status, err) == (0, ""), out + err[-3000:]
    assert "at step 3 of 6" in out
    assert "evaluated" in out

    status, out, err = run_main(config, tmp_path / "whole", stop=0)
    assert (status, err) == (0, ""), out + err[-3000:]
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")
    assert lines(tmp_path / "run")[-1].keys() >= {"step", "loss", "bits_per_frame"}
    resumed, whole = (tiny.state_of(tmp_path / name, 6) for name in ("run", "whole"))
    assert {"params", "ema_params", "opt_state", "multipliers", "usage"} <= resumed.keys()
    jax.tree.map(np.testing.assert_array_equal, resumed, whole)


def test_parameters_that_do_not_fit_are_told_in_one_line(tmp_path, tiny_run, config, monkeypatch):
    def random_clips(art, split, *_):
        labels = np.zeros(10, np.int32), np.zeros((10, 4), np.int32)
        return sprites.SpritesArrays(tiny.random_video(10, 8), *labels)

    monkeypatch.setattr(sprites, "load_arrays", random_clips)
    monkeypatch.setattr(run, "hooks", lambda *_: [])
    with config.unlocked():
        config.train.init_from = str(tiny_run)  # its network attends to content
    with pytest.raises(UserError) as error:
        main.train(config, epath.Path(tmp_path / "run"))
    told = str(error.value)
    assert told.startswith(f"train.init_from: the parameters of {tiny_run} do not fit: denoiser")
    assert "\n" not in told
    assert told.count(" there and ") == 5
    assert not (tmp_path / "run" / "config.json").exists()


def test_finished_run_is_only_evaluated_once(tmp_path, tiny_run, config, monkeypatch, capsys):
    evaluated = []

    def evaluate_run(workdir):
        evaluated.append(workdir)
        (workdir / "eval").mkdir()
        (workdir / "eval" / "7.json").write_text("{}")
        return {"step": 7}

    monkeypatch.setattr(run, "evaluate_run", evaluate_run)
    monkeypatch.setattr(loop, "train", pytest.fail)
    workdir = epath.Path(tmp_path)
    (tmp_path / "checkpoints").symlink_to(tiny_run / "checkpoints")
    with config.unlocked():
        config.train.num_steps = 7
    assert main.train(config, workdir) is None
    main.evaluate(config, workdir)
    main.evaluate(config, workdir)
    assert evaluated == [workdir]
    trained, wrote, again = capsys.readouterr().out.splitlines()
    assert trained == f"{workdir} is trained to step 7 already"
    assert wrote == f"wrote {workdir}/eval/7.json and {workdir}/report.md"
    assert again == f"{workdir}/eval/7.json is there already"


@pytest.mark.parametrize("missing", ["commit_success.txt", "checksums.txt", None])
def test_finished_run_removes_what_it_was_stopped_in_removing(tmp_path, tiny_run, config, missing):
    run = epath.Path(shutil.copytree(tiny_run, tmp_path / "run"))
    if missing:
        (run / "checkpoints" / "3" / missing).unlink()
    with config.unlocked():
        config.train.update(num_steps=7, keep=1)
    (run / "config.json").write_text(config.to_json_best_effort())
    assert main.train(config, run) is None
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["7"]


def test_run_that_lost_its_last_checkpoint_trains_on(tmp_path, tiny_run, config, monkeypatch):
    shutil.copytree(tiny_run / "checkpoints", tmp_path / "checkpoints")
    (tmp_path / "config.json").write_text(config.to_json_best_effort())
    shutil.rmtree(tmp_path / "checkpoints" / "7" / "state")
    reached = []
    monkeypatch.setattr(pipeline, "load_source", lambda *args: None)
    monkeypatch.setattr(run, "hooks", lambda *args: [])

    def train(*args, **options):
        reached.append(args)
        return loop.Outcome(7, None, None)

    monkeypatch.setattr(loop, "train", train)
    with config.unlocked():
        config.train.num_steps = 7
    with pytest.warns(UserWarning, match="step 7 .* cannot be read"):
        assert main.train(config, epath.Path(tmp_path)) is None
    assert len(reached) == 1


def test_an_exported_run_is_not_trained_on(tmp_path, tiny_run, config, capsys):
    folder = tmp_path / "small"
    export(tiny_run, folder)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    same = json.loads((folder / "config.json").read_text())
    for asked in (config, ml_collections.ConfigDict(same)):
        status = command.run(lambda: main.train(asked, epath.Path(folder)), "training")  # noqa: B023
        told = capsys.readouterr().err
        assert (status, told.count("\n")) == (2, 1)
        assert told.startswith(f"vdd: {folder} is an exported run, of which no training goes on")
        assert f"--config.train.init_from={folder}" in told
        after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert after == before


def test_processes_named_by_hand(monkeypatch):
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *args, **_: calls.append(args))
    connect_processes({})
    connect_processes({"SLURM_STEP_NUM_TASKS": "1"})
    assert calls == []
    connect_processes({"SLURM_STEP_NUM_TASKS": "4"})
    connect_processes({"OMPI_COMM_WORLD_SIZE": "2"})
    named = {"VDD_COORDINATOR": "host:1", "VDD_NUM_PROCESSES": "2", "VDD_PROCESS_ID": "1"}
    connect_processes(named)
    assert calls == [(), (), ("host:1", 2, 1)]
    with pytest.raises(UserError, match="VDD_COORDINATOR is set: set all of"):
        connect_processes({"VDD_COORDINATOR": "host:1"})
    with pytest.raises(UserError, match="cannot connect"):
        connect_processes(named | {"VDD_PROCESS_ID": "one"})


@pytest.mark.parametrize(
    ("named", "run"),
    [
        ("configs/sprites.py", "runs/sprites"),
        ("/a/configs/sprites.py:smoke", "runs/sprites_smoke"),
        ("sprites.py:../x,y=2", "runs/sprites_.._x_y_2"),
    ],
)
def test_the_run_of_a_config_has_its_name(named, run):
    assert str(default_workdir(named)) == run


def test_homes_in_a_config_are_spelled_out(config, monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    config.data.art_dir = "~/sheets"
    expand_homes(config)
    assert config.data.art_dir == "/home/ann/sheets"


def test_a_run_that_is_being_trained_is_left_alone(tmp_path, config, monkeypatch):
    reached = []
    monkeypatch.setattr(run, "hooks", lambda *args: [])
    monkeypatch.setattr(pipeline, "load_source", lambda *args: reached.append(args))
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    env = os.environ | {"PYTHONPATH": str(tiny.ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": env}
    with subprocess.Popen(command, **pipes) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=f"{tmp_path} is in use by process {other.pid} on"):
            main.train(config, epath.Path(tmp_path))
        other.communicate()
    assert reached == []
    assert not (tmp_path / "config.json").exists()


def test_a_new_run_leaves_nothing_where_its_data_cannot_be_read(tmp_path, config, monkeypatch):
    def unreadable(*_):
        raise UserError("no such data")

    monkeypatch.setattr(run, "hooks", lambda *args: [])
    monkeypatch.setattr(pipeline, "load_source", unreadable)
    with pytest.raises(UserError, match="no such data"):
        main.train(config, epath.Path(tmp_path / "new" / "run"))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_where_no_home_is(tmp_path):
    """Without HOME, and with a user that has no entry: neither a folder called ~ nor a cache."""
    code = (
        "import pwd, os\n"
        "def unknown(_): raise KeyError\n"
        "pwd.getpwuid = unknown\n"
        "from vdd import startup; startup.keep_compiled_programs({})\n"
        "from vdd.evaluation import judge\n"
        "print(judge.default_cache_dir())\n"
    )
    env = {key: value for key, value in os.environ.items() if key not in ("HOME", "VDD_CACHE")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env | {"PYTHONPATH": str(tiny.ROOT), "TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(tmp_path / "vdd-"))
    assert not list(tmp_path.glob("*~*"))
    assert not list(tmp_path.glob("vdd-*"))  # it went with its process
