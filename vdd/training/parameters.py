"""The parameters of a checkpoint, for inference; and the latest checkpoint that can be read.

What is read here is read by TensorStore alone, from the files that Orbax has written: to import
Orbax, and to ask it, takes a second, which a command that draws eight frames does not have.
"""

import contextlib
import gc
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import jax
import numpy as np
import tensorstore
from etils import epath
from jax.experimental import multihost_utils
from jaxtyping import PyTree

from vdd import eight_bits
from vdd.errors import UserError
from vdd.training import weights
from vdd.training.checkpoint_files import checkpoints_dir, list_steps, verify

T = TypeVar("T")


def load_params(workdir: epath.PathLike, step: int | None = None) -> tuple[int, PyTree]:
    """Load the averaged parameters alone, for inference, on this process's first device.

    Args:
        workdir: the run directory, or that of an exported run.
        step: which checkpoint; None stands for the latest that can be read.

    Returns:
        (step, params): the Flax params dict in float32, not wrapped in {"params": ...}.

    Raises:
        UserError: there is no such checkpoint, or none that can be read.
    """
    if weights.are_in(workdir):
        only, params = weights.read(workdir)
        if step not in (None, only):
            raise UserError(f"no checkpoint of step {step} in {workdir}: there is [{only}]")
        return only, _whole_precision(params)
    directory = checkpoints_dir(workdir)
    steps = list_steps(workdir)
    if not steps:
        raise UserError(f"no checkpoint in {directory}: train first, or check the path")
    if step is not None and step not in steps:
        raise UserError(f"no checkpoint of step {step} in {directory}: there is {steps}")

    def load(step: int) -> tuple[int, PyTree]:
        path = directory / str(step)
        verify(path)
        return step, _whole_precision(read_arrays(path / "state", "ema_params"))

    return latest_readable(directory, steps if step is None else [step], load)


def read_arrays(path: epath.Path, part: str) -> PyTree:
    """One part of a tree of arrays that Orbax has saved: nested dicts of NumPy arrays.

    Raises:
        ValueError, KeyError or OSError: the files are damaged.
    """
    described = json.loads((path / "_METADATA").read_text())
    driver = "zarr3" if described["use_zarr3"] else "zarr"
    place = f"{os.fspath(path)}/"
    base = place if "://" in place else {"driver": "file", "path": place}
    context, reads = tensorstore.Context(), {}
    for entry in described["tree_metadata"].values():
        keys = tuple(key["key"] for key in entry["key_metadata"])
        if keys[0] == part and not entry["value_metadata"]["skip_deserialize"]:
            store = {"driver": "ocdbt", "base": base, "path": f"{'.'.join(keys)}/"}
            spec = {"driver": driver, "kvstore": store}
            reads[keys[1:]] = tensorstore.open(spec, open=True, read=True, context=context)
    reads = {keys: opened.result().read() for keys, opened in reads.items()}
    tree: PyTree = {}
    for (*above, name), read in reads.items():
        node = tree
        for key in above:
            node = node.setdefault(key, {})
        node[name] = read.result()
    return tree


def _whole_precision(params: PyTree) -> PyTree:
    """Parameters in float32, on a device; an exported run has them in fewer bits."""

    def single(x: np.ndarray) -> np.ndarray:
        is_float = jax.dtypes.issubdtype(x.dtype, np.floating)  # bfloat16, too
        return x.astype(np.float32) if is_float else x

    # Widened before they reach a device: there each shape would be a program to compile.
    return jax.device_put(jax.tree.map(single, eight_bits.unpack(params)), jax.local_devices()[0])


def latest_readable(directory: epath.Path, steps: Sequence[int], load: Callable[[int], T]) -> T:
    """`load` of the greatest step that all processes can read; a warning if it is not the last."""
    failure: Exception | None = None
    for step in sorted(steps, reverse=True):
        loaded, error = None, None
        with _silence():
            try:
                loaded = load(step)
            except (ConnectionError, MemoryError, TimeoutError):
                raise  # says nothing about the files
            except Exception as caught:
                error = caught.with_traceback(None)
                gc.collect()  # what is told by a destructor is told here
        ok = multihost_utils.process_allgather(np.array(error is None))
        if loaded is not None and np.all(ok):
            if step != max(steps):
                latest = f"the checkpoint of step {max(steps)} in {directory} cannot be read"
                warnings.warn(f"{latest} ({reason(failure)}): using step {step}", stacklevel=2)
            return loaded
        failure = failure or error
    raise UserError(
        f"no checkpoint in {directory} can be read ({len(steps)} tried, the latest failed with: "
        f"{reason(failure)})"
    ) from failure


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Nothing on stderr: for each array that cannot be read, libraries would log a traceback."""
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    before, hook = [logger.disabled for logger in loggers], sys.unraisablehook
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.unraisablehook = lambda _: None
        for logger in loggers:
            logger.disabled = True
        try:
            yield
        finally:
            sys.unraisablehook = hook
            for logger, disabled in zip(loggers, before, strict=True):
                logger.disabled = disabled


def reason(error: Exception | None) -> str:
    """The one thing worth reading in an error of the file system or of TensorStore."""
    if error is None:
        return "another process failed"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if isinstance(error, json.JSONDecodeError):
        return "its list of arrays is damaged"
    if broken := re.search(r'local file "[^"]*?([^/"]*)": Error decoding', text):
        return f"{broken[1]} is damaged"
    if cause := re.search(r"([^:]+) \[os_error_code", text):
        return cause[1].strip()
    text = re.sub(r"\s*\[tensorstore_spec.*", "", text)
    return text if len(text) <= 200 else "..." + text[-200:]
