"""Run directories: where they are found, what they are called, how they are written."""

import contextlib
import dataclasses
import json
import os
import re
import secrets
from collections.abc import Iterator
from functools import partial
from typing import ClassVar, Protocol

import jax
import jax.numpy as jnp
from etils import epath
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import PyTree
from ml_collections import ConfigDict, FrozenConfigDict

from vdd import eight_bits, files, hub
from vdd.config import Config, changeable, frozen
from vdd.errors import UserError
from vdd.training import weights, workdir

# Published autoencoders have float16, which bfloat16 would not hold.
_HALF = {"latents": jnp.float16}
# What codes mean: files that one copy of a model wrote have to be read by any other.
_EXACT = ("quantizer",)

# Keys of a config that name files of one machine, by group.
_PLACES = {
    "data": ("art_dir", "data_dir"),
    "model.latents": ("encoder", "decoder", "weights"),
    "train": ("init_from",),
}

PRETRAINED = epath.resource_path("vdd") / "pretrained"


class Trained(Protocol):
    """What a `vdd.run.Run` and a `vdd.priors.PriorRun` have alike: what is written of them."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field]]

    @property
    def config(self) -> Config:
        """The config of the training."""
        ...

    @property
    def params(self) -> PyTree:
        """The Flax params dict."""
        ...

    @property
    def step(self) -> int:
        """Of the training, after which they were so."""
        ...


def count_parameters(params: PyTree) -> int:
    """Numbers in all arrays of a tree."""
    return sum(x.size for x in jax.tree.leaves(params))


def data_name(config: Config) -> str:
    """The data set of a run, and where it has several arts, which: "sprites/lpc"."""
    data = config.data
    return f"{data.dataset}/{data.art}" if "art" in data else data.dataset


def motion_target(config: Config) -> str:
    """The bits of motion a frame that a training held, in words: "6.35", "auto"."""
    target = config.rates.target_bits_per_frame
    return target if isinstance(target, str) else f"{target:g}"


def copy_reports(source: epath.Path, target: epath.Path, step: int) -> None:
    """Copies the evaluations of a step, on whatever split, from one run directory to another."""
    folder = source / "eval"
    for report in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        if report.stem.partition("_")[0] == str(step):
            files.write(target / "eval" / report.name, report.read_bytes())


def write_small(run: Trained, target: epath.Path, eight: bool = False) -> None:
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


def _half_precision(x: PyTree, dtype: DTypeLike) -> PyTree:
    small = eight_bits.is_packed(x) or x.size <= 4096
    return x if small or not jnp.issubdtype(x.dtype, jnp.floating) else x.astype(dtype)


@contextlib.contextmanager
def making(folder: epath.PathLike) -> Iterator[epath.Path]:
    """A folder to write a run into, which becomes `folder` when all is written.

    What a crash leaves lies beside it, in `.vdd-FOLDER`, and goes with the next try. In a folder
    that was there, empty, and on gs:// a run is written in place: what a crash leaves stays there.

    Raises:
        UserError: the folder is there and not empty, cannot be made or written, or another process
            makes it.
    """
    target = files.expand(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target}: already there; name a new or an empty folder")
    files.check_folder(target)
    if files.is_remote(target) or target.exists():
        yield files.own(target)
        return
    work = files.own_work(target.with_name(f".vdd-{target.name}"))
    with files.lock(work):
        try:
            begun = files.own(work / f"run-{secrets.token_hex(4)}")
            yield begun
            files.move(begun, target)
        finally:
            files.remove_work(work, "run-[0-9a-f]+")


def write(run: Trained, folder: epath.Path) -> None:
    """Writes a run, or a prior's, for inference: its parameters as they are, and its config.

    Raises:
        UserError: the folder cannot be written.
    """
    weights.write(folder, run.step, run.params)
    # Last, since it is what makes a folder a run.
    text = json.dumps(workdir.to_json(run.config), indent=2)
    files.write(folder / "config.json", text + "\n")


def find(path_or_name: epath.PathLike, anew: bool = False) -> epath.Path:
    """The run directory that a path, an address or the name of a shipped model stands for.

    Args:
        path_or_name: a path, the name of a shipped model, or `hf://owner/name` (`vdd.hub.find`).
        anew: ask the Hub, also where this process has done so before.

    Raises:
        UserError: it is none of them.
    """
    if hub.is_address(path_or_name):
        return hub.find(os.fspath(path_or_name), anew)
    _check_scheme(os.fspath(path_or_name))
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


def _check_scheme(name: str) -> None:
    """Raise a UserError for an address that names no run."""
    scheme, found, rest = name.partition("://")
    if not found or scheme.lower() in ("gs", "file"):
        return
    page = re.match(r"(?:www\.)?(?:huggingface\.co|hf\.co)/([^/]+/[^/@?#]+)", rest)
    say = f"hf://{page[1]}" if page else "hf://owner/name, or copy it to this machine"
    raise UserError(f"{name}: a model is not loaded from {scheme}://: say {say}")


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


def is_others(path: epath.Path) -> bool:
    """Whether nothing is written into a run directory: it is installed, or was downloaded."""
    return is_shipped(path) or hub.address_of(path) is not None


def full_name(path: epath.Path) -> str:
    """By which `find` finds a run directory from anywhere."""
    return path.name if is_shipped(path) else hub.address_of(path) or os.fspath(absolute(path))


def last_name(path: epath.Path) -> str:
    """What a run is called among others: the last part of its path or address."""
    address = hub.address_of(path)
    return hub.parse(address).name.rpartition("/")[2] if address else path.name


def steps_begun(path: epath.PathLike) -> int:
    """The number of steps of a run that has begun; 0 where there is none."""
    folder = files.expand(path)
    return load_config(folder).train.num_steps if (folder / "config.json").exists() else 0


def load_config(path: epath.Path) -> Config:
    """The config of a run directory, a FrozenConfigDict; lists of the JSON are tuples again.

    One that was downloaded names no place on this machine, whatever it says.

    Raises:
        UserError: no config.json, or a broken one.
    """
    file = path / "config.json"
    if not file.exists():
        raise UserError(f"{path}: not a run directory (it has no config.json)")
    try:
        config = FrozenConfigDict(json.loads(file.read_text()))
        return without_places(config) if hub.address_of(path) else config
    except (OSError, AttributeError, RecursionError, ValueError, TypeError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from error


def without_places(config: Config) -> Config:
    """The config of a run, with nothing in it of the machine that it was trained on."""
    told = changeable(config)
    for name, keys in _PLACES.items():
        group = told
        for part in name.split("."):
            group = group.get(part, ConfigDict())
        for key in keys:
            if key in group:
                group[key] = None
    return frozen(told)


def check_fits(
    path: epath.Path, params: PyTree, network: nn.Module, example: jax.ShapeDtypeStruct
) -> None:
    """Raise a UserError where parameters that were downloaded are not those of their config.

    Args:
        path: the run directory.
        params: the Flax params dict that was read.
        network: the Flax module that they ought to be of.
        example: the shape of what it is called with.
    """
    if hub.address_of(path) is None:
        return
    try:
        made = jax.eval_shape(lambda x: network.init(jax.random.key(0), x), example)
        wanted = _forms(made["params"])
    except Exception as error:  # whatever a network says to sizes that do not go together
        reason = f"{type(error).__name__}: {error}"[:200]
        raise UserError(f"{path / 'config.json'}: describes no model ({reason})") from error
    held = _forms(params)
    wrong = sorted(name for name in wanted.keys() | held if wanted.get(name) != held.get(name))
    if wrong:
        raise UserError(
            f"{path / weights.FILE}: not of the model that config.json describes: {wrong[0]} is"
            f" {held.get(wrong[0], 'absent')} and not {wanted.get(wrong[0], 'absent')}"
        )


def _forms(params: PyTree) -> dict[str, str]:
    """By path, dtype and shape."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    named = {jax.tree_util.keystr(path, simple=True, separator="."): x for path, x in leaves}
    return {name: f"{x.dtype}{list(x.shape)}" for name, x in named.items()}
