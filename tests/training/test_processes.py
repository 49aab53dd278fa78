"""Runs in processes of their own: killed, on many virtual devices, two at a time; no TensorFlow."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import toy
from orbax.checkpoint import v1 as ocp
from test_loop import assert_same, lines

from vdd.training.checkpoints import list_steps, load_params

TOY = Path(toy.__file__)
STEPS = 12


def start(workdir, changes=None, **options):
    """A toy run in a new process, its compiled programs kept in a folder of the test."""
    command = [sys.executable, TOY, workdir, json.dumps(changes or {}), json.dumps(options)]
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(Path(workdir).parent / "xla"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": str(TOY.parents[2]),
    }
    return subprocess.Popen(
        command, env=os.environ | cache, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out + err


def state_of(workdir, step=STEPS):
    """The arrays of a checkpoint, on this process's one device."""
    path = workdir / "checkpoints" / str(step)
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shapes = ocp.metadata(path, "state").metadata
    abstract = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), shapes
    )
    return ocp.load(path, abstract, checkpointable_name="state")


def assert_close(a, b):
    """Equal up to the order of sums, which Adam's first steps magnify."""
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-3, atol=1e-5), a, b)


def assert_lines_close(a, b):
    for x, y in zip(a, b, strict=True):
        assert x == pytest.approx(y, rel=1e-4)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run on one device."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    toy.run(workdir, toy.get_config())
    return workdir


def test_killed_while_saving_resumes_exactly(tmp_path, whole):
    """The second process also takes its compiled step from the first one's cache."""
    workdir = tmp_path / "run"
    code, said = finish(start(workdir, die_while_saving=8))
    assert code == -signal.SIGKILL, said
    assert list_steps(workdir) == [4]
    assert (workdir / "checkpoints" / "8.orbax-checkpoint-tmp").exists()
    code, said = finish(start(workdir))
    assert code == 0, said
    assert "at step 4 of 12" in said
    assert list_steps(workdir) == [8, 12]
    assert not list(workdir.glob("checkpoints/*tmp*"))
    assert_same(state_of(workdir), state_of(whole))
    assert lines(workdir) == lines(whole)


@pytest.mark.parametrize(("data", "fsdp"), [(8, 1), (2, 4)])
def test_eight_devices_equal_one(tmp_path, whole, data, fsdp):
    workdir = tmp_path / "run"
    mesh = {"train.mesh.data": data, "train.mesh.fsdp": fsdp}
    code, said = finish(start(workdir, mesh, devices=8))
    assert code == 0, said
    assert f"8 cpu devices (data {data} x fsdp {fsdp})" in said
    assert_lines_close(lines(workdir), lines(whole))
    assert_close(state_of(workdir), state_of(whole))  # which also reads it on one device


def test_resume_on_another_number_of_devices(tmp_path, whole):
    workdir = tmp_path / "run"
    code, said = finish(start(workdir, {"train.mesh.fsdp": 4}, devices=8, stop=5))
    assert code == 0, said
    assert list_steps(workdir) == [4, 5]
    resumed = toy.run(workdir, toy.get_config())
    assert resumed.step == STEPS
    assert_lines_close(lines(workdir), lines(whole))
    assert_close(state_of(workdir), state_of(whole))
    _, params = load_params(workdir)
    assert_same(params, jax.device_get(resumed.state.ema_params))


def test_two_processes_equal_one(tmp_path, whole):
    """SIGTERM to one of them stops both after the same step, and the run goes on with one."""
    workdir = tmp_path / "run"
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    both = [
        start(workdir, {"train.mesh.fsdp": 2}, devices=2, port=port, process=i, stop=5 + 100 * i)
        for i in range(2)
    ]
    for process in both:
        code, said = finish(process)
        assert code == 0, said
    stopped_at = list_steps(workdir)[-1]
    assert 5 <= stopped_at < STEPS
    assert sorted(p.name for p in workdir.glob(f"checkpoints/{stopped_at}/host/process_*")) == [
        "process_0.json",
        "process_1.json",
    ]
    toy.run(workdir, toy.get_config())
    assert_lines_close(lines(workdir), lines(whole))
    assert_close(state_of(workdir), state_of(whole))
