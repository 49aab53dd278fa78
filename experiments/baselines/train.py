"""Train a baseline on Sprites and judge it as the project's own model is judged.

    python -m experiments.baselines.train --model cdsvae --art lpc --epochs 10 --workdir DIR

From the repository's root. Run again, it resumes; DIR gets config.json, metrics.jsonl, checkpoints
and report.json. Without further flags all is as in C-DSVAE's public settings for Sprites, 1000
epochs included: Adam, constant rate 1e-3, 128 clips a step, running statistics and no average of
the weights. On CPUs that takes weeks; --width and --batch_size make it smaller.
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from etils import epath
from jaxtyping import Array, Int, Key

from experiments.baselines import cdsvae, dsvae, evaluation
from vdd.data import in_memory, sprites
from vdd.data.sprites.benchmark import split_labels
from vdd.errors import UserError
from vdd.evaluation import judge, report
from vdd.evaluation.measure import Measure
from vdd.evaluation.sprites import protocol
from vdd.memory import keep_freed_memory
from vdd.startup import keep_compiled_programs
from vdd.training import loop
from vdd.training.update import step_key

_LOSS_STREAM = 1

# The model's own defaults are the published sizes.
_TINY = {"width": 2, "feature_dim": 8, "hidden_dim": 8, "f_dim": 8, "z_dim": 4}


@flax.struct.dataclass
class TrainState:
    """Everything that training changes; arrays only."""

    step: Int[Array, ""]
    params: dict
    batch_stats: dict
    opt_state: optax.OptState

    @property
    def variables(self) -> dict:
        """The model's, as Flax wants them."""
        return {"params": self.params, "batch_stats": self.batch_stats}


class Training(NamedTuple):
    """The two functions that a training run needs; both pure and fit for jit."""

    init: Callable[[Key[Array, ""], dict[str, Array]], TrainState]
    step: Callable[[TrainState, dict[str, Array]], tuple[TrainState, dict[str, Array]]]


def build(config: Any) -> Training:
    """The training functions of a config."""
    model = dsvae.DSVAE(**config.network)
    loss = {
        "dsvae": partial(dsvae.loss, model),
        "cdsvae": partial(cdsvae.loss, model, cdsvae.Weights(**config.get("weights", {}))),
    }[config.model]
    optimizer = optax.adam(config.learning_rate)

    def init(key: Key[Array, ""], batch: dict[str, Array]) -> TrainState:
        variables: Any = model.init(key, dsvae.to_unit(batch["video"][:2]), key)
        params = variables["params"]
        step = jnp.zeros((), jnp.int32)
        return TrainState(step, params, variables["batch_stats"], optimizer.init(params))

    def step(state: TrainState, batch: dict[str, Array]) -> tuple[TrainState, dict[str, Array]]:
        video = dsvae.to_unit(batch["video"])
        key = step_key(config.seed, _LOSS_STREAM, state.step)

        def of(params):
            return loss({"params": params, "batch_stats": state.batch_stats}, video, key)

        grads, (batch_stats, metrics) = jax.grad(of, has_aux=True)(state.params)
        updates, opt_state = optimizer.update(grads, state.opt_state)
        params: Any = optax.apply_updates(state.params, updates)
        return TrainState(state.step + 1, params, batch_stats, opt_state), metrics

    return Training(init, step)


def config_of(options: argparse.Namespace) -> Any:
    """The run's config; the number of steps follows from epochs and the size of the train split."""
    clips = split_labels("train")[0].size
    steps = round(options.epochs * clips / options.batch_size)
    network = {"width": options.width}
    if options.tiny:
        options.art, options.batch_size, steps, network = "builtin", 4, 3, _TINY
    if steps < 1 or options.batch_size < 2 or options.width < 1:
        raise UserError("take at least one step (--epochs), 2 clips a step, and a --width of 1")
    contrastive = (
        {"weights": dataclasses.asdict(cdsvae.Weights())} if options.model == "cdsvae" else {}
    )
    return ml_collections.ConfigDict(
        {
            "model": options.model,
            "network": network,
            **contrastive,
            "learning_rate": options.learning_rate,
            "seed": options.seed,
            "data": {"art": options.art, "art_dir": options.art_dir or ""},
            "train": {
                "num_steps": steps,
                "batch_size": options.batch_size,
                "log_every": 10,
                "checkpoint_every": 100,
                "keep": 2,
                "keep_every": 0,
                "accumulate": 1,
                "mesh": {"data": -1, "fsdp": 1},
            },
            "eval": {"seed": 0, "num_clips": 0, "batch_size": 64, "judge_steps": 1000}
            | ({"num_clips": 32, "batch_size": 16, "judge_steps": 2} if options.tiny else {}),
        }
    )


def evaluate(config: Any, state: TrainState) -> dict[str, Any]:
    """The report of a trained baseline, with the published figures beside its own."""
    art, art_dir = config.data.art, config.data.art_dir or None
    settings = judge.JudgeSettings(steps=config.eval.judge_steps)
    model = dsvae.DSVAE(**config.network)
    functions = evaluation.functions_of(model, state.variables)
    published = (sprites.load_arrays(art, split, art_dir) for split in ("train", "test"))
    train, test = (_some(clips, config.eval) for clips in published)
    named = judge.load_or_train(art, art_dir, settings=settings)
    seed, size = config.eval.seed, config.eval.batch_size
    how = Measure(int(state.step), f"sprites/{art}", seed=seed, batch_size=size)
    figures = protocol.evaluate(functions, train, test, named, how)
    drawn = evaluation.drawn_content(functions, model.f_dim, test, named, seed, size)
    return {
        **figures,
        "cdsvae_protocol": drawn,
        "model": config.model,
        "parameters": evaluation.count_parameters(state.params),
        "published": {"cdsvae_protocol": evaluation.PUBLISHED.get(config.model)},
        **report.machine(),
    }


def _some(clips: sprites.SpritesArrays, settings: Any) -> sprites.SpritesArrays:
    """`num_clips` clips spread over the split; 0 stands for all."""
    if not settings.num_clips:
        return clips
    rows = np.random.default_rng(0).permutation(len(clips.motion))[: settings.num_clips]
    return sprites.SpritesArrays(*(part[rows] for part in clips))


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, or resume; then evaluate."""
    options = parse(arguments)
    try:
        config, workdir = config_of(options), epath.Path(options.workdir)
        keep_compiled_programs(os.environ)
        keep_freed_memory()
        clips = sprites.load_arrays(config.data.art, "train", config.data.art_dir or None)
        batches = in_memory.in_memory(clips._asdict(), config.train.batch_size, config.seed)
        outcome = loop.train(config, workdir, batches, *build(config))
        batches.close()
        if outcome.stopped_by:
            print(f"{outcome.stopped_by}: saved at step {outcome.step}, the same command goes on")
            return 0
        figures = evaluate(config, outcome.state)
        report.write_json(workdir / "report.json", figures)
    except UserError as error:
        print(f"baselines: {error}", file=sys.stderr)
        return 2
    print(f"{figures['dataset']}, step {figures['step']}, {figures['machine']}")
    print(evaluation.table(config.model, figures))
    print(f"wrote {workdir / 'report.json'}")
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; the defaults are the public settings."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, choices=("dsvae", "cdsvae"))
    parser.add_argument("--art", default="lpc", choices=("lpc", "builtin"))
    parser.add_argument("--art_dir", help=f"LPC sheets (default: ${sprites.ART_DIR_VARIABLE})")
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--epochs", type=float, default=1000.0, help="may be a fraction")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch_size", type=int, default=128, help="clips a step")
    parser.add_argument("--width", type=int, default=64, help="channels of the first convolution")
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    parser.add_argument("--tiny", action="store_true", help="a few seconds, for tests")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
