"""Evaluation of a run directory: `eval/<step>.json`, `report.md`, and the hooks of a training."""

from typing import Any

import jax
import numpy as np
from etils import epath
from PIL import Image

from vdd import runs
from vdd.data import sprites as sprites_data
from vdd.data.sprites import prepared
from vdd.diffusion.samplers import Sampler
from vdd.errors import UserError
from vdd.evaluation import gallery, judge, report, sprites
from vdd.evaluation.inference import Functions, functions_of
from vdd.models.disentangler import Disentangler
from vdd.training import sharding
from vdd.training.loop import Hook


def evaluate_run(
    workdir: epath.PathLike,
    *,
    split: str | None = None,
    step: int | None = None,
    art_dir: epath.PathLike | None = None,
    out: epath.PathLike | None = None,
) -> dict[str, Any]:
    """Measure a run on a whole split and write `eval/<step>.json`, `report.md` and its pictures.

    On another split than the config's, `eval/<step>_<split>.json` alone: the page is about one.

    Args:
        workdir: the run directory, or the name of a model that the package ships.
        split: "train" or "test"; None takes the config's.
        step: which checkpoint; None takes the latest.
        art_dir: folder of LPC sheets; None takes the config's, else the environment's, else those
          that were downloaded with the data set.
        out: where it is written; None takes `place_of`.

    Returns:
        The report, as `vdd.evaluation.sprites.evaluate` describes it.

    Raises:
        UserError: no run, no checkpoint, an unknown split, or no art to measure on.
    """
    run = runs.load(workdir, step)
    workdir, config = runs.find(workdir), run.config
    out = epath.Path(out or place_of(workdir))
    split = str(split or config.eval.split)
    check({**config.eval, "split": split})
    art, art_dir = config.data.art, art_dir or prepared.sheets_dir(config.data)
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
        report.write_json(report.json_path(out, figures, config.eval.split), figures)
    if jax.process_index() == 0 and split == config.eval.split:
        folder, settings = out / report.PICTURES, config.eval
        pictures = gallery.draw(functions, clips, folder, settings.seed, settings.batch_size)
        report.write_page(workdir, figures, pictures, _describe(run), out)
    return figures


def place_of(workdir: epath.Path) -> epath.Path:
    """Where the evaluation of a run is written: there, or here if it is one that is installed."""
    if runs.is_shipped(workdir):
        return epath.Path(f"{workdir.name}_evaluation")
    return workdir


def _some(arrays: sprites_data.SpritesArrays, count: int) -> sprites_data.SpritesArrays:
    """`count` clips spread over the split, all where `count` is 0."""
    if not count:
        return arrays
    rows = np.random.default_rng(0).permutation(len(arrays.motion))[:count]
    return sprites_data.SpritesArrays(*(part[rows] for part in arrays))


def check(settings: Any) -> None:
    """Raise a UserError for settings (the config's `eval`) that an evaluation cannot have."""
    if settings["split"] not in sprites_data.SPLITS:
        there = ", ".join(sprites_data.SPLITS)
        raise UserError(f"no split {settings['split']!r}: take one of {there}")
    if settings["num_clips"] == 1 or settings["quick_pairs"] < 1 or settings["batch_size"] < 1:
        raise UserError("eval: swaps need num_clips of 2 or more (0: all), and pairs and batches")
    try:
        Sampler(**settings["sampler"])
    except (TypeError, ValueError) as error:
        raise UserError(f"eval.sampler: {error}") from error


def hooks(config: Any, workdir: epath.Path) -> list[Hook]:
    """What a training does on schedule: swaps judged each `eval_every`, drawn each `sample_every`.

    Both look at the averaged parameters, on the test split, and return what is to be logged; the
    picture is also written to `samples/<step>.png`.
    """
    model = Disentangler.from_config(config.model)
    sampler = Sampler(**config.eval.sampler)
    art_dir = prepared.sheets_dir(config.data)
    clips = sprites_data.load_arrays(config.data.art, "test", art_dir)

    def functions(state: Any) -> Functions:
        return functions_of(model, sharding.local_copy(state.ema_params), sampler)

    def quick(step: int, state: Any) -> dict[str, Any]:
        del step
        return sprites.quick_evaluate(
            functions(state),
            clips,
            _judge(config, art_dir),
            num_pairs=config.eval.quick_pairs,
            seed=config.eval.seed,
            batch_size=config.eval.batch_size,
        )

    def picture(step: int, state: Any) -> dict[str, Any]:
        matrix = gallery.matrix(functions(state), clips, config.eval.seed, config.eval.batch_size)
        if jax.process_index() == 0:
            folder = workdir / report.PICTURES
            folder.mkdir(parents=True, exist_ok=True)
            gallery.write_png(folder / f"{step}.png", Image.fromarray(matrix))
        return {"swaps": matrix}

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
