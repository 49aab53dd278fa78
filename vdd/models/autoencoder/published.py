"""Between the parameters of a Flax module and the tensors of the PyTorch module it is a twin of.

Modules bear the published names, with `_` for the dot before a number (`down_blocks_0`), so that
the path of a parameter is its published name.
"""

import re
from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import KeyPath
from jaxtyping import Num, PyTree

from vdd.errors import UserError

Tensor = Num[np.ndarray, "..."]

# Flax calls the weight of a convolution or a dense layer `kernel`, that of a norm `scale`.
_WEIGHTS = ("kernel", "scale")


def to_params(shapes: PyTree, tensors: Mapping[str, Tensor], where: str) -> PyTree:
    """Parameters of these shapes, in float32, from the tensors of the published names.

    Args:
        shapes: a Flax params dict of arrays or ShapeDtypeStructs.
        tensors: by published name; all of them have to be used.
        where: of the tensors, for messages.

    Raises:
        UserError: a tensor is missing, or of another shape, or is none of this network's.
    """
    wanted = dict(_flat(shapes))
    for name, leaf in wanted.items():
        if name not in tensors:
            raise UserError(f"{where}: tensor {name} is missing")
        shape = tuple(leaf.shape[axis] for axis in _to_torch(leaf.ndim))
        if tensors[name].shape != shape:
            raise UserError(
                f"{where}: tensor {name} is of shape {list(tensors[name].shape)},"
                f" where {list(shape)} is wanted"
            )
    if odd := next((name for name in tensors if name not in wanted), None):
        raise UserError(f"{where}: tensor {odd} is none of this network's")

    def convert(path: KeyPath, leaf: jax.ShapeDtypeStruct) -> jax.Array:
        tensor = tensors[_published(path)]
        return jnp.asarray(tensor.transpose(np.argsort(_to_torch(leaf.ndim))), jnp.float32)

    return jax.tree_util.tree_map_with_path(convert, shapes)


def to_tensors(params: PyTree) -> dict[str, Tensor]:
    """The tensors of the published names, in the dtype of the parameters."""
    return {name: np.asarray(leaf).transpose(_to_torch(leaf.ndim)) for name, leaf in _flat(params)}


def _flat(tree: PyTree) -> Iterable[tuple[str, PyTree]]:
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return [(_published(path), leaf) for path, leaf in leaves]


def _published(path: KeyPath) -> str:
    """`encoder.down_blocks.0.norm1.weight` for (encoder, down_blocks_0, norm1, scale)."""
    *modules, leaf = (key.key for key in path)
    dotted = [re.sub(r"_(\d+)$", r".\1", module) for module in modules]
    return ".".join([*dotted, "weight" if leaf in _WEIGHTS else leaf])


def _to_torch(ndim: int) -> tuple[int, ...]:
    """Axes of a Flax array in the order in which PyTorch has them."""
    return {4: (3, 2, 0, 1), 2: (1, 0)}.get(ndim, tuple(range(ndim)))  # HWIO -> OIHW; IO -> OI
