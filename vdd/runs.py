"""A trained run, ready for use: config, model and averaged parameters."""

import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from jaxtyping import UInt8
from ml_collections import ConfigDict, FrozenConfigDict

from vdd.errors import UserError
from vdd.models.disentangler import Disentangler
from vdd.training import checkpoints, content_code, workdir

PRETRAINED = epath.resource_path("vdd") / "pretrained"


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run directory holds, for inference; `vdd.apply` takes `model` and `params`."""

    config: Any  # a FrozenConfigDict; typed Any since its keys are only known when it is read
    model: Disentangler
    params: Any  # the Flax params dict (of the exponential moving average)
    step: int


def load(path_or_name: epath.PathLike, step: int | None = None) -> Run:
    """Loads a run.

    Args:
        path_or_name: a run directory (config.json and checkpoints/; may be gs://), or the name of
            a model that the package ships.
        step: which checkpoint; None takes the latest that can be read.

    Raises:
        UserError: no such run, no checkpoint in it, or its config is not one of this version.
    """
    path = find(path_or_name)
    config = load_config(path)
    try:
        model = Disentangler.from_config(config.model)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: its config does not fit this version of vdd ({error})") from error
    step, params = checkpoints.load_params(path, step)
    return Run(config, model, params, step)


def export(path_or_name: epath.PathLike, folder: epath.PathLike, step: int | None = None) -> Run:
    """Writes what inference needs of a run: a run directory of its own, an eighth of the size.

    It holds the config, the averaged parameters (bfloat16 where an array has more than 4096
    numbers, so that the codebook stays exact) and the evaluation of that step, if there is one.

    Args:
        path_or_name: as for `load`.
        folder: where it goes; made if it is not there.
        step: which checkpoint; None takes the latest that can be read.

    Returns:
        the run that was exported, in full precision.

    Raises:
        UserError: as `load`, or the folder is not empty, or cannot be written.
    """
    target = _new_folder(folder)
    source = find(path_or_name)
    run = load(source, step)
    small = jax.tree.map(lambda x: x.astype(jnp.bfloat16) if x.size > 4096 else x, run.params)
    _write(dataclasses.replace(run, params=small), target)
    report = source / "eval" / f"{run.step}.json"
    if report.exists():
        (target / "eval").mkdir()
        report.copy(target / "eval" / report.name)
    return run


def compress(
    path_or_name: epath.PathLike,
    folder: epath.PathLike,
    video: UInt8[np.ndarray, "n t h w c"],
    step: int | None = None,
    settings: content_code.Settings = content_code.DEFAULT_SETTINGS,
    progress: content_code.Progress = content_code.no_progress,
) -> Run:
    """Learns a short code of the content of a run, and writes the run with it: a run of its own.

    Args:
        path_or_name: as for `load`.
        folder: where it goes; made if it is not there.
        video: clips to learn from, those that the run was trained on.
        step: which checkpoint; None takes the latest that can be read.
        settings: sizes, prices, length.
        progress: shows how far it is.

    Raises:
        UserError: as `load` and `content_code.learn`, or the folder is not empty, or cannot be
            written.
    """
    target = _new_folder(folder)
    run = load(path_or_name, step)
    model, params = content_code.learn(run.model, run.params, video, settings, progress)
    config: Any = ConfigDict(run.config)
    with config.unlocked():
        config.model.content_code = {
            "num_numbers": settings.num_numbers,
            "width": settings.width,
        }
    run = Run(FrozenConfigDict(config), model, params, run.step)
    _write(run, target)
    return run


def _new_folder(folder: epath.PathLike) -> epath.Path:
    target = epath.Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target}: already there; name a new or an empty folder")
    return target


def _write(run: Run, target: epath.Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    with checkpoints.Checkpoints(target) as saving:
        saving.save(run.step, {"ema_params": run.params}, {})
    # Last, since it is what makes a folder a run.
    text = json.dumps(workdir.to_json(run.config), indent=2)
    workdir.write_text(target / "config.json", text + "\n")


def find(path_or_name: epath.PathLike) -> epath.Path:
    """The run directory that a path or the name of a shipped model stands for.

    Raises:
        UserError: it is neither.
    """
    path = epath.Path(path_or_name)
    if path.is_dir():
        return path
    name = str(path_or_name)
    if name in pretrained():
        return PRETRAINED / name
    if path.exists():
        raise UserError(f"{path}: not a run directory, but a file")
    shipped = ", ".join(pretrained()) or "none"
    raise UserError(f"{name}: no such run directory, nor a shipped model (there are: {shipped})")


def pretrained() -> list[str]:
    """Names of the models that the package ships."""
    if not PRETRAINED.is_dir():
        return []
    return sorted(path.name for path in PRETRAINED.iterdir() if (path / "config.json").exists())


def load_config(path: epath.Path) -> Any:
    """The config of a run directory, a FrozenConfigDict; lists of the JSON are tuples again.

    Raises:
        UserError: no config.json, or a broken one.
    """
    file = path / "config.json"
    if not file.exists():
        raise UserError(f"{path}: not a run directory (it has no config.json)")
    try:
        return FrozenConfigDict(json.loads(file.read_text()))
    except (OSError, AttributeError, ValueError, TypeError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from error
