"""Files of named tensors (safetensors), read and written with NumPy alone.

The format: eight bytes with the length of a JSON header, little-endian; the header, which gives
each tensor its dtype, shape and place; the numbers, rows first. Both kinds of half precision are
read, of which NumPy knows one.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from etils import epath
from jaxtyping import Num

from vdd import files
from vdd.errors import UserError

Tensors = dict[str, Num[np.ndarray, "..."]]

_DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": jnp.bfloat16,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8,
}  # fmt: skip
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}


def read(path: epath.PathLike) -> Tensors:
    """All tensors of a file, each in the dtype that it is stored in.

    Raises:
        UserError: no such file, not one of this format, or cut short; the line names the tensor.
    """
    path = epath.Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    header, numbers = _split(path, data)
    tensors = {}
    for name, entry in header.items():
        try:
            dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(map(int, entry["shape"]))
            start, end = map(int, entry["data_offsets"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: the entry of tensor {name} is not understood") from error
        if not 0 <= start <= end <= len(numbers):
            raise UserError(f"{path}: cut short, tensor {name} is not in it whole")
        if end - start != math.prod(shape) * dtype.itemsize:
            raise UserError(f"{path}: tensor {name} does not fill its place")
        tensors[name] = np.frombuffer(numbers[start:end], dtype).reshape(shape)
    return tensors


def write(path: epath.PathLike, tensors: Mapping[str, np.ndarray]) -> None:
    """Writes tensors in order of their names.

    Raises:
        UserError: the file cannot be written.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # others look for it
    parts, end = [], 0
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        start, end = end, end + tensor.nbytes
        place = {"dtype": _NAMES[tensor.dtype], "shape": tensor.shape, "data_offsets": (start, end)}
        header[name] = place
        parts.append(tensor.tobytes())
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    files.write(path, len(text).to_bytes(8, "little") + text + b"".join(parts))


def _split(path: epath.Path, data: bytes) -> tuple[dict[str, Any], memoryview]:
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 + length or length < 2:
        raise UserError(f"{path}: not a safetensors file, or cut short in its header")
    try:
        header = json.loads(data[8 : 8 + length])
        header.pop("__metadata__", None)
    except (AttributeError, ValueError) as error:  # a UnicodeDecodeError is a ValueError
        raise UserError(f"{path}: not a safetensors file") from error
    return header, memoryview(data)[8 + length :]
