"""A step of a tiny model with a DiT, its state split over four devices, equals that on one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import ROOT

# Both in one process of 8 virtual devices. The gradient is compared as Adam's first moment, since
# its steps magnify the rounding of gradients near 0.
CODE = """
import json
import jax
jax.config.update("jax_num_cpu_devices", 8)
import jax.numpy as jnp
import numpy as np
import optax
import tiny
from vdd.method.rates import Rates
from vdd.method import step
from vdd.training import sharding

config = tiny.get_config({
    "objective.reread_clips": 0, "model.denoiser.readout": None,
    "model.denoiser.sight": 0, "train.batch_size": 8,
    "objective.noisy_segments": 16, "objective.mean_frames": 1,
    "model.denoiser.network": {
        "kind": "dit", "patch": 2, "width": 64, "depth": 2, "num_heads": 2, "mlp_ratio": 2,
        "content_tokens": True, "content_map": 0, "temporal": True, "remat": True,
    },
})
training = step.build(step.Recipe.from_config(config))
batch = {"video": tiny.random_video(8, 2)}
shapes = jax.eval_shape(training.init, jax.random.key(0), batch)
params = tiny.perturbed(shapes.params)
state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes).replace(
    params=params, ema_params=params, usage=jnp.full(shapes.usage.shape, 1 / 8),
    multipliers=Rates(**config.rates).start(2, 8),
)

def run(mesh):
    where = sharding.tree_sharding(mesh, state)
    whole = sharding.replicated(mesh)
    jitted = jax.jit(sharding.tracing_on(mesh, training.step), out_shardings=(where, whole))
    placed = jax.device_put(batch, sharding.batch_sharding(mesh))
    return jitted(jax.device_put(state, where), placed)

(one, told), (many, said) = (
    run(sharding.make_mesh(1, 1, jax.devices()[:1])), run(sharding.make_mesh(2, 4))
)
def moments(state):
    return jax.tree.leaves_with_path(jax.device_get(optax.tree.get(state.opt_state, "mu")))

split = many.params["denoiser"]["network"]["blocks"]["qkv"]["kernel"]
off = {
    jax.tree_util.keystr(path): float(np.linalg.norm(x - y) / np.linalg.norm(x))
    for (path, x), (_, y) in zip(moments(one), moments(many), strict=True) if np.any(x)
}
print(json.dumps({
    "loss": [float(told["loss"]), float(said["loss"])],
    "shapes": [split.shape, split.addressable_shards[0].data.shape],
    "gradients": len(off),
    "parts": sorted({path.split("'")[1] for path in off}),
    "off": max(off.values()),
}))
"""


@pytest.mark.process
def test_step_on_four_by_two_devices_equals_one():
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parents[1])])}
    done = subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    one, many = found["loss"]
    assert abs(one - many) < 1e-4 * abs(one)
    assert found["shapes"] == [[2, 64, 192], [2, 64, 48]]  # it is really split
    assert {"denoiser", "encoder", "content", "motion_head"} <= set(found["parts"])
    assert found["gradients"] > 30
    assert found["off"] < 1e-3
