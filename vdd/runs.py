"""A trained run, ready for use: config, model and averaged parameters."""

import dataclasses
import json
import os
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from etils import epath
from ml_collections import ConfigDict, FrozenConfigDict

from vdd import files
from vdd.data import datasets
from vdd.errors import UserError
from vdd.method.cross_driving import SPLITTERS
from vdd.method.disentangler import Disentangler
from vdd.training import checkpoints, stages, workdir

# Published autoencoders have float16, which bfloat16 would not hold.
_HALF = {"latents": jnp.float16}

PRETRAINED = epath.resource_path("vdd") / "pretrained"


@dataclasses.dataclass(frozen=True, repr=False)
class Run:
    """What a run directory holds, for inference; `vdd.apply` takes `model` and `params`."""

    # A FrozenConfigDict, as it was at that step (train.stages); its keys are known when it is read.
    config: Any
    model: Disentangler
    params: Any  # the Flax params dict (of the exponential moving average)
    step: int
    name: str = ""  # the run directory, or the name of a shipped model

    def __repr__(self) -> str:
        """In one line; the parameters are counted, not printed."""
        bits = self.config.rates.target_bits_per_frame
        size = count_parameters(self.params)
        return (
            f"Run({self.name!r}, step {self.step}, {data_name(self.config)},"
            f" {bits:g} bits a frame, {size:,} parameters)"
        )


def count_parameters(params: Any) -> int:
    """Numbers in all arrays of a tree."""
    return sum(x.size for x in jax.tree.leaves(params))


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
    task = config.get("task")
    if task != "disentangler":
        raise UserError(f"{path}: a run of the task {task!r}, not a model of video")
    step, params = checkpoints.load_params(path, step)
    try:
        config = stages.config_at(config, step)
        model = Disentangler.from_config(config.model)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: its config does not fit this version of vdd ({error})") from error
    return Run(config, model, params, step, os.fspath(path_or_name))


def data_name(config: Any) -> str:
    """The data set of a run, and where it has several arts, which: "sprites/lpc"."""
    data = config.data
    return f"{data.dataset}/{data.art}" if "art" in data else data.dataset


def frames_shown(config: Any) -> int:
    """Frames of the longest clips that the encoder was shown in training.

    Segments of the data set's clips; or both together, where swaps were read again.
    """
    frames = datasets.find(config.data.dataset).frames(config.data)
    split = SPLITTERS[config.objective.split]
    count, size = jax.eval_shape(lambda rng: split(rng, frames), jax.random.key(0)).shape
    return min(frames, count * size) if config.objective.reread_clips else size


def windows(config: Any) -> tuple[int, int]:
    """Frames of a long clip that are read or drawn together, and how many of them two share.

    As many as training showed; an eighth is shared.
    """
    size = frames_shown(config)
    return size, size // 8


# Keys of `config.data` and `config.model.latents` that name files of one machine.
_DATA_PLACES = ("art_dir", "data_dir")
_WEIGHT_PLACES = ("encoder", "decoder", "weights")


def export(path_or_name: epath.PathLike, folder: epath.PathLike, step: int | None = None) -> Run:
    """Writes what inference needs of a run: a run directory of its own, an eighth of the size.

    It holds the config, less the folders that data came from; the averaged parameters, bfloat16
    (those of the latents float16) where an array has more than 4096 numbers, so that the codebook
    stays exact; and the evaluation of that step, if there is one.

    Args:
        path_or_name: as for `load`.
        folder: where it goes; made if it is not there.
        step: which checkpoint; None takes the latest that can be read.

    Returns:
        the run that was exported, in full precision.

    Raises:
        UserError: as `load`, or the folder is not empty, or cannot be written.
    """
    source = find(path_or_name)
    run = load(source, step)
    target = new_folder(folder)
    config: Any = ConfigDict(run.config)
    for group, keys in ((config.data, _DATA_PLACES), (config.model.latents, _WEIGHT_PLACES)):
        for key in keys:
            if key in group:
                group[key] = None
    copy_report(source, target, run.step)
    write_small(dataclasses.replace(run, config=FrozenConfigDict(config)), target)
    return run


def copy_report(source: epath.Path, target: epath.Path, step: int) -> None:
    """Copies the evaluation of a step from one run directory to another, if there is one."""
    report = source / "eval" / f"{step}.json"
    if report.exists():
        files.write(target / "eval" / report.name, report.read_bytes())


def write_small(run: Any, target: epath.Path) -> None:
    """Writes a run in half precision, without a word of the machine it was made on."""
    small = {
        part: jax.tree.map(partial(_half_precision, dtype=_HALF.get(part, jnp.bfloat16)), tree)
        for part, tree in run.params.items()
    }
    write(dataclasses.replace(run, params=small), target)
    checkpoint = checkpoints.checkpoints_dir(target) / str(run.step)
    for path, _, names in checkpoint.walk():
        if "commit_success.txt" in names:  # in which Orbax tells where on this machine that was
            files.write(path / "commit_success.txt", "written\n", overwrite=True)
    files.seal(checkpoint)


def _half_precision(x: jax.Array, dtype: Any) -> jax.Array:
    return x.astype(dtype) if x.size > 4096 else x


def new_folder(folder: epath.PathLike) -> epath.Path:
    """Makes a folder, for a run to be written into.

    Raises:
        UserError: it is there and not empty, or cannot be made or written.
    """
    target = files.expand(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target}: already there; name a new or an empty folder")
    return files.own(files.check_folder(target))


def write(run: Any, folder: epath.Path) -> None:
    """Writes a run, or a prior's, for inference: its parameters as they are, and its config.

    Raises:
        UserError: the folder cannot be written.
    """
    with checkpoints.Checkpoints(folder) as saving:
        saving.save(run.step, {"ema_params": run.params}, {})
    # Last, since it is what makes a folder a run.
    text = json.dumps(workdir.to_json(run.config), indent=2)
    files.write(folder / "config.json", text + "\n")


def find(path_or_name: epath.PathLike) -> epath.Path:
    """The run directory that a path or the name of a shipped model stands for.

    Raises:
        UserError: it is neither.
    """
    path, name = files.expand(path_or_name), str(path_or_name)
    # A folder of that name that is no run does not hide the model.
    if name in pretrained() and not (path / "config.json").exists():
        return PRETRAINED / name
    if path.is_dir():
        return path
    if path.exists():
        raise UserError(f"{path}: not a run directory, but a file")
    shipped = ", ".join(pretrained()) or "none"
    raise UserError(f"{name}: no such run directory, nor a shipped model (there are: {shipped})")


def absolute(path: epath.Path) -> epath.Path:
    """The same place, from wherever it is named; that of a bucket (gs://) is so already."""
    return path if "://" in os.fspath(path) else path.resolve()


def pretrained() -> list[str]:
    """Names of the models that the package ships."""
    if not PRETRAINED.is_dir():
        return []
    return sorted(path.name for path in PRETRAINED.iterdir() if (path / "config.json").exists())


def is_shipped(path: epath.Path) -> bool:
    """Whether a run directory is one of those that are installed with the package."""
    return path.resolve().parent == PRETRAINED.resolve()


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
