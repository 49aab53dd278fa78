"""Evaluation of a run on Sprites: `sprites.evaluate` over a split, its pictures and its page.

A training is watched on the validation split. The judge has seen those characters, as it learns
from the whole published train split; it never sees those of the test split.
"""

import numpy as np
from etils import epath

from vdd import errors
from vdd.config import Config
from vdd.data import datasets
from vdd.data import sprites as sprites_data
from vdd.data.sprites import prepared
from vdd.errors import SettingError
from vdd.evaluation import gallery, judge, watching
from vdd.evaluation.evaluation import Evaluation
from vdd.evaluation.inference import Functions
from vdd.evaluation.measure import measure_of
from vdd.evaluation.sprites import page as sprites_page
from vdd.evaluation.sprites import protocol as sprites
from vdd.training.loop import Hook
from vdd.values import Figures

SPLITS = sprites_data.SPLITS


def check(settings: Config) -> None:
    """Raise a UserError for settings (the config's `eval`) that the protocols cannot have."""
    errors.at_least(1, settings, "quick_pairs", "judge_steps")
    errors.at_least(0, settings, "probe_clips")
    if settings["num_clips"] == 1:
        raise SettingError("num_clips=1: swaps need num_clips of 2 or more (0: all)")


def evaluate(config: Config, step: int, functions: Functions, split: str) -> Evaluation:
    """All protocols on a split.

    Probes learn from what the run was trained on, less the characters that they are tested on.

    Raises:
        UserError: no art to measure on.
    """
    data, settings = config.data, config.eval
    measured = prepared.load_split(data, split)
    trained = _without(prepared.load_split(data, datasets.trained_split(data)), measured)
    clips = _some(measured, settings.num_clips)
    figures = sprites.evaluate(
        functions,
        _some(trained, settings.probe_clips) if len(trained.motion) else None,
        clips,
        _judge(config),
        measure_of(config, step, split),
    )

    def draw(folder: epath.Path) -> list[gallery.Picture]:
        return gallery.draw(functions, clips, folder, settings.seed, settings.batch_size)

    return Evaluation(figures, sprites_page.sections(figures), draw)


def hooks(config: Config, workdir: epath.Path) -> list[Hook]:
    """What a training does on schedule: swaps judged each `eval_every`, drawn each `sample_every`.

    Both look at the averaged parameters, on the validation split, and return what is to be logged:
    `seen_in_training` is 1 where the training sees these characters. The picture is also written to
    `samples/<step>.png`.
    """
    split = datasets.find("sprites").watched_split(config.data, config.eval.split)
    clips = prepared.load_split(config.data, split)
    seen = int(datasets.seen_in_training(config.data, split))

    def quick(step: int, functions: Functions) -> Figures:
        del step
        figures = sprites.quick_evaluate(
            functions,
            clips,
            _judge(config),
            num_pairs=config.eval.quick_pairs,
            seed=config.eval.seed,
            batch_size=config.eval.batch_size,
        )
        return {**figures, "seen_in_training": seen}

    def draw(step: int, functions: Functions) -> Figures:
        matrix = gallery.matrix(functions, clips, config.eval.seed, config.eval.batch_size)
        return watching.picture(workdir, step, matrix, "swaps")

    return watching.watch(config, quick, draw)


def _some(arrays: sprites_data.SpritesArrays, count: int) -> sprites_data.SpritesArrays:
    """`count` clips spread over the split, all where `count` is 0."""
    if not count:
        return arrays
    rows = np.random.default_rng(0).permutation(len(arrays.motion))[:count]
    return sprites_data.SpritesArrays(*(part[rows] for part in arrays))


def _without(
    arrays: sprites_data.SpritesArrays, others: sprites_data.SpritesArrays
) -> sprites_data.SpritesArrays:
    """The clips of characters that are not among `others`; the same arrays where all are."""
    known = set(map(tuple, np.unique(others.attributes, axis=0).tolist()))
    kept = np.array([tuple(character) not in known for character in arrays.attributes.tolist()])
    return arrays if kept.all() else sprites_data.SpritesArrays(*(part[kept] for part in arrays))


def _judge(config: Config) -> judge.Judge:
    settings = judge.JudgeSettings(steps=config.eval.judge_steps)
    art_dir = prepared.sheets_dir(config.data)
    return judge.load_or_train(config.data.art, art_dir, settings=settings)
