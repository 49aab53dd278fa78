"""The parameters of a run that is for inference alone, in one file: `model.safetensors`.

`vdd export` writes it. Tensors bear the paths of the parameters ("encoder.embed.kernel"). A note in
the head of the file has the step, and a digest of all numbers.
"""

import json

import jax
import numpy as np
from etils import epath
from flax import traverse_util
from jaxtyping import PyTree

from vdd import fingerprint, safetensors
from vdd.errors import UserError

FILE = "model.safetensors"
_NOTE = "vdd"  # one, as the order of several would differ from run to run


def are_in(folder: epath.PathLike) -> bool:
    """Whether a folder has such a file."""
    return (epath.Path(folder) / FILE).exists()


def write(folder: epath.PathLike, step: int, params: PyTree) -> None:
    """Writes the parameters of a step, each in its own dtype; the same bytes at every call.

    Raises:
        UserError: the file cannot be written.
    """
    arrays = jax.tree.map(np.asarray, traverse_util.flatten_dict(params, sep="."))
    note = json.dumps({"step": step, "digest": fingerprint.digest({}, arrays).hex()})
    safetensors.write(epath.Path(folder) / FILE, arrays, **{_NOTE: note})


def read(folder: epath.PathLike) -> tuple[int, PyTree]:
    """(step, parameters), as they were written.

    Raises:
        UserError: the file cannot be read, is damaged, or of another program.
    """
    path = epath.Path(folder) / FILE
    arrays, notes = safetensors.read_noted(path)
    try:
        note = json.loads(notes[_NOTE])
        step, written = int(note["step"]), note["digest"]
        params = traverse_util.unflatten_dict(arrays, sep=".")
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not written by vdd export ({error})") from error
    if fingerprint.digest({}, arrays).hex() != written:
        raise UserError(f"{path}: damaged, its checksum is another")
    return step, params
