"""What a run holds, in lines of text: `vdd info` and `vdd evaluate` print them."""

import json
import math
from collections.abc import Mapping

import jax
from etils import epath
from jaxtyping import PyTree

from vdd import motions, priors, runs
from vdd.errors import UserError
from vdd.run import Run
from vdd.run import load as load_run
from vdd.training import checkpoint_files
from vdd.values import Figures, Report


def describe(path_or_name: epath.PathLike) -> list[str]:
    """Config, checkpoints, parameters per part, capacities, and the latest evaluation of a run.

    Raises:
        UserError: as `vdd.run.load`.
    """
    path = runs.find(path_or_name)
    if priors.is_prior(path):
        return _describe_prior(path)
    run = load_run(path)
    steps = ", ".join(map(str, checkpoint_files.list_steps(path))) or "none, exported"
    height, width, _ = run.model.latents.size
    config = run.config
    lines = [
        f"run         {path}",
        f"data        {runs.data_name(config)}, clips of {width}x{height} pixels",
        f"trained     {run.step} of {config.train.num_steps} steps"
        f" of {config.train.batch_size} clips (checkpoints: {steps})",
        *_parameters(run.params),
        *_rates(run),
        *_motions(run, path),
    ]
    evaluation = latest_evaluation(path)
    if evaluation is None:
        return [*lines, "evaluation  none yet: vdd evaluate " + str(path_or_name)]
    return [*lines, *figures(evaluation)]


def _describe_prior(path: epath.Path) -> list[str]:
    prior, evaluation = priors.load_prior(path), latest_evaluation(path)
    model, source = prior.model, prior.source
    return [
        f"prior       {path}",
        f"of codes of {source.run}, step {source.step}: {model.num_groups} groups x"
        f" {model.num_codes} codes",
        f"trained     {prior.step} of {prior.config.train.num_steps} steps"
        f" of {prior.config.train.batch_size} clips; it looks back over {model.window} frames",
        *_parameters(prior.params),
        *(figures(evaluation) if evaluation else ["evaluation  none yet"]),
    ]


def figures(report: Report) -> list[str]:
    """The figures of an evaluation report, a line a section; what was not measured is left out."""
    head = f"step {report['step']}, {report['num_clips']} clips of the {report['split']} split"
    lines = [f"evaluation  {head}"]
    for section, entries in report.items():
        if not isinstance(entries, Mapping):
            continue
        measured = {key: value for key, value in entries.items() if value is not None}
        if measured:
            text = "  ".join(f"{key} {_number(value)}" for key, value in measured.items())
            lines.append(f"  {section:17} {text}")
    return lines


def latest_evaluation(path: epath.Path) -> Figures | None:
    """The report of the last step that was evaluated, or None.

    Raises:
        UserError: the file is broken.
    """
    folder = path / "eval"
    files = list(folder.glob("*.json")) if folder.is_dir() else []
    files = [file for file in files if file.stem.isdecimal()]
    if not files:
        return None
    file = max(files, key=lambda file: int(file.stem))
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from error


def _parameters(params: PyTree) -> list[str]:
    sizes = {part: sum(x.size for x in jax.tree.leaves(tree)) for part, tree in params.items()}
    lines = [f"parameters  {sum(sizes.values()):,}"]
    return lines + [f"  {part:17} {size:,}" for part, size in sorted(sizes.items())]


def _rates(run: Run) -> list[str]:
    book, rates = run.model.quantizer.codebook, run.config.rates
    capacity = book.num_groups * math.log2(book.num_codes)
    tokens = "{} tokens x {}".format(*run.model.content_shape)
    code = run.model.content_code
    return [
        f"motion      {book.num_groups} groups x {book.num_codes} codes: at most {capacity:g} bits"
        f" a frame, target {runs.motion_target(run.config)}",
        f"content     {tokens}, target {rates.target_bits_per_clip:g} bits a clip",
        *([f"            then a code of {code.num_numbers} whole numbers"] if code else []),
    ]


def _motions(run: Run, path: epath.Path) -> list[str]:
    try:
        return list(motions.describe(motions.load(run, path)))
    except motions.NoMotionsError:
        return []
    except motions.OtherMotionsError as error:
        return [f"motions     {error}"]


def _number(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
