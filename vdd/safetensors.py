"""Files of named tensors (safetensors), with errors of one line."""

import json
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from etils import epath
from jaxtyping import Num
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from vdd import files
from vdd.errors import UserError

Tensors = dict[str, Num[np.ndarray, "..."]]

# The package's own reader into NumPy lacks bfloat16.
_DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": jnp.bfloat16,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8,
}  # fmt: skip


def read(path: epath.PathLike) -> Tensors:
    """All tensors of a file, each in the dtype that it is stored in.

    Raises:
        UserError: no such file, not one of this format, or cut short.
    """
    return read_noted(path)[0]


def read_noted(path: epath.PathLike) -> tuple[Tensors, dict[str, str]]:
    """As `read`, and the notes that stand in the head of the file (`__metadata__`).

    Raises:
        UserError: as `read`.
    """
    try:
        data = epath.Path(path).read_bytes()
        entries = deserialize(data)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except SafetensorError as error:
        raise UserError(f"{path}: not a whole safetensors file ({error})") from error
    tensors = {}
    for name, entry in entries:
        if entry["dtype"] not in _DTYPES:
            raise UserError(f"{path}: tensor {name} has an unknown dtype, {entry['dtype']}")
        numbers = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]])
        tensors[name] = numbers.reshape(entry["shape"])
    head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])  # read above: it is whole
    return tensors, head.get("__metadata__") or {}


def write(path: epath.PathLike, tensors: Mapping[str, np.ndarray], **notes: str) -> None:
    """Writes tensors, and notes in the head of the file; of several the order is not kept.

    Raises:
        UserError: the file cannot be written.
    """
    whole = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    files.write(path, save(whole, notes))
