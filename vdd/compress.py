"""A run whose content is a short code, learned on swaps: `vdd compress`."""

import dataclasses
from typing import Any

from etils import epath
from ml_collections import ConfigDict, FrozenConfigDict

from vdd import runs
from vdd.data.sprites import load_arrays, prepared
from vdd.training import content_code
from vdd.training.content_code import DEFAULT_SETTINGS, Settings


def compress_run(
    path_or_name: epath.PathLike,
    folder: epath.PathLike,
    *,
    step: int | None = None,
    art_dir: epath.PathLike | None = None,
    settings: Settings = DEFAULT_SETTINGS,
    show_progress: bool = True,
) -> runs.Run:
    """Learn a content code on the clips that a run was trained on; write the run with it.

    Args:
        path_or_name: the run, as for `vdd.runs.load`.
        folder: where the new run goes; made if it is not there.
        step: which checkpoint; None takes the latest that can be read.
        art_dir: folder of LPC sheets, as for `vdd.evaluation.run.evaluate_run`.
        settings: sizes, prices, length; kept in the new run's config as `content_code`.
        show_progress: show bars with the time left.

    Returns:
        The new run; all of its parameters but those of the code are the old one's.

    Raises:
        UserError: as `vdd.runs.load` and `vdd.training.content_code.learn`, or no art to learn
            from, or the folder is not empty or cannot be written.
    """
    run = runs.load(path_or_name, step)
    content_code.check(run.model)
    target = runs.new_folder(folder)
    art_dir = art_dir or prepared.sheets_dir(run.config.data)
    video = load_arrays(run.config.data.art, "train", art_dir).video
    model, params = content_code.learn(run.model, run.params, video, settings, show_progress)
    assert model.content_code is not None
    config: Any = ConfigDict(run.config)
    with config.unlocked():
        # Its size as it is, so that other defaults do not change how this run is read.
        sizes = ("num_numbers", "width", "reach", "num_modes")
        config.model.content_code = {key: getattr(model.content_code, key) for key in sizes}
        config.content_code = dataclasses.asdict(settings)
    run = runs.Run(FrozenConfigDict(config), model, params, run.step)
    runs.write(run, target)
    return run
