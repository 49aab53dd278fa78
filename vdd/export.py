"""A run for inference alone: `vdd export`."""

import dataclasses
from typing import Any

from etils import epath
from ml_collections import ConfigDict, FrozenConfigDict

from vdd import motions, runs
from vdd.run import Run, load

# Keys of the config that name files of one machine.
_DATA_PLACES = ("art_dir", "data_dir")
_WEIGHT_PLACES = ("encoder", "decoder", "weights")
_TRAIN_PLACES = ("init_from",)


def export(path_or_name: epath.PathLike, folder: epath.PathLike, step: int | None = None) -> Run:
    """Writes what inference needs of a run: a run directory of its own, a twelfth of the size.

    It holds the config, less the folders that data came from; the averaged parameters; and of that
    step the evaluation, in full precision, and the named motions, where there are any. Of the
    parameters large kernels have eight bits a number (`vdd.eight_bits`), other arrays of more than
    4096 numbers are bfloat16 (those of the latents float16). The codebook stays exact.

    Args:
        path_or_name: as for `load`.
        folder: where it goes; made if it is not there.
        step: which checkpoint; None takes the latest that can be read.

    Returns:
        the run that was exported, in full precision.

    Raises:
        UserError: as `load`, or the folder is not empty, or cannot be written.
    """
    source = runs.find(path_or_name)
    run = load(source, step)
    config: Any = ConfigDict(run.config)
    latents = config.model.latents
    named = (config.data, _DATA_PLACES), (latents, _WEIGHT_PLACES), (config.train, _TRAIN_PLACES)
    for group, keys in named:
        for key in keys:
            if key in group:
                group[key] = None
    small = dataclasses.replace(run, config=FrozenConfigDict(config))
    with runs.making(folder) as target:
        runs.copy_report(source, target, run.step)
        motions.export(run, source, target)
        runs.write_small(small, target, eight=True)
    return run
