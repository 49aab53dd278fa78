"""The run directory's config.json: written once, compared at every resume."""

import contextlib
import json
from collections.abc import Iterator

import jax
from etils import epath

from vdd import files
from vdd.config import Config
from vdd.errors import UserError
from vdd.training import checkpoint_files, weights
from vdd.values import Json

# What may change when a run is resumed: how often, where, and on which devices; nothing that alters
# what a step computes from a state and a batch, but for the length of the training, to which the
# schedules then stretch. (A prefix stands for all below it.) An autoencoder's weights are in the
# state, wherever they came from. How motion is read afterwards does not matter to a step.
RESUMABLE = (
    "train.num_steps",
    "train.log_every",
    "train.checkpoint_every",
    "train.eval_every",
    "train.sample_every",
    "train.keep",
    "train.keep_every",
    "train.mesh",
    "eval",
    "data.art_dir",
    "data.data_dir",
    "model.motion_window",
    "model.latents.encoder",
    "model.latents.decoder",
    "model.latents.weights",
)


# What the evaluation of a run writes beside `eval/<step>.json`, by name or pattern.
REPORT = (
    "report.md",
    "samples/curves.png",
    "samples/reconstructions.png",
    "samples/swaps.*",
    "samples/transfer_[0-9].*",
    "samples/transfers.png",
    "autoencoder/*",
)
_RECORDS = ("source.json", "metrics.jsonl")


def check(workdir: epath.Path, config: Config) -> bool:
    """Whether `workdir` holds checkpoints that this config goes on from; nothing is written.

    Until the first checkpoint there is nothing to resume: the directory then takes any config.

    Args:
        workdir: need not be there.
        config: compared with `workdir/config.json` where that exists.

    Raises:
        UserError: the directory cannot be written, holds a run of another config or an exported
          one, or has files of somebody else that bear the names of a run's.
    """
    files.check_folder(workdir)
    if weights.are_in(workdir):
        raise UserError(
            f"{workdir} is an exported run, of which no training goes on: choose another --workdir"
            f" (--config.train.init_from={workdir} begins with its parameters)"
        )
    old, steps = _read(workdir / "config.json"), checkpoint_files.list_steps(workdir)
    if old is not None and steps:
        check_same_run(workdir, old, to_json(config))
    # What was copied here without its list is known to be this run by config and checkpoints.
    known = steps and not (workdir / files.LIST).exists()
    names = () if known else _RECORDS if steps else ("config.json", *_RECORDS)
    files.check_folder(workdir, *names, *REPORT)
    checkpoint_files.check(workdir, config.train)
    return bool(steps)


def claim(workdir: epath.Path, config: Config) -> None:
    """Make `workdir` the directory of this config's run, new or resumed: write its config.json.

    Raises:
        UserError: as `check`.
    """
    resumed = check(workdir, config)
    files.own(workdir)
    for path in (workdir / name for name in _RECORDS):
        if resumed and path.exists() and not files.is_ours(path):
            files.mark(path, files.GROWS)
    path, new = workdir / "config.json", to_json(config)
    if _read(path) != new:
        files.write(path, json.dumps(new, indent=2) + "\n", overwrite=resumed)


@contextlib.contextmanager
def held(workdir: epath.Path) -> Iterator[None]:
    """Holds a run directory against other trainings, on the first of this one's processes."""
    with files.lock(workdir) if jax.process_index() == 0 else contextlib.nullcontext():
        yield


def _read(path: epath.Path) -> Json | None:
    """The config of a run; None where there is no config.json."""
    try:
        config = json.loads(path.read_text()) if path.exists() else None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: mend it or choose another --workdir") from error
    if config is not None and not isinstance(config, dict):
        raise UserError(f"{path} is not the config of a run: choose another --workdir")
    return config


def check_same_run(workdir: epath.Path, old: Json, new: Json) -> None:
    """Raise a UserError that names the first keys whose change would make it another run."""
    was, now = dict(flatten(old)), dict(flatten(new))
    changed = [
        key
        for key in sorted(was.keys() | now.keys())
        if was.get(key, "absent") != now.get(key, "absent") and not _is_resumable(key)
    ]
    if changed:
        named = ", ".join(
            f"{k} was {was.get(k, 'absent')} and is now {now.get(k, 'absent')}" for k in changed[:3]
        )
        more = f" (and {len(changed) - 3} more keys)" if len(changed) > 3 else ""
        raise UserError(
            f"{workdir} holds a run of another config: {named}{more}; "
            "choose another --workdir or go back to those values"
        )


def to_json(config: Config) -> Json:
    """The config as plain JSON values (tuples become lists)."""
    return json.loads(config.to_json_best_effort())


def flatten(tree: Json, prefix: str = "") -> Iterator[tuple[str, object]]:
    """(dotted key, leaf) pairs of a nested dict."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _is_resumable(key: str) -> bool:
    return any(key == prefix or key.startswith(prefix + ".") for prefix in RESUMABLE)
