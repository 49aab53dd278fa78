"""The first state of a second run (`train.init_from`): the parameters of an earlier run.

A parameter is taken over by its path, where shape and dtype agree; mean and scale of the latents
are among them. What the earlier run lacks starts fresh. So does all that is not a parameter: the
optimiser's state, the prices of the rates, a target that finds itself, the use of the codewords
and the step.
"""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import jax
import numpy as np
from etils import epath
from jax.tree_util import KeyPath
from jaxtyping import Array, PyTree

from vdd.errors import UserError
from vdd.training.parameters import load_params

_NAMED = 5  # parameters, in an error or a line


class Earlier(NamedTuple):
    """Averaged parameters of an earlier run, on the host."""

    arrays: dict[str, np.ndarray]  # by path
    summary: str  # in one line: what is taken over, and what is new


def load(run: epath.Path, params: PyTree) -> Earlier:
    """Reads the averaged parameters of the latest checkpoint of a run that can be read.

    Args:
        run: the earlier run's directory.
        params: the shapes of the new run's parameters.

    Raises:
        UserError: no such checkpoint; a parameter that the new run lacks or has in another shape.
    """
    step, averaged = load_params(run)
    old, new = _by_path(averaged), _by_path(params)
    wrong = [
        f"{path} is {_form(x)} there and {_form(new.get(path))} here"
        for path, x in old.items()
        if _form(x) != _form(new.get(path))
    ]
    if wrong:
        raise UserError(
            f"train.init_from: the parameters of {run} do not fit: {_some(wrong, '; ')}"
        )
    fresh = {path: x for path, x in new.items() if path not in old}
    many, added = (sum(x.size for x in some.values()) for some in (old, fresh))
    summary = f"{many:,} parameters of {run} at step {step}, and {added:,} new ones"
    summary += f": {_some(_modules(fresh, old), ', ')}" if fresh else ""
    return Earlier({path: np.asarray(x) for path, x in old.items()}, summary)


def replace(state: PyTree, arrays: dict[str, np.ndarray]) -> PyTree:
    """The state with these parameters, and these as their average; where its arrays live."""

    def place(path: KeyPath, x: jax.Array) -> jax.Array:
        array = arrays.get(_name(path))
        if array is None:
            return x
        # Copies: the first step may overwrite them.
        return jax.make_array_from_callback(x.shape, x.sharding, lambda i: np.array(array[i]))

    params, average = (
        jax.tree_util.tree_map_with_path(place, tree) for tree in (state.params, state.ema_params)
    )
    return state.replace(params=params, ema_params=average)


def _by_path(tree: PyTree) -> dict[str, PyTree]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {_name(path): x for path, x in leaves}


def _name(path: KeyPath) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _form(x: Array | np.ndarray | jax.ShapeDtypeStruct | None) -> str:
    """Such as "float32[3,64]"."""
    return "absent" if x is None else f"{x.dtype}[{','.join(map(str, x.shape))}]"


def _modules(fresh: Iterable[str], old: Iterable[str]) -> list[str]:
    """The largest parts of the model of which all is new."""

    def prefixes(path: str) -> list[str]:
        return list(itertools.accumulate(path.split("."), "{}.{}".format))

    known = {part for path in old for part in prefixes(path)}
    return sorted({next(part for part in prefixes(path) if part not in known) for path in fresh})


def _some(texts: list[str], between: str) -> str:
    more = f" (and {len(texts) - _NAMED} more)" if len(texts) > _NAMED else ""
    return between.join(texts[:_NAMED]) + more
