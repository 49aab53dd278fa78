"""Evaluation of a run on Sprites: `sprites.evaluate` over a split, its pictures and its page."""

from typing import Any

import jax
import numpy as np
from etils import epath
from PIL import Image

from vdd.data import sprites as sprites_data
from vdd.data.sprites import prepared
from vdd.diffusion.samplers import Sampler
from vdd.errors import UserError
from vdd.evaluation import gallery, judge, report, sprites, sprites_page
from vdd.evaluation.evaluation import Evaluation
from vdd.evaluation.inference import Functions, functions_of
from vdd.models.disentangler import Disentangler
from vdd.training import sharding
from vdd.training.loop import Hook

SPLITS = sprites_data.SPLITS


def check(settings: Any) -> None:
    """Raise a UserError for settings (the config's `eval`) that the protocols cannot have."""
    if settings["num_clips"] == 1 or settings["quick_pairs"] < 1:
        raise UserError("eval: swaps need num_clips of 2 or more (0: all), and pairs")


def evaluate(config: Any, step: int, functions: Functions, split: str) -> Evaluation:
    """All protocols on a split.

    Raises:
        UserError: no art to measure on.
    """
    art, art_dir = config.data.art, prepared.sheets_dir(config.data)
    train = _some(sprites_data.load_arrays(art, "train", art_dir), config.eval.probe_clips)
    test = _some(sprites_data.load_arrays(art, "test", art_dir), config.eval.num_clips)
    clips = {"train": train, "test": test}[split]
    settings = config.eval
    figures = sprites.evaluate(
        functions,
        train if split == "test" else None,  # probes are tested on other characters than they saw
        clips,
        _judge(config),
        Sampler(**settings.sampler),
        step=step,
        dataset=f"sprites/{art}",
        split=split,
        target_bits_per_frame=config.objective.target_bits_per_frame,
        seed=settings.seed,
        batch_size=settings.batch_size,
    )

    def draw(folder: epath.Path) -> list[gallery.Picture]:
        return gallery.draw(functions, clips, folder, settings.seed, settings.batch_size)

    return Evaluation(figures, sprites_page.sections(figures), draw)


def hooks(config: Any, workdir: epath.Path) -> list[Hook]:
    """What a training does on schedule: swaps judged each `eval_every`, drawn each `sample_every`.

    Both look at the averaged parameters, on the test split, and return what is to be logged; the
    picture is also written to `samples/<step>.png`.
    """
    model = Disentangler.from_config(config.model)
    sampler = Sampler(**config.eval.sampler)
    clips = sprites_data.load_arrays(config.data.art, "test", prepared.sheets_dir(config.data))

    def functions(state: Any) -> Functions:
        return functions_of(model, sharding.local_copy(state.ema_params), sampler)

    def quick(step: int, state: Any) -> dict[str, Any]:
        del step
        return sprites.quick_evaluate(
            functions(state),
            clips,
            _judge(config),
            num_pairs=config.eval.quick_pairs,
            seed=config.eval.seed,
            batch_size=config.eval.batch_size,
        )

    def picture(step: int, state: Any) -> dict[str, Any]:
        matrix = gallery.matrix(functions(state), clips, config.eval.seed, config.eval.batch_size)
        if jax.process_index() == 0:
            path = workdir / report.PICTURES / f"{step}.png"
            gallery.write_png(path, Image.fromarray(matrix))
        return {"swaps": matrix}

    return [(config.train.eval_every, quick), (config.train.sample_every, picture)]


def _some(arrays: sprites_data.SpritesArrays, count: int) -> sprites_data.SpritesArrays:
    """`count` clips spread over the split, all where `count` is 0."""
    if not count:
        return arrays
    rows = np.random.default_rng(0).permutation(len(arrays.motion))[:count]
    return sprites_data.SpritesArrays(*(part[rows] for part in arrays))


def _judge(config: Any) -> judge.Judge:
    settings = judge.JudgeSettings(steps=config.eval.judge_steps)
    art_dir = prepared.sheets_dir(config.data)
    return judge.load_or_train(config.data.art, art_dir, settings=settings)
