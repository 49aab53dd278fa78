"""Evaluation of a run directory: `eval/<step>.json`, `report.md`, and the hooks of a training."""

import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from etils import epath

from vdd import runs
from vdd.data import sprites as sprites_data
from vdd.diffusion.samplers import Sampler
from vdd.errors import UserError
from vdd.evaluation import gallery, judge, report, sprites
from vdd.evaluation.inference import Functions, functions_of
from vdd.models.disentangler import Disentangler

Hook = tuple[int, Callable[[int, Any], dict[str, Any] | None]]


def evaluate_run(
    workdir: epath.PathLike,
    *,
    split: str | None = None,
    step: int | None = None,
    art_dir: epath.PathLike | None = None,
    again: bool = True,
) -> dict[str, Any]:
    """Measure a run on a whole split and write `eval/<step>.json`, `report.md` and its pictures.

    Args:
        workdir: the run directory.
        split: "train" or "test"; None takes the config's.
        step: which checkpoint; None takes the latest.
        art_dir: folder of LPC sheets; None takes the config's, else the environment's.
        again: measure even where `eval/<step>.json` is there already.

    Returns:
        The report, as `vdd.evaluation.sprites.evaluate` describes it.

    Raises:
        UserError: no run, no checkpoint, an unknown split, or no art to measure on.
    """
    run = runs.load(workdir, step)
    workdir, config = epath.Path(runs.find(workdir)), run.config
    split = split or config.eval.split
    file = workdir / "eval" / f"{run.step}.json"
    if not again and file.exists():
        return json.loads(file.read_text())
    if split not in sprites_data.SPLITS:
        raise UserError(f"no split {split!r}: take one of {', '.join(sprites_data.SPLITS)}")
    art, art_dir = config.data.art, art_dir or config.data.art_dir
    sampler = Sampler(**config.eval.sampler)
    functions = functions_of(run.model, run.params, sampler)
    train = _some(sprites_data.load_arrays(art, "train", art_dir), config.eval.probe_clips)
    test = _some(sprites_data.load_arrays(art, "test", art_dir), config.eval.num_clips)
    clips = {"train": train, "test": test}[split]
    figures = sprites.evaluate(
        functions,
        train if split == "test" else None,  # probes are tested on other characters than they saw
        clips,
        _judge(config, art_dir),
        sampler,
        step=run.step,
        dataset=f"sprites/{art}",
        split=split,
        target_bits_per_frame=config.objective.target_bits_per_frame,
        seed=config.eval.seed,
        batch_size=config.eval.batch_size,
    )
    if jax.process_index() == 0:
        report.write_json(workdir, figures)
        folder, settings = workdir / report.PICTURES, config.eval
        pictures = gallery.draw(functions, clips, folder, settings.seed, settings.batch_size)
        report.write_page(workdir, figures, pictures, _describe(run))
    return figures


def _some(arrays: sprites_data.SpritesArrays, count: int) -> sprites_data.SpritesArrays:
    """`count` clips spread over the split, all where `count` is 0."""
    if not count:
        return arrays
    rows = np.random.default_rng(0).permutation(len(arrays.motion))[:count]
    return sprites_data.SpritesArrays(*(part[rows] for part in arrays))


def hooks(config: Any) -> list[Hook]:
    """What a training does on schedule: swaps judged each `eval_every`, drawn each `sample_every`.

    Both look at the averaged parameters, on the test split, and return what is to be logged.
    """
    model = Disentangler.from_config(config.model)
    sampler = Sampler(**config.eval.sampler)
    clips = sprites_data.load_arrays(config.data.art, "test", config.data.art_dir)

    def functions(state: Any) -> Functions:
        return functions_of(model, state.ema_params, sampler)

    def quick(step: int, state: Any) -> dict[str, Any]:
        del step
        return sprites.quick_evaluate(
            functions(state),
            clips,
            _judge(config, config.data.art_dir),
            num_pairs=config.eval.quick_pairs,
            seed=config.eval.seed,
            batch_size=config.eval.batch_size,
        )

    def picture(step: int, state: Any) -> dict[str, Any]:
        del step
        matrix = gallery.matrix(functions(state), clips, config.eval.seed, config.eval.batch_size)
        return {"swaps": np.asarray(matrix)}

    return [(config.train.eval_every, quick), (config.train.sample_every, picture)]


def _judge(config: Any, art_dir: epath.PathLike | None) -> judge.Judge:
    settings = judge.JudgeSettings(steps=config.eval.judge_steps)
    return judge.load_or_train(config.data.art, art_dir, settings=settings)


def _describe(run: runs.Run) -> dict[str, str]:
    size = sum(array.size for array in jax.tree.leaves(run.params))
    return {
        "art": run.config.data.art,
        "parameters": f"{size / 1e6:.1f} million",
        "training": f"{run.config.train.num_steps} steps of {run.config.train.batch_size} clips, "
        f"seed {run.config.seed}",
    }
