"""The equality of `test_processes`, for the model's own step: sharded over two processes.

That a resumed run equals an uninterrupted one is in `test_main`.
"""

from functools import partial

import jax
import numpy as np
import processes
import pytest
import toy
from processes import finish, reserved_port, start
from tiny import state_of
from toy import lines

from vdd.training.sharding import array_spec

STEPS = 6
SETTINGS = {
    "train.num_steps": STEPS,
    "train.batch_size": 16,
    "train.log_every": 1,
    "train.checkpoint_every": 3,
    "train.keep": 9,
    "optimizer.learning_rate": 3e-4,
    # Most of the time goes into compiling: one level, and attention in `test_sharded_dit` alone.
    "model.denoiser.network.channels": (8,),
    "model.denoiser.network.attention_levels": (),
    "model.denoiser.sight": 8,
    "model.denoiser.readout.tile_width": 32,  # large enough to be split over `fsdp`
    "objective.mean_frames": 1,  # of the two that a clip has
    "objective.noisy_segments": 16,
    "objective.reread_clips": 8,
    "revival.rate": 1.0,
    "revival.below": 0.2,
}

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run on one device."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    config = toy.get_real_config(**processes.SETTINGS | SETTINGS)
    toy.run(workdir, config, real=True, hooks=[(STEPS, partial(toy.look, config))])
    arrays = jax.tree.leaves(state_of(workdir, STEPS)["params"])
    assert any("fsdp" in array_spec(array.shape, 2) for array in arrays)
    return workdir


def assert_equal_but_for_rounding(a, b):
    """Adam turns rounding errors of gradients near 0 into steps, so arrays are compared whole."""
    for x, y in zip(lines(a), lines(b), strict=True):
        assert x == pytest.approx(y, rel=2e-3, abs=1e-5)
    first, last = state_of(a, 3)["params"], [state_of(path, STEPS)["params"] for path in (a, b)]
    distance, moved = (
        sum(np.sum((x - y) ** 2) for x, y in zip(*map(jax.tree.leaves, pair), strict=True))
        for pair in (last, (first, last[0]))
    )
    assert moved > 0
    assert distance < 1e-3 * moved


def test_four_devices_of_two_processes_equal_one(tmp_path, whole):
    workdir = tmp_path / "run"
    # Neither of two devices that share the parameters holds all of them.
    settings = SETTINGS | {"train.mesh.fsdp": 2}
    with reserved_port() as port:
        options = {"devices": 2, "port": port, "real": True}
        both = [start(workdir, settings, **options, process=i) for i in range(2)]
        ended = [finish(process) for process in both]
    assert [code for code, _ in ended] == [0, 0], ended
    assert "4 cpu devices (data 2 x fsdp 2)" in ended[0][1]  # the first speaks for both
    assert_equal_but_for_rounding(workdir, whole)
    assert {"seen_bits", "seen_pixels"} <= lines(workdir)[-1].keys()
