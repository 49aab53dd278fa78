"""A task for `vdd train` that computes next to nothing: files, signals and devices are as ever.

`use()` puts it in the place of the tasks there are, in this process.
"""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from einops import rearrange
from etils import epath
from ml_collections import ConfigDict

from vdd import tasks
from vdd.data import batches as data_batches
from vdd.evaluation import report
from vdd.training.parameters import load_params
from vdd.training.update import LOSS_STREAM, Training, moving_average, step_key


@flax.struct.dataclass
class State:
    """As every task's: arrays only."""

    step: jax.Array
    params: dict
    ema_params: dict
    opt_state: optax.OptState


def use() -> None:
    """Has `vdd train` find this task, whatever the config names."""
    tasks.find = lambda name: __import__(__name__)  # pyright: ignore


def get_config(**train: Any) -> ConfigDict:
    """Twelve steps; a checkpoint after each third."""
    config = ConfigDict({"task": "toy", "seed": 0, "model": {"width": 64}})
    config.data = {"dataset": "toy", "size": 4}
    config.train = {
        "batch_size": 8, "num_steps": 12, "accumulate": 1, "log_every": 2, "checkpoint_every": 3,
        "eval_every": 6, "sample_every": 0, "keep": 2, "keep_every": 0, "init_from": None,
        "mesh": {"data": -1, "fsdp": 1}, **train,
    }  # fmt: skip
    config.eval = {"split": "test", "batch_size": 4}
    return config


def settle(config: Any, workdir: epath.Path) -> Any:
    """Nothing is left open."""
    del workdir
    return config


def build(config: Any) -> Training:
    """Two layers take noise off a clip."""
    tx = optax.adam(1e-2)

    def init(rng: jax.Array, batch: dict) -> State:
        features, width = batch["video"][0].size, config.model.width
        keys = jax.random.split(rng)
        params = {
            "in": jax.random.normal(keys[0], (features, width)) * features**-0.5,
            "out": jax.random.normal(keys[1], (width, features)) * width**-0.5,
        }
        return State(jnp.int32(0), params, jax.tree.map(jnp.copy, params), tx.init(params))

    def loss_of(params: dict, batch: dict, rng: jax.Array) -> jax.Array:
        x = rearrange(batch["video"], "n ... -> n (...)") / 255.0 - 0.5
        noisy = x + jax.random.normal(rng, x.shape)
        return jnp.mean((jnp.tanh(noisy @ params["in"]) @ params["out"] - x) ** 2)

    def step(state: State, batch: dict) -> tuple[State, dict]:
        rng = step_key(config.seed, LOSS_STREAM, state.step)
        loss, grads = jax.value_and_grad(loss_of)(state.params, batch, rng)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params: Any = optax.apply_updates(state.params, updates)
        ema = moving_average(state.ema_params, params, state.step, 0.9)
        metrics = {"loss": loss, "bits_per_frame": optax.tree.norm(grads)}
        return State(state.step + 1, params, ema, opt_state), metrics

    return Training(init, step)


def batches(config: Any, process: int, processes: int) -> Any:
    """Batch i is a function of (seed, i)."""
    size, count = config.data.size, config.train.batch_size // processes

    def from_step(start: int) -> Any:
        for index in range(start, 1 << 30):
            rng = np.random.default_rng((config.seed, index))
            shape = (config.train.batch_size, 2, size, size, 3)
            video = rng.integers(0, 256, shape, np.uint8)
            yield {"video": video[process * count : (process + 1) * count]}

    return data_batches.Resumable(from_step)


def hooks(config: Any, workdir: epath.Path) -> list[Any]:
    """A figure of the averaged parameters."""
    del workdir

    def quick(step: int, state: Any) -> dict[str, Any]:
        del step
        return {"norm": optax.tree.norm(state.ema_params)}

    return [(config.train.eval_every, quick)]


def evaluate(workdir: epath.Path) -> int:
    """A report of one figure, with its page and the curves."""
    step, params = load_params(workdir)
    found = float(optax.tree.norm(params))
    figures = {"step": step, "dataset": "toy", "split": "test", "norm": found}
    figures |= {"seen_in_training": False, "sampler": None, "num_clips": 0}
    if jax.process_index() == 0:
        report.write_page(workdir, figures, [f"The norm is {found}."], [], {})
        report.write_json(report.json_path(workdir, figures, "test"), figures)
    return step
