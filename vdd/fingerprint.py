"""What tells models apart: eight bytes of a digest over settings and parameters."""

import hashlib
import json
from collections.abc import Iterator, Mapping

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import PyTree


def of_model(params: PyTree) -> bytes:
    """Of what the codes of a model mean: its codebook, and the prior of its content code if any."""
    return digest({}, _meaning(params))


def of_files(params: PyTree) -> bytes:
    """Of what the files of a model mean: its codes, and the way back from a basis of content."""
    back = params.get("content", {}).get("back")
    basis = {} if back is None else {"back": {name: _half(x) for name, x in back.items()}}
    return digest({}, {**_meaning(params), **basis})


def _meaning(params: PyTree) -> dict[str, PyTree]:
    book = dict(params["quantizer"]["codebook"])
    if "codewords" in book:  # a grid has none
        book["codewords"] = _half(book["codewords"])
    code = params.get("content_code", {})
    prior = {name: code[name] for name in code if name.startswith("prior_")}
    return {**book, **prior}


def _half(x: ArrayLike) -> np.ndarray:
    """Numbers in half precision, as an export has them: a run and its export are one."""
    return np.asarray(x).astype(jnp.bfloat16).astype("f4")


def digest(settings: Mapping[str, object], params: PyTree) -> bytes:
    """The first 8 bytes of SHA-256 of `settings` as JSON and of all arrays of `params`, by name."""
    hashed = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, array in _leaves(params, ""):
        hashed.update(f"{name} {array.dtype.name} {list(array.shape)}".encode())
        hashed.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return hashed.digest()[:8]


def _leaves(tree: Mapping[str, PyTree], prefix: str) -> Iterator[tuple[str, np.ndarray]]:
    for name in sorted(tree):
        if isinstance(tree[name], Mapping):
            yield from _leaves(tree[name], f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", np.asarray(tree[name])
