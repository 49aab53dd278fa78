"""Run directories: where they are found, what they are called, how they are written."""

import dataclasses
import json
import os
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from etils import epath
from ml_collections import FrozenConfigDict

from vdd import eight_bits, files
from vdd.errors import UserError
from vdd.training import checkpoint_files, workdir

# Published autoencoders have float16, which bfloat16 would not hold.
_HALF = {"latents": jnp.float16}
# What codes mean: files that one copy of a model wrote have to be read by any other.
_EXACT = ("quantizer",)

PRETRAINED = epath.resource_path("vdd") / "pretrained"


def count_parameters(params: Any) -> int:
    """Numbers in all arrays of a tree."""
    return sum(x.size for x in jax.tree.leaves(params))


def data_name(config: Any) -> str:
    """The data set of a run, and where it has several arts, which: "sprites/lpc"."""
    data = config.data
    return f"{data.dataset}/{data.art}" if "art" in data else data.dataset


def copy_report(source: epath.Path, target: epath.Path, step: int) -> None:
    """Copies the evaluation of a step from one run directory to another, if there is one."""
    report = source / "eval" / f"{step}.json"
    if report.exists():
        files.write(target / "eval" / report.name, report.read_bytes())


def write_small(run: Any, target: epath.Path, eight: bool = False) -> None:
    """Writes a run in fewer bits, without a word of the machine it was made on.

    Of a model (`vdd.export.export`) large matrices have eight bits a number; of a prior, of which
    files are decoded bit by bit, and of the latents sixteen.
    """
    small = {
        part: jax.tree.map(
            partial(_half_precision, dtype=_HALF.get(part, jnp.bfloat16)),
            eight_bits.pack(tree) if eight and part not in _HALF else tree,
            is_leaf=eight_bits.is_packed,
        )
        if part not in _EXACT
        else tree
        for part, tree in run.params.items()
    }
    write(dataclasses.replace(run, params=small), target)
    checkpoint = checkpoint_files.checkpoints_dir(target) / str(run.step)
    for path, _, names in checkpoint.walk():
        if "commit_success.txt" in names:  # in which Orbax tells where on this machine that was
            files.write(path / "commit_success.txt", "written\n", overwrite=True)
    files.seal(checkpoint)


def _half_precision(x: Any, dtype: Any) -> Any:
    small = eight_bits.is_packed(x) or x.size <= 4096
    return x if small or not jnp.issubdtype(x.dtype, jnp.floating) else x.astype(dtype)


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
    from vdd.training import checkpoints  # Orbax takes long to import, and writes alone

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
