"""What tells models apart: eight bytes of a digest over the settings and every parameter."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


def fingerprint(settings: Mapping[str, Any], params: Mapping[str, Any]) -> bytes:
    """The first 8 bytes of SHA-256 of `settings` as JSON and of all arrays of `params`, by name."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, array in _leaves(params, ""):
        digest.update(f"{name} {array.dtype.name} {list(array.shape)}".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.digest()[:8]


def _leaves(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, np.ndarray]]:
    for name in sorted(tree):
        if isinstance(tree[name], Mapping):
            yield from _leaves(tree[name], f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", np.asarray(tree[name])
