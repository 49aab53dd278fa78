"""A tiny run with the interface of the real one: for tests of the loop, not of the model.

As a script it trains in a process of its own, on 8 virtual devices if told so, without TensorFlow:
`python toy.py WORKDIR '{"train.num_steps": 4}' '{"devices": 8}'`. With the option `real` it trains
the tiny model of `tiny.py` by `vdd.method.step`.
"""

import functools
import json
import os
import signal
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import no_tensorflow  # noqa: F401

import flax.struct
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from vdd.diffusion.samplers import Sampler
from vdd.evaluation.inference import clip_keys, functions_of
from vdd.method import step as training_step
from vdd.method.disentangler import Disentangler
from vdd.training import checkpoints, logging, loop, sharding


@flax.struct.dataclass
class State:
    step: jax.Array
    params: dict
    ema_params: dict
    opt_state: optax.OptState


def get_config(**changes):
    config = ml_collections.ConfigDict()
    config.seed = 0
    config.data = {"size": 4, "art_dir": "here"}
    config.model = {"width": 256, "skip": False}
    config.optimizer = {"learning_rate": 1e-2}
    config.train = {
        "batch_size": 8, "num_steps": 12, "accumulate": 1,
        "log_every": 3, "checkpoint_every": 4, "eval_every": 0, "sample_every": 0,
        "keep": 2, "keep_every": 0, "mesh": {"data": -1, "fsdp": 1},
    }  # fmt: skip
    config.eval = {"batch_size": 4}
    config.update_from_flattened_dict(changes)
    return config.lock()


class Clips:
    """Batch i is a pure function of (seed, i); each process gets its part of it."""

    def __init__(self, config, process=0, processes=1):
        self.config, self.process, self.processes, self.index = config, process, processes, 0

    def __next__(self):
        rng = np.random.default_rng((self.config.seed, self.index))
        self.index += 1
        batch, size = self.config.train.batch_size, self.config.data.size
        video = rng.integers(0, 256, (batch, 2, size, size, 3), np.uint8)
        part = batch // self.processes
        mine = slice(self.process * part, (self.process + 1) * part)
        return {"video": video[mine], "motion": np.arange(batch)[mine]}

    def get_state(self):
        return {"index": self.index}

    def set_state(self, state):
        self.index = state["index"]


def build(config):
    """(init, step): two layers take noise off a clip; Adam, with an average of the weights."""
    tx = optax.adam(config.optimizer.learning_rate)

    def init(rng, batch):
        features, width = batch["video"][0].size, config.model.width
        shapes = {"in": (features, width), "out": (width, features)}
        params = {
            name: {"kernel": jax.random.normal(jax.random.fold_in(rng, i), shape) / shape[0] ** 0.5}
            for i, (name, shape) in enumerate(shapes.items())
        }
        params["mean"] = jnp.mean(batch["video"] / 255.0)
        if config.model.skip:
            params["skip"] = 0.01 * jax.random.normal(jax.random.fold_in(rng, 2), (features,))
        return State(jnp.int32(0), params, jax.tree.map(jnp.copy, params), tx.init(params))

    def loss_fn(params, batch, rng):
        x = batch["video"].reshape(batch["video"].shape[0], -1) / 255.0 - params["mean"]
        noisy = x + jax.random.normal(rng, x.shape)
        y = jnp.tanh(noisy @ params["in"]["kernel"]) @ params["out"]["kernel"]
        if config.model.skip:
            y = y + noisy * params["skip"][None]
        return jnp.mean((y - x) ** 2)

    def step(state, batch):
        rng = jax.random.fold_in(jax.random.key(config.seed), state.step)
        loss, grads = jax.value_and_grad(loss_fn)(state.params, batch, rng)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        ema = optax.incremental_update(params, state.ema_params, 0.1)
        metrics = {"loss": loss, "bits_per_frame": optax.tree.norm(grads)}
        return State(state.step + 1, params, ema, opt_state), metrics

    return init, step


def get_real_config(**changes):
    """The tiny model of `tiny.py`, on clips of its size."""
    import tiny

    config = tiny.get_config(changes)
    with config.unlocked():
        config.data.size = tiny.SIZE[0]
    return config.lock()


def build_real(config):
    return training_step.build(training_step.Recipe.from_config(config))


def run(workdir, config, step=None, real=False, **kwargs):
    init, usual_step = (build_real if real else build)(config)
    clips = Clips(config, jax.process_index(), jax.process_count())
    return loop.train(config, workdir, clips, init, step or usual_step, **kwargs)


def stop(step, state):
    """A hook that asks the run to stop, as a scheduler would."""
    os.kill(os.getpid(), signal.SIGTERM)
    if jax.process_count() > 1:
        # JAX looks for the signal once a second, and a toy run is over in less.
        time.sleep(5)


def look(config, step, state):
    """A hook of the real run that uses the model as evaluation does, each process by itself."""
    model = Disentangler.from_config(config.model)
    params = sharding.local_copy(state.ema_params)
    functions = functions_of(model, params, Sampler("euler", 1, 0.02, 1.0))
    encoded = functions.encode(Clips(config).__next__()["video"][:2])
    video = functions.sample(clip_keys(0, 0, np.arange(2)), encoded.content, encoded.motion)
    return {"seen_bits": encoded.content_bits.mean(), "seen_pixels": np.asarray(video).mean()}


def die_while_saving(step):
    """Kill this process when part of the checkpoint of a step has been written."""

    async def save(self, directory):
        if self.value["iterator"]["index"] != step:
            return await usual(self, directory)

        async def write():
            path = await directory.await_creation()
            (path / "process_0.json").write_text("half of wh")
            os.kill(os.getpid(), signal.SIGKILL)

        return write()

    usual, checkpoints.HostState.save = checkpoints.HostState.save, save


def lines(workdir):
    """Lines of metrics.jsonl without what tells of the machine."""
    found = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in logging.TIMINGS} for line in found]


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def damage(workdir, step):
    """Cut the data files of a checkpoint in half, as a full disk or a bad copy leaves them."""
    for path in (workdir / "checkpoints" / str(step) / "state").rglob("d/*"):
        os.truncate(path, path.stat().st_size // 2)


def main(workdir, changes, options):
    jax.config.update("jax_num_cpu_devices", options.get("devices", 1))
    if "port" in options:
        jax.distributed.initialize(f"localhost:{options['port']}", 2, options["process"])
    if "die_while_saving" in options:
        die_while_saving(options["die_while_saving"])
    hooks = [(options["stop"], stop)] if "stop" in options else []
    real = options.get("real", False)
    config = (get_real_config if real else get_config)(**changes)
    if real:
        hooks.append((config.train.num_steps, functools.partial(look, config)))
    earlier = Path(options["earlier"]) if "earlier" in options else None
    run(workdir, config, hooks=hooks, real=real, earlier=earlier)


if __name__ == "__main__":
    main(sys.argv[1], *map(json.loads, sys.argv[2:]))
