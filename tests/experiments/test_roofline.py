"""Bounds of a step by calculation, told of the smoke config and of numbers made up."""

import importlib
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from tiny import ROOT


@pytest.fixture
def roofline(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    return importlib.import_module("roofline")


@pytest.mark.experiment
def test_the_bounds_of_a_config(roofline, capsys):
    roofline.main(["--tiny"])
    lines = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if "|" in line]
    head, _, *rows = [[cell.strip() for cell in line] for line in lines]
    one, other, *of_four = [dict(zip(head, row, strict=True)) for row in rows]
    assert [row["devices"] for row in (one, other, *of_four)] == ["1", "1", "4", "4"]
    assert float(one["TFLOP"]) == pytest.approx(4 * float(of_four[0]["TFLOP"]), rel=0.02)
    # Clips are split over devices, the state is not.
    assert float(one["GB moved"]) / 4 < float(of_four[0]["GB moved"]) < float(one["GB moved"])
    for row in (one, other, *of_four):
        peak, bandwidth = {"H200": (989, 4.8), "TPU v5p": (459, 2.765)}[row["device"]]
        times = float(row["TFLOP"]) / peak * 1e3, float(row["GB moved"]) / bandwidth
        assert float(row["least ms"]) == pytest.approx(max(times), rel=0.02)
        assert float(row["examples/s"]) == pytest.approx(8 * float(row["steps/s"]), rel=0.02)


def test_what_bounds_a_step(roofline):
    few = roofline.bound(roofline.Step(flops=459e12, moved=27.65e12, held=0, clips=1), "TPU v5p")
    assert few == pytest.approx((459 / 27.65, few.by, 10.0, 0.1))
    assert few.by == "memory"
    many = roofline.bound(roofline.Step(flops=4590e12, moved=2.765e12, held=0, clips=1), "TPU v5p")
    assert (many.by, many.seconds, many.mfu) == ("arithmetic", pytest.approx(10.0), 1.0)


@pytest.mark.parametrize(("fsdp", "part"), [(1, 1), (4, 4)])
def test_the_bytes_of_a_step_are_those_of_one_device(roofline, fsdp, part):
    mesh = roofline.mesh_of(
        SimpleNamespace(train=SimpleNamespace(mesh=SimpleNamespace(fsdp=fsdp))), 8
    )
    sizes = dict(mesh.shape)
    assert sizes == {"data": 8 // fsdp, "fsdp": fsdp}
    spec = jax.sharding.PartitionSpec("fsdp")
    split = jax.sharding.NamedSharding(mesh, spec)
    of_clips = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(("data", "fsdp")))
    params = {"w": jax.ShapeDtypeStruct((1000,), np.float32, sharding=split)}
    state = SimpleNamespace(params=params, opt_state=[params, params], ema_params=params)
    batch = {"video": jax.ShapeDtypeStruct((16, 10), np.uint8, sharding=of_clips)}
    work = roofline.step_work(state, 7.0, batch, activations=500.0, slices=2)
    whole, held = 4000, 4000 / part
    # Twice two passes over the parameters and the activations; gradients and four states of Adam.
    assert work.moved == 2 * (2 * whole + 2 * 500) + 20 + 2 * held + 2 * 4 * held
    assert work.held == 5 * held + 20 + 500 + (whole - held)
    assert (work.flops, work.clips) == (7.0, 16)
