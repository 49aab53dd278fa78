"""A run from its config: trained or resumed, then evaluated."""

import contextlib
import re
import signal
from pathlib import Path

import jax
from etils import epath
from ml_collections import ConfigDict

from vdd import errors, files, own_data, runs, tasks
from vdd.config import Config
from vdd.errors import UserError
from vdd.training import checkpoint_files, loop, sharding, timing
from vdd.training.parameters import load_params
from vdd.training.processes import say
from vdd.training.update import Training
from vdd.training.workdir import check, held


def train(config: Config, workdir: epath.Path) -> signal.Signals | None:
    """Train or resume up to `train.num_steps`; the signal that came meanwhile, if one did."""
    check(workdir, config)
    steps, last = checkpoint_files.list_steps(workdir), config.train.num_steps
    # The last checkpoint has to be readable too: otherwise training goes on from the one before.
    if steps and steps[-1] >= last and load_params(workdir)[0] >= last:
        say(f"{workdir} is trained to step {steps[-1]} already")
        if checkpoint_files.left_over(workdir, config.train):  # it was stopped after the last one
            with held(workdir):
                checkpoint_files.clean(workdir)
                checkpoint_files.prune(workdir, config.train.keep, config.train.keep_every)
        return None
    task = tasks.find(config.task)
    settled = task.settle(config, workdir)  # config.json keeps what was asked for
    training = build(settled)
    # What a run began with is in its checkpoints: the other run may be gone by now.
    earlier = None if steps or not config.train.init_from else runs.find(config.train.init_from)
    # Nothing is made for a new run before its data are open.
    with contextlib.ExitStack() as stack:
        if workdir.exists():
            stack.enter_context(held(workdir))
        iterator = task.batches(settled, jax.process_index(), jax.process_count())
        stack.enter_context(held(workdir))
        hooks = task.hooks(settled, workdir)
        outcome = loop.train(config, workdir, iterator, *training, hooks=hooks, earlier=earlier)
    if outcome.stopped_by:
        saved = f"saved at step {outcome.step}; the same command goes on there"
        nothing = "stopped before the first step; the same command begins anew"
        say(f"{outcome.stopped_by}: {saved if outcome.step else nothing}")
        return signal.Signals[outcome.stopped_by]
    return None


def build(config: Config) -> Training:
    """The functions of the training, before anything is read or written for it.

    Raises:
      UserError: the config asks for what there is not.
    """
    mesh = sharding.make_mesh(config.train.mesh.data, config.train.mesh.fsdp)
    sharding.check_batch_size(config.train.batch_size, mesh, config.train.accumulate)
    errors.at_least(0, config, "seed")
    with errors.group("train"):
        scheduled = ("checkpoint_every", "eval_every", "sample_every", "keep_every")
        errors.at_least(1, config.train, "num_steps", "log_every")
        errors.at_least(0, config.train, *(key for key in scheduled if key in config.train))
        errors.decays(config.train, *(key for key in ("ema_decay",) if key in config.train))
    try:
        return tasks.find(config.task).build(config)
    except UserError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"the config cannot be built: {error}") from error


def make_ready(config: Config, workdir: epath.Path, folder: str, minutes: float | None) -> None:
    """Prepares a folder of one's own; with `minutes` the steps become as many as take so long.

    Those of a run that has begun stay as they are.
    """
    if jax.process_count() > 1:
        raise UserError("--data is for one process: prepare the clips first, and give --config")
    own_data.prepared(folder, config.data.data_dir)
    if not minutes:
        return
    steps = runs.steps_begun(workdir)
    if not steps:
        task = tasks.find(config.task)
        settled = task.settle(config, workdir)
        iterator = task.batches(settled, 0, 1)
        seconds = timing.seconds_per_step(settled, iterator, *build(settled))
        steps = max(round(60 * minutes / seconds), 1)
        say(f"a step takes {seconds:.2g} s: {steps} steps in {minutes:g} minutes")
    config.train.update(own_data.cadence(steps))


def evaluate(config: Config, workdir: epath.Path) -> None:
    """Evaluate the latest checkpoint, unless its report is there."""
    report = workdir / "eval" / f"{checkpoint_files.list_steps(workdir)[-1]}.json"
    if report.exists():
        say(f"{report} is there already")
    else:
        with held(workdir):
            step = tasks.find(config.task).evaluate(workdir)
        say(f"wrote {report.with_name(f'{step}.json')} and {workdir / 'report.md'}")


def default_workdir(named: str) -> epath.Path:
    """Where a run goes if nobody says: runs/sprites_smoke for configs/sprites.py:smoke."""
    file, _, variant = named.partition(":")
    words = [Path(file).stem, *re.findall("[A-Za-z0-9.-]+", variant)]
    return epath.Path("runs") / "_".join(words)


def expand_homes(config: Config) -> None:
    """Spells out `~` in the paths of a config, which a shell leaves as it is."""
    for key, value in list(config.items()):
        if isinstance(value, ConfigDict):
            expand_homes(value)
        elif isinstance(value, str) and value.startswith("~"):
            config[key] = str(files.expand(value))
