"""Split parameters are gathered for a step: the batch is not sent to where their parts are."""

import json
import os
import subprocess
import sys

import pytest
from tiny import ROOT

# XLA tells on stderr where it copies an array to all devices.
CODE = """
import json
import flax.struct
import jax
jax.config.update("jax_num_cpu_devices", 8)
import jax.numpy as jnp
from vdd.models.readout import TileReadout
from vdd.training import compilation, sharding, update

model = TileReadout(width=128, num_layers=2, tiles=4, tile_width=96, shape=(32, 32, 12))

@flax.struct.dataclass
class State:
    step: jax.Array
    params: dict

def init(rng, batch):
    return State(jnp.int32(0), model.init(rng, batch["content"], batch["motion"])["params"])

def loss(params, batch, rng):
    mean = model.apply({"params": params}, batch["content"], batch["motion"])
    return jnp.mean((mean - batch["frames"]) ** 2), ({}, (), jnp.zeros(()))

def step(state, batch):
    gradient, _ = update.accumulated_gradient(loss, state.params, batch, jax.random.key(0), 1)
    params = jax.tree.map(lambda x, g: x - g, state.params, gradient)
    return State(state.step + 1, params), {"loss": jnp.zeros(())}

mesh = sharding.make_mesh(2, 4)
shapes = {"content": (16, 2, 4), "motion": (16, 4, 8), "frames": (16, 4, 32, 32, 12)}
where = sharding.batch_sharding(mesh)
batch = {k: jax.ShapeDtypeStruct(v, jnp.float32, sharding=where) for k, v in shapes.items()}
prepared = compilation.prepare(init, step, mesh, 0, batch)
split = prepared.abstract.params["out_kernel"].sharding.spec
text = compilation.compile_step(prepared).as_text()
kinds = ("all-gather", "all-reduce", "all-to-all")
print(json.dumps({"split": str(split)} | {kind: f" {kind}" in text for kind in kinds}))
"""


@pytest.mark.process
def test_a_batch_stays_where_it_is():
    env = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "1"}
    done = subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "full rematerialization" not in done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert "fsdp" in found.pop("split")
    assert found == {"all-gather": True, "all-reduce": True, "all-to-all": False}
