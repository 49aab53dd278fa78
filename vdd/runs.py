"""A trained run, ready for use: config, model and averaged parameters."""

import dataclasses
import json
from typing import Any

from etils import epath
from ml_collections import FrozenConfigDict

from vdd.errors import UserError
from vdd.models.disentangler import Disentangler
from vdd.training import checkpoints

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
