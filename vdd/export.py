"""A run for inference alone: `vdd export`."""

import dataclasses
import warnings

from etils import epath

from vdd import card, motions, priors, runs
from vdd.errors import UserError
from vdd.run import Run, load


def export(
    path_or_name: epath.PathLike,
    folder: epath.PathLike,
    step: int | None = None,
    licence: str | None = None,
) -> Run:
    """Writes what inference needs of a run: a run directory of its own, a twelfth of the size.

    It holds the config, less the folders that data came from; the averaged parameters; and of that
    step the evaluations, the prior and the named motions, where there are any. Of the parameters
    large kernels have eight bits a number (`vdd.eight_bits`), other arrays of more than 4096
    numbers are bfloat16 (those of the latents float16). The codebook stays exact. `vdd.card` writes
    README.md.

    Args:
        path_or_name: as for `load`.
        folder: where it goes; made if it is not there.
        step: which checkpoint; None takes the latest that can be read.
        licence: of the model, as the Hugging Face Hub names it; None takes that of the data.

    Returns:
        the run that was exported, in full precision.

    Raises:
        UserError: as `load`, or the folder is not empty, or cannot be written.
    """
    source = runs.find(path_or_name)
    run = load(source, step)
    licence = card.licence_of(source, licence)
    named = dataclasses.replace(run, config=runs.without_places(run.config))
    with runs.making(folder) as target:
        runs.copy_reports(source, target, run.step)
        motions.export(run, source, target)
        _export_prior(run, source, target / "prior")
        card.write(run, source, target, licence)
        runs.write_small(named, target, eight=True)
    return run


def _export_prior(run: Run, source: epath.Path, target: epath.Path) -> None:
    """The prior that lies with the run, if it is of its codes."""
    try:
        priors.load_prior_of(run, source)
    except (priors.NoPriorError, priors.OtherPriorError):
        return
    except UserError as error:
        warnings.warn(f"the prior stays behind: {error}", stacklevel=2)
        return
    priors.export_prior(priors.find_prior(source), target)
