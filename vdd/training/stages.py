"""Training in stages: from a step on, the same run with some settings changed and layers added.

`config.train.stages` lists what comes after the first stage, as (step, ((dotted key, value), ...)):

    stages=((30000, (("model.denoiser.network.temporal", True), ("objective.noisy_frames", 25))),)

says that the 30001st step is the first one with attention along time. All stages are one run:
schedules run over the whole of `train.num_steps`, batches and random numbers go on, and a stage
takes over every array of the one before. It may add arrays, which start with fresh values, and may
neither drop nor reshape any. Settings of a stage stay in the stages after it.
"""

import itertools
from collections.abc import Callable
from typing import Any

import jax
from ml_collections import ConfigDict, FrozenConfigDict

from vdd.errors import UserError

# What a stage may change. The rest is how the run is kept, or what a batch is.
CHANGEABLE = ("model.", "objective.", "rates.", "revival.", "optimizer.", "train.accumulate")


def starts(config: Any) -> tuple[int, ...]:
    """How many steps are done when each stage begins, 0 first; those that are reached at all.

    Raises:
        UserError: `train.stages` is not as it ought to be.
    """
    found = (0, *(start for start, _ in _stages(config)))
    if any(after <= before for before, after in itertools.pairwise(found)):
        raise UserError(f"train.stages begin after steps {found[1:]}: from 1 on, and ascending")
    return tuple(start for start in found if start == 0 or start < config.train.num_steps)


def config_at(config: Any, step: int) -> Any:
    """The config of the stage to which a step belongs; frozen if `config` is.

    A checkpoint that was saved as a stage ended, at the step that its successor starts from,
    belongs to the stage that ended.

    Raises:
        UserError: `train.stages` is not as it ought to be, or changes what it may not.
    """
    begun = [changes for start, changes in _stages(config) if start < step]
    if not begun:
        return config
    frozen, given = isinstance(config, FrozenConfigDict), config
    changed = ConfigDict(given) if frozen else config.copy_and_resolve_references()
    changed.lock()
    for key, value in itertools.chain(*(changes.items() for changes in begun)):
        if not key.startswith(CHANGEABLE):
            raise UserError(f"train.stages: {key} is none of {', '.join(CHANGEABLE)}")
        try:
            changed.update_from_flattened_dict({key: value})
        except (KeyError, TypeError) as error:
            raise UserError(f"train.stages: {key}={value!r}: {error.args[0]}") from error
    return FrozenConfigDict(changed) if frozen else changed


def _stages(config: Any) -> list[tuple[int, dict[str, Any]]]:
    stages = config.train.stages if "stages" in config.train else ()
    try:
        return [(int(start), dict(changes)) for start, changes in stages]
    except (TypeError, ValueError) as error:
        raise UserError(
            f"train.stages={stages} is not ((step, ((key, value), ...)), ...)"
        ) from error


def check_growth(start: int, before: Any, after: Any) -> None:
    """Raise a UserError that lists what the stage from `start` on would drop or reshape.

    `before` and `after` are the states of two stages, or their shapes.
    """
    now = _by_path(after)
    broken = [
        f"{path} was {x.shape} and is now {now[path].shape if path in now else 'gone'}"
        for path, x in _by_path(before).items()
        if path not in now or now[path].shape != x.shape or now[path].dtype != x.dtype
    ]
    if broken:
        # Averages and moments follow the parameters, and say nothing new.
        named = [line for line in broken if line.startswith(".params")] or broken
        more = f" (and {len(named) - 5} more)" if len(named) > 5 else ""
        raise UserError(
            f"train.stages: the stage from step {start} on may only add arrays, but"
            f" {', '.join(named[:5])}{more}"
        )


def grow(state: Any, init: Callable[..., Any], abstract: Any, *args: Any, **options: Any) -> Any:
    """The first state of a stage: all of the state before it, and what is new from `init(*args)`.

    Args:
        state: of the stage before.
        init: pure, gives a whole state; what is not new is never computed.
        abstract: the shapes and shardings of the new stage's state.
        args: of `init`.
        options: of `jax.jit`.
    """
    known = _by_path(state)

    def new(*args: Any) -> dict[str, Any]:
        return {path: x for path, x in _by_path(init(*args)).items() if path not in known}

    where = {path: x.sharding for path, x in _by_path(abstract).items() if path not in known}
    arrays = known | jax.jit(new, out_shardings=where, **options)(*args)
    return jax.tree.unflatten(
        jax.tree.structure(abstract), [arrays[path] for path in _by_path(abstract)]
    )


def _by_path(tree: Any) -> dict[str, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): x for path, x in leaves}
