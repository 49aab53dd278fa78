"""A trained prior over the motion codes of a run, ready for use, and whose codes they are."""

import dataclasses
import json
from typing import Protocol

import jax
import numpy as np
from etils import epath
from jaxtyping import PyTree

from vdd import files, fingerprint, runs
from vdd.config import Config, changeable, frozen
from vdd.errors import UserError
from vdd.method.disentangler import Disentangler
from vdd.models.prior import MotionPrior
from vdd.training.parameters import load_params

SOURCE_FILE = "source.json"
TASK = "prior"


class NoPriorError(UserError):
    """A run has no prior, where one is looked for."""


class OtherPriorError(UserError):
    """A prior is of the codes of another model."""


class Coding(runs.Trained, Protocol):
    """A run whose model makes codes: a `vdd.run.Run`."""

    @property
    def model(self) -> Disentangler:
        """The model."""
        ...


@dataclasses.dataclass(frozen=True)
class Source:
    """The run whose codes a prior was trained on; kept in `source.json` of the prior's run."""

    run: str  # by which it is found from anywhere (`runs.full_name`); exported, its last part
    step: int
    fingerprint: str  # of the model, in hex digits
    num_groups: int
    num_codes: int

    def is_of(self, run: runs.Trained) -> bool:
        """Whether these are the codes of a `vdd.run.Run`."""
        return self.fingerprint == fingerprint.of_model(run.params).hex()


@dataclasses.dataclass(frozen=True, repr=False)
class PriorRun:
    """What the run directory of a prior holds, for inference."""

    config: Config
    model: MotionPrior
    params: PyTree  # the Flax params dict (of the exponential moving average)
    step: int
    source: Source

    def __repr__(self) -> str:
        """In one line; the parameters are counted, not printed."""
        size = runs.count_parameters(self.params)
        source = f"{self.source.run!r} at step {self.source.step}"
        return f"PriorRun(step {self.step}, of the codes of {source}, {size:,} parameters)"


def load_prior(path_or_name: epath.PathLike, step: int | None = None) -> PriorRun:
    """Loads a prior.

    Args:
        path_or_name: the run directory of a prior; or a run, or the name of a shipped model, that
            has one (see `find_prior`).
        step: which checkpoint; None takes the latest that can be read.

    Raises:
        UserError: no such prior, no checkpoint in it, or its config is not one of this version.
    """
    path = find_prior(path_or_name)
    config, source = runs.load_config(path), read_source(path)
    if source is None:
        raise UserError(f"{path}: no prior has been trained there (it has no {SOURCE_FILE})")
    try:
        model = build(config.model, source)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: its config does not fit this version of vdd ({error})") from error
    step, params = load_params(path, step)
    codes = jax.ShapeDtypeStruct((1, 2, source.num_groups), np.int32)
    runs.check_fits(path, params, model, codes)
    return PriorRun(config, model, params, step, source)


def load_prior_of(
    run: Coding, path_or_name: epath.PathLike, prior: epath.PathLike | None = None
) -> PriorRun:
    """The prior of a run: the one named, else the one that lies with the run (`find_prior`).

    Args:
        run: the `vdd.run.Run` that `path_or_name` names.
        path_or_name: of the run.
        prior: of the prior, as for `load_prior`.

    Raises:
        UserError: as `load_prior`.
        OtherPriorError: it is of the codes of another model.
    """
    loaded = load_prior(prior or path_or_name)
    if not loaded.source.is_of(run):
        raise OtherPriorError(
            f"{prior or find_prior(path_or_name)}: a prior of {loaded.source.run}, step"
            f" {loaded.source.step}, and not of {path_or_name}, step {run.step}: train one for it"
        )
    return loaded


def find_prior(path_or_name: epath.PathLike) -> epath.Path:
    """The run directory of a prior, named itself or by its run: RUN/prior, else RUN_prior.

    Raises:
        NoPriorError: there is none.
        UserError: no such run.
    """
    path = runs.absolute(runs.find(path_or_name))  # of "." the name, to look beside it
    beside = path.parent / f"{path.name}_prior"
    for place in (path, path / "prior", beside):
        if is_prior(place):
            return place
    raise NoPriorError(
        f"{path_or_name} has no prior, neither as {path / 'prior'} nor as {beside}: train one with"
        f" --config=configs/motion_prior.py --config.source={path_or_name} --workdir={beside}"
    )


def is_prior(path: epath.Path) -> bool:
    """Whether a folder is the run directory of a prior."""
    return (path / "config.json").exists() and runs.load_config(path).get("task") == TASK


def build(config: Config, source: Source) -> MotionPrior:
    """The network of `config.model`, with the sizes that the source's codes have.

    Raises TypeError or ValueError for a key or a value that there is not.
    """
    return MotionPrior(source.num_groups, source.num_codes, **config)


def source_of(run: Coding, path_or_name: epath.PathLike) -> Source:
    """What is to be known of a run whose codes a prior is trained on."""
    book = run.model.quantizer.codebook
    name = runs.full_name(runs.find(path_or_name))
    mark = fingerprint.of_model(run.params).hex()
    return Source(name, run.step, mark, book.num_groups, book.num_codes)


def read_source(path: epath.Path) -> Source | None:
    """The source of the prior in a run directory; None where none has been recorded.

    Raises:
        UserError: the file is broken.
    """
    file = path / SOURCE_FILE
    if not file.exists():
        return None
    try:
        return Source(**json.loads(file.read_text()))
    except (OSError, TypeError, ValueError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from error


def write_source(path: epath.Path, source: Source) -> None:
    """Records the source of a prior.

    Raises:
        UserError: the folder cannot be written.
    """
    text = json.dumps(dataclasses.asdict(source), indent=2)
    files.write(files.own(path) / SOURCE_FILE, text + "\n")


def export_prior(path: epath.PathLike, folder: epath.PathLike, step: int | None = None) -> PriorRun:
    """Writes what inference needs of a prior, in half precision; as `vdd.export.export`.

    Returns:
        the prior that was exported, in full precision.
    """
    prior = load_prior(path, step)
    # Nothing of the folders of this machine: of those of the source, its name.
    source = dataclasses.replace(prior.source, run=epath.Path(prior.source.run).name)
    config = changeable(prior.config)
    config.data.art_dir, config.source = None, source.run
    if "init_from" in config.train:
        config.train.init_from = None
    with runs.making(folder) as target:
        write_source(target, source)
        runs.write_small(dataclasses.replace(prior, config=frozen(config)), target)
        runs.copy_reports(find_prior(path), target, prior.step)
        report = target / "eval" / f"{prior.step}.json"
        if report.exists():
            figures = json.loads(report.read_text())
            figures["source"]["run"] = source.run
            files.write(report, json.dumps(figures, indent=2) + "\n")
    return prior
