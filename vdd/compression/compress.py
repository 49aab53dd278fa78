"""A run with shorter codes, learned on its own swaps: `vdd compress`."""

import dataclasses
import os

from etils import epath

from vdd import runs
from vdd.compression import content_code, merging, rereading
from vdd.compression.content_code import DEFAULT_SETTINGS, Settings
from vdd.config import Config, changeable, frozen
from vdd.data import datasets
from vdd.errors import UserError
from vdd.method.disentangler import Disentangler
from vdd.run import Run
from vdd.run import load as load_run


def compress_run(
    path_or_name: epath.PathLike,
    folder: epath.PathLike,
    *,
    step: int | None = None,
    art_dir: epath.PathLike | None = None,
    num_swaps: int = 3,
    merge_above: float = 0.3,
    settings: Settings = DEFAULT_SETTINGS,
    show_progress: bool = True,
) -> Run:
    """Merge the codewords of a run and learn a content code for it; write the run with both.

    They are learned from the clips that the run was trained on.

    Args:
        path_or_name: the run, as for `vdd.run.load`.
        folder: where the new run goes; made if it is not there.
        step: which checkpoint; None takes the latest that can be read.
        art_dir: folder of LPC sheets, as for `vdd.evaluation.run.evaluate_run`.
        num_swaps: swaps of each clip that are read again.
        merge_above: codewords are merged that a greater fraction of swaps reads as one another.
        settings: sizes, prices and length of the content code.
        show_progress: show bars with the time left.

    Returns:
        The new run; its config has the settings as `compression`, and all parameters of the old one
        are there unchanged.

    Raises:
        UserError: as `vdd.run.load` and `vdd.compression.rereading.read`, the run is not of
            Sprites, there is no art to learn from, or the folder is not empty or cannot be written.
    """
    run = load_run(path_or_name, step)
    check(path_or_name, run)
    data = run.config.data
    with runs.making(folder) as target:
        video = datasets.load_clips(data, datasets.trained_split(data), art_dir)
        model, params = without_short_codes(run)
        readings = rereading.read(model, params, video, num_swaps, settings.seed, show_progress)
        model, params = merging.merge_codewords(model, params, readings, merge_above)
        model, params = content_code.learn(model, params, readings, settings, show_progress)
        options = {"num_swaps": num_swaps, "merge_above": merge_above}
        config = _config_of(run, model, {**options, **dataclasses.asdict(settings)})
        run = Run(config, model, params, run.step, os.fspath(folder))
        runs.write(run, target)
    return run


def _config_of(run: Run, model: Disentangler, options: dict[str, object]) -> Config:
    """The config of the run with the model's short codes, and how they were made."""
    config = changeable(run.config)
    with config.unlocked():
        config.model.quantizer.merged = True
        # Its size as it is, so that other defaults do not change how this run is read.
        sizes = ("num_numbers", "width", "reach", "num_modes")
        config.model.content_code = {key: getattr(model.content_code, key) for key in sizes}
        config.compression = options
    return frozen(config)


def check(path_or_name: epath.PathLike, run: Run) -> None:
    """Raise a UserError for a run that cannot be compressed."""
    dataset = run.config.data.dataset
    if dataset != "sprites":
        raise UserError(f"{path_or_name}: a run on {dataset}; compressing learns from Sprites only")
    if run.config.model.quantizer.kind == "grid":
        raise UserError(f"{path_or_name}: its codes are levels of a grid, which are not merged")


def without_short_codes(run: Run) -> tuple[Disentangler, dict]:
    """Model and parameters of a run as training left them."""
    quantizer, params = run.model.quantizer, dict(run.params)
    quantizer = quantizer.clone(codebook=quantizer.codebook.clone(merged=False))
    codewords = params["quantizer"]["codebook"]["codewords"]
    params["quantizer"] = {**params["quantizer"], "codebook": {"codewords": codewords}}
    params.pop("content_code", None)
    return run.model.clone(quantizer=quantizer, content_code=None), params
