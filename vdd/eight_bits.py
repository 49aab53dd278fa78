"""Large matrices in eight bits a number, for models that are passed on.

Each column of a matrix, the weights of one output, is whole numbers from -127 to 127 times a scale
of its own. What comes back is within half a scale of what went in.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import PyTree

_SMALLEST = 1 << 12  # numbers of an array, beyond which it is worth it
_KEYS = {"int8", "scale"}
_EXACT = {"back"}  # layers that the files of a model rest on (`vdd.fingerprint.of_files`)


def pack(tree: PyTree, name: str = "") -> PyTree:
    """A tree of parameters with its large kernels as {"int8": [... i o], "scale": [... 1 o]}.

    Kernels are matrices of layers, by their name. What else is large, a codebook or an embedding,
    stays as it is; so do layers that a coded clip is read by.
    """
    if name in _EXACT:
        return tree
    if isinstance(tree, Mapping):
        return {name: pack(part, name) for name, part in tree.items()}
    x = np.asarray(tree)
    if not name.endswith("kernel") or x.size <= _SMALLEST or x.dtype != np.float32 or _is_half(x):
        return tree
    scale = np.maximum(np.abs(x).max(axis=-2, keepdims=True), 1e-30) / np.float32(127.0)
    return {"int8": np.round(x / scale).astype(np.int8), "scale": scale}


def _is_half(x: np.ndarray) -> bool:
    """Whether numbers have sixteen bits already: the export of an export is the same model."""
    return not np.any(x.view(np.uint32) & 0xFFFF)


def is_packed(tree: PyTree) -> bool:
    """Whether a part of a packed tree is one matrix."""
    return isinstance(tree, Mapping) and tree.keys() == _KEYS


def unpack(tree: PyTree) -> PyTree:
    """The tree that `pack` was given, its matrices in float32 again; the same on every machine."""
    if not isinstance(tree, Mapping):
        return tree
    if is_packed(tree):
        return np.asarray(tree["int8"], np.float32) * np.asarray(tree["scale"], np.float32)
    return {name: unpack(part) for name, part in tree.items()}
