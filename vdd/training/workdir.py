"""The run directory's config.json: written once, compared at every resume."""

import json
from collections.abc import Iterator
from typing import Any

from etils import epath

from vdd.errors import UserError
from vdd.training import checkpoints

# What may change when a run is resumed: how often, where, and on which devices; nothing that alters
# what a step computes from a state and a batch, but for the length of the training, to which the
# schedules then stretch. Stages that have not begun may change as well (`begun_by`). (A prefix
# stands for all below it.) An autoencoder's weights are in the state, wherever they came from. How
# motion is read afterwards does not matter to a step.
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


def claim(workdir: epath.Path, config: Any, write: bool = True) -> None:
    """Make `workdir` the directory of this config's run, new or resumed.

    Until the first checkpoint there is nothing to resume: the directory then takes any config.

    Args:
        workdir: created if need be.
        config: compared with `workdir/config.json` where that exists.
        write: write config.json (on one process only).

    Raises:
        UserError: the directory cannot be written, or holds a run of another config.
    """
    path = workdir / "config.json"
    new = to_json(config)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        text = path.read_text() if path.exists() else None
        old = None if text is None else json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not valid JSON: mend it or choose another --workdir") from error
    except OSError as error:
        raise UserError(f"cannot use the workdir {workdir}: {error.strerror or error}") from error
    if old is not None and (steps := checkpoints.list_steps(workdir)):
        check_same_run(workdir, *(begun_by(steps[-1], some) for some in (old, new)))
    if write and old != new:
        write_text(path, json.dumps(new, indent=2) + "\n")


def begun_by(step: int, config: dict[str, Any]) -> dict[str, Any]:
    """The config without the stages that have not begun by a step: those may still change."""
    stages = [stage for stage in config["train"].get("stages", ()) if stage[0] < step]
    train = {key: value for key, value in config["train"].items() if key != "stages"}
    return {**config, "train": {**train, "stages": stages} if stages else train}


def check_same_run(workdir: epath.Path, old: dict[str, Any], new: dict[str, Any]) -> None:
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


def to_json(config: Any) -> dict[str, Any]:
    """The config as plain JSON values (tuples become lists)."""
    return json.loads(config.to_json_best_effort())


def flatten(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, leaf) pairs of a nested dict."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def write_text(path: epath.Path, text: str) -> None:
    """Replace a file in one step, so that a reader or a crash never sees half of it.

    Raises:
        UserError: the file cannot be written (the old one is then untouched).
    """
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(text)
        part.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def _is_resumable(key: str) -> bool:
    return any(key == prefix or key.startswith(prefix + ".") for prefix in RESUMABLE)
