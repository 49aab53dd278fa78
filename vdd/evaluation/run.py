"""Evaluation of a run directory: `eval/<step>.json`, `report.md`, and the hooks of a training.

What is measured depends on the data set, which names the module of its protocol.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import jax
from etils import epath

from vdd import errors, files, priors, runs
from vdd.codec.coded_run import motion_model
from vdd.codec.motion import coded_bits
from vdd.config import Config, changeable, frozen
from vdd.data import datasets
from vdd.diffusion import samplers
from vdd.errors import UserError
from vdd.evaluation import evaluation, report
from vdd.evaluation.evaluation import Evaluation
from vdd.evaluation.inference import Functions, MotionCodes, functions_of
from vdd.run import Run
from vdd.run import load as load_run
from vdd.training.loop import Hook
from vdd.training.workdir import REPORT
from vdd.values import Figures


class ProtocolModule(Protocol):
    """What the module that a data set names as its EVALUATION has."""

    SPLITS: Sequence[str]

    def check(self, settings: Config) -> None:
        """Raise a UserError for a config's `eval` by which nothing can be measured."""
        ...

    def evaluate(self, config: Config, step: int, functions: Functions, split: str) -> Evaluation:
        """Measure a model, after so many steps of its training, on a split."""
        ...

    def hooks(self, config: Config, workdir: epath.Path) -> list[Hook]:
        """What a training does on schedule, on the averaged parameters."""
        ...


def evaluate_run(
    workdir: epath.PathLike,
    *,
    split: str | None = None,
    step: int | None = None,
    art_dir: epath.PathLike | None = None,
    data_dir: epath.PathLike | None = None,
    faces: bool = False,
    clips: int | None = None,
    out: epath.PathLike | None = None,
) -> Figures:
    """Measure a run on a split and write `eval/<step>.json`, `report.md` and its pictures.

    On another split than the config's, `eval/<step>_<split>.json` alone: the page is about one.

    Args:
        workdir: the run directory, or the name of a model that the package ships.
        split: of the data set; None takes the config's.
        step: which checkpoint; None takes the latest.
        art_dir: of Sprites, the folder of LPC sheets; None takes the config's, else the
          environment's, else those that were downloaded with the data set.
        data_dir: of videos, what `vdd.data.prepare` wrote; None takes the config's.
        faces: of videos, have networks look at faces too (extra `face`).
        clips: so many clips or windows of the split, 0 for all; None takes the config's.
        out: where it is written; None takes `place_of`.

    Returns:
        The report, as `evaluate` of `vdd.evaluation.sprites.protocol` or of that of videos
        describes it, and `seen_in_training`: whether the run was trained on clips of this split (of
        Sprites: on characters).

    Raises:
        UserError: no run, no checkpoint, an unknown split, no data to measure on, or a part of the
          split that would be written over what was measured of the whole.
    """
    run, workdir = load_run(workdir, step), runs.find(workdir)
    config = _changed(run.config, faces, clips, art_dir=art_dir, data_dir=data_dir)
    out = files.expand(out or place_of(workdir))
    _check_place(out, workdir, config, run.config)
    own, split = config.eval.split, str(split or config.eval.split)
    check(config, split)
    page, name = split == own, report.json_path("", {"step": run.step, "split": split}, own)
    files.check_folder(out, str(name), *(REPORT if page else ()))
    done = _measured(config, run, workdir, split)
    if jax.process_index() == 0:
        files.own(out)
        if page:
            _write_page(out, workdir, run, done)
        report.write_json(out / name, done.figures)  # last: it tells that the rest is there
    return done.figures


def _measured(config: Config, run: Run, workdir: epath.Path, split: str) -> Evaluation:
    functions = functions_of(run.model, run.params, samplers.choose(config.eval))
    functions = functions._replace(coded_bits=_coder(run, workdir))
    done = _protocol(config).evaluate(config, run.step, functions, split)
    seen = datasets.seen_in_training(config.data, split)
    return done._replace(figures={**done.figures, "seen_in_training": seen})


def _write_page(out: epath.Path, workdir: epath.Path, run: Run, done: Evaluation) -> None:
    pictures = done.draw(out / report.PICTURES)
    about = report.describe(run.config, run.params)
    report.write_page(workdir, done.figures, done.sections, pictures, about, out)


def _check_place(out: epath.Path, workdir: epath.Path, config: Config, own: Config) -> None:
    """Raise a UserError where a report would replace another's; `own` is the run's config."""
    in_place = runs.absolute(out) == runs.absolute(workdir)
    if not in_place and (out / "config.json").exists():
        raise UserError(f"{out} is another run, with a report of its own: give another --out")
    clips, data_dir = config.eval.num_clips, config.data.get("data_dir")
    if in_place and clips != own.eval.num_clips:
        raise UserError(f"--clips {clips} measures another part than the run does: give --out DIR")
    if in_place and data_dir != own.data.get("data_dir"):
        raise UserError(f"--data-dir {data_dir} is not the run's: give --out DIR")


def place_of(workdir: epath.Path) -> epath.Path:
    """Where the evaluation of a run is written: there, or here if that is not the user's."""
    if runs.is_others(workdir):
        return epath.Path(f"{runs.last_name(workdir)}_evaluation")
    return workdir


def check(config: Config, split: str | None = None) -> None:
    """Raise a UserError for a config whose evaluation cannot be."""
    protocol, settings = _protocol(config), config.eval
    evaluation.check(settings, protocol.SPLITS, split)
    with errors.group("eval"):
        protocol.check(settings)
        for preset in samplers.PRESETS:
            with errors.group(preset):
                samplers.choose(settings, preset)


def hooks(config: Config, workdir: epath.Path) -> list[Hook]:
    """What a training does on schedule, on the averaged parameters."""
    return _protocol(config).hooks(config, workdir)


def _protocol(config: Config) -> ProtocolModule:
    """The module that the data set names: it has SPLITS, check, evaluate and hooks."""
    name = datasets.find(config.data.dataset).EVALUATION
    if not name:
        raise UserError(f"config.data.dataset={config.data.dataset} has no protocol of evaluation")
    return cast(ProtocolModule, importlib.import_module(name))


def _coder(run: Run, path: epath.Path) -> Callable[[MotionCodes], float] | None:
    """Bits a frame of codes in a file, by the prior that lies with the run; None where none does.

    Nor is there one if the prior is of another step.

    Raises:
        UserError: the prior that lies there is broken.
    """
    try:
        prior = priors.load_prior(path)
    except priors.NoPriorError:
        return None
    if not prior.source.is_of(run):
        return None
    model = motion_model(run, prior)

    def bits(codes: MotionCodes) -> float:
        coded = coded_bits(model, codes)
        return coded.clip_bits / coded.num_frames

    return bits


def _changed(
    config: Config, faces: bool, clips: int | None, **folders: epath.PathLike | None
) -> Config:
    """The config with what was asked for otherwise."""
    changed = changeable(config)
    wanted: list[tuple[str, str, object]] = [
        ("data", key, str(folder)) for key, folder in folders.items() if folder is not None
    ]
    if faces:
        wanted.append(("eval", "faces", True))
    if clips is not None:
        wanted.append(("eval", "num_clips", clips))
    for group, key, value in wanted:
        if key not in changed[group]:
            raise UserError(f"a run on {changed.data.dataset} has no {key}")
        changed[group][key] = value
    return frozen(changed)
