"""Training of the prior over the motion codes of a finished run."""

import functools

import jax
import numpy as np
from etils import epath
from jaxtyping import PyTree

from vdd import errors, priors, runs
from vdd.config import Config
from vdd.data import codes, datasets
from vdd.data.batches import ClipIterator
from vdd.errors import UserError
from vdd.evaluation import evaluation as shared
from vdd.run import Run
from vdd.run import load as load_run
from vdd.tasks.prior import evaluation
from vdd.tasks.prior import step as prior_step
from vdd.training import sharding
from vdd.training.checkpoint_files import list_steps
from vdd.training.loop import Hook
from vdd.training.update import Training
from vdd.values import Figures


def settle(config: Config, workdir: epath.Path) -> Config:
    """The config with the step of the source: what is on record, else the one named or the last.

    The source may be in training itself: all that follows is of this one step, also when resumed.

    Raises:
        UserError: no such source, or no such step in it.
    """
    recorded = priors.read_source(workdir) if list_steps(workdir) else None
    settled = config.copy_and_resolve_references()
    settled.source_step = recorded.step if recorded else _source(config)[0].step
    return settled


def build(config: Config) -> Training:
    """The functions of the training."""
    shared.check(config.eval, datasets.find(_source_data(config).dataset).SPLITS)
    with errors.group("data"):
        errors.at_least(1, config.data, "frames")
        errors.at_least(0, config.data, "num_clips")
        errors.between(0, 1, config.data, "start_share")
        errors.switches(config.data, "loop")
    source = _source(config)[1]
    with errors.group("model"):
        prior = priors.build(config.model, source)
    return prior_step.build(prior, config)


def batches(config: Config, process: int, processes: int) -> ClipIterator:
    """Crops of what the source was trained on, encoded by it now."""
    data = config.data
    return codes.crops(
        _codes(config, datasets.trained_split(_source_data(config)), data.num_clips),
        config.train.batch_size,
        config.seed,
        frames=data.frames,
        start_share=data.start_share,
        loop=data.loop,
        process_index=process,
        process_count=processes,
    )


def hooks(config: Config, workdir: epath.Path) -> list[Hook]:
    """Bits a frame of the validation split, each `eval_every`; the source is put on record.

    Where the data have no validation split, of the one that is evaluated. `seen_in_training` is 1
    where the training sees these clips, or characters.

    Raises:
        UserError: what was trained in `workdir` so far was of the codes of another model.
    """
    source, recorded = _source(config)[1], priors.read_source(workdir)
    if recorded is not None and list_steps(workdir):
        if recorded.fingerprint != source.fingerprint:
            raise UserError(
                f"{workdir} holds a prior of {recorded.run} at step {recorded.step}, and that is"
                " another model by now: choose another --workdir"
            )
    elif jax.process_index() == 0:
        priors.write_source(workdir, source)
    prior, size = priors.build(config.model, source), config.eval.batch_size
    data = _source_data(config)
    split = datasets.find(data.dataset).watched_split(data, config.eval.split)
    seen = int(datasets.seen_in_training(data, split))

    @functools.cache
    def held_out() -> np.ndarray:
        return _codes(config, split, config.eval.num_clips)

    def measure(step: int, state: PyTree) -> Figures:
        del step
        params = sharding.local_copy(state.ema_params)
        rate = evaluation.rates(prior, params, held_out(), size)["prior_bits_per_frame"]
        return {f"{split}_bits_per_frame": rate, "seen_in_training": seen}

    return [(config.train.eval_every, measure)]


def evaluate(workdir: epath.Path) -> int:
    """Bits a frame of a whole split."""
    return evaluation.evaluate_prior(workdir)["step"]


def _source(config: Config) -> tuple[Run, priors.Source]:
    run = load_run(config.source, config.source_step)
    return run, priors.source_of(run, config.source)


def _source_data(config: Config) -> Config:
    """`config.data` of the source."""
    return runs.load_config(runs.find(config.source)).data


def _codes(config: Config, split: str, num_clips: int) -> np.ndarray:
    return evaluation.load_codes(
        _source(config)[0],
        split,
        art_dir=config.data.art_dir,
        num_clips=num_clips,
        batch_size=config.eval.batch_size,
    )
