"""Parameters, or gradients, of the model in JAX as those of its twin in PyTorch (`torch_model`)."""

from typing import Any

import jax
import numpy as np
import torch  # pyright: ignore[reportMissingImports]  # the extra `bench` has it
from einops import rearrange
from torch import Tensor, nn  # pyright: ignore[reportMissingImports]

_LEFT_OUT = ("quantizer.codebook.", "content.", "latents.")  # at the beginning of a name


def tensors(model: nn.Module, tree: Any) -> dict[str, Tensor]:
    """The arrays of a tree like the parameters', by the names and in the shapes of `model`.

    Raises KeyError or ValueError for an array that the model has no place for.
    """
    shapes = {name: tuple(x.shape) for name, x in model.state_dict().items()}
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name, x = _turned(jax.tree_util.keystr(path, simple=True, separator="."), leaf)
        if shapes[name] not in (x.shape, (*x.shape, 1, 1)):  # a dense layer may be a convolution
            raise ValueError(f"{name} has {shapes[name]} in PyTorch, {x.shape} in JAX")
        found[name] = torch.tensor(x.reshape(shapes[name]))
    return found


def _turned(name: str, leaf: Any) -> tuple[str, np.ndarray]:
    """An array as PyTorch has it: what a kernel gives stands first, and channels before places."""
    x = np.asarray(leaf)
    for prefix in _LEFT_OUT:
        name = name.removeprefix(prefix)
    if "positions_" in name:
        return name, rearrange(x, "i h e -> e i h")
    if not name.endswith(".kernel"):
        return name, x
    return name.removesuffix("kernel") + "weight", x.transpose(3, 2, 0, 1) if x.ndim == 4 else x.T
