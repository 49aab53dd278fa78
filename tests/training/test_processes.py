"""Runs in processes of their own: killed, on many virtual devices, two at a time; no TensorFlow."""

import os
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest
import toy
from processes import SETTINGS, STEPS, finish, reserved_port, start
from tiny import ROOT, state_of
from toy import assert_same, lines

from vdd.training.checkpoint_files import list_steps
from vdd.training.parameters import load_params


def assert_close(a, b):
    """Equal up to the order of sums, which Adam's first steps magnify."""
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-3, atol=1e-4), a, b)


def assert_lines_close(a, b):
    for x, y in zip(a, b, strict=True):
        assert x == pytest.approx(y, rel=1e-4)


pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run on one device."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    toy.run(workdir, toy.get_config(**SETTINGS))
    return workdir


def test_killed_while_saving_resumes_exactly(tmp_path, whole):
    """The second process also takes its compiled step from the first one's cache."""
    workdir = tmp_path / "run"
    code, said = finish(start(workdir, die_while_saving=8))
    assert code == -signal.SIGKILL, said
    assert list_steps(workdir) == [2, 4, 6]
    assert (workdir / "checkpoints" / "8.orbax-checkpoint-tmp").exists()
    code, said = finish(start(workdir))
    assert code == 0, said
    assert "at step 6 of 12" in said
    assert list_steps(workdir) == [2, 4, 6, 8, 10, 12]
    assert not list(workdir.glob("checkpoints/*tmp*"))
    assert_same(state_of(workdir, 12), state_of(whole, 12))
    assert lines(workdir) == lines(whole)


def test_eight_devices_equal_one(tmp_path, whole):
    workdir = tmp_path / "run"
    code, said = finish(start(workdir, {"train.num_steps": 6}, devices=8))
    assert code == 0, said
    assert "8 cpu devices (data 8 x fsdp 1)" in said
    assert_lines_close(lines(workdir), lines(whole)[:2])
    assert_close(state_of(workdir, 6), state_of(whole, 6))


def test_sharded_on_eight_devices_then_resumed_on_one(tmp_path, whole):
    workdir = tmp_path / "run"
    code, said = finish(start(workdir, {"train.mesh.fsdp": 4}, devices=8, stop=5))
    assert code == 0, said
    assert "8 cpu devices (data 2 x fsdp 4)" in said
    assert list_steps(workdir) == [2, 4, 5]
    resumed = toy.run(workdir, toy.get_config(**SETTINGS))
    assert resumed.step == STEPS
    assert_lines_close(lines(workdir), lines(whole))
    assert_close(state_of(workdir, 12), state_of(whole, 12))
    _, params = load_params(workdir)
    assert_same(params, resumed.state.ema_params)


def test_two_processes_equal_one(tmp_path, whole):
    """SIGTERM to one of them stops both after the same step; one alone then finishes the run."""
    workdir = tmp_path / "run"
    mesh = {"train.mesh.fsdp": 2}
    with reserved_port() as port:
        both = [
            start(workdir, mesh, devices=1, port=port, process=0, stop=3),
            start(workdir, mesh, devices=1, port=port, process=1),
        ]
        for process in both:
            code, said = finish(process)
            assert code == 0, said
    stopped_at = list_steps(workdir)[-1]
    assert 3 <= stopped_at < STEPS
    places = (workdir / "checkpoints" / str(stopped_at) / "host").glob("process_*.json")
    assert sorted(path.name for path in places) == ["process_0.json", "process_1.json"]
    toy.run(workdir, toy.get_config(**SETTINGS))
    assert_lines_close(lines(workdir), lines(whole))
    assert_close(state_of(workdir, 12), state_of(whole, 12))


# What is registered before JAX is imported comes after JAX has disconnected. The thread stays at
# work until it is waited for.
CODE = """
import atexit, os, sys, threading, time, traceback
atexit.register(lambda: print([thread.name for thread in threading.enumerate()]))
from vdd.training import processes
watch = processes._end_with_others
def waited_for():
    frame = sys._current_frames()[threading.main_thread().ident]
    return any(frame.f_code.co_name == "join" for frame, _ in traceback.walk_stack(frame))
def until_waited_for():
    watch()
    while not waited_for():
        time.sleep(0.01)
processes._end_with_others = until_waited_for
processes.connect_processes(os.environ)
"""


def connected(code):
    """A process that is the only one of a run, and then does something."""
    with reserved_port() as port:
        names = ("VDD_COORDINATOR", "VDD_NUM_PROCESSES", "VDD_PROCESS_ID")
        env = dict(zip(names, (f"localhost:{port}", "1", "0"), strict=True))
        return subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | env | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )


def test_a_process_that_jax_aborts_says_why_in_a_line():
    """So JAX does where the first process is lost; no handler of Python's own runs then."""
    done = connected(CODE + "os.abort()")
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith(
        "vdd: another process of this training has ended"
    )


def test_no_thread_is_at_work_when_a_process_ends():
    """It would be aborted as it comes back from JAX, and the process with it."""
    done = connected(CODE)
    assert (done.returncode, done.stdout) == (0, "['MainThread']\n"), done.stderr[-2000:]
