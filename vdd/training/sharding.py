"""Where arrays live: a `data` x `fsdp` mesh, and one rule by shape. Models know nothing of it.

A batch is split over all devices. The state is replicated over `data`; over `fsdp` every array
that is large enough is split along its largest axis that divides evenly. Because the rule looks
at shapes alone, optimizer moments and the EMA follow the parameters they mirror. A step gathers
the parameters before it computes on them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import PyTree

from vdd import errors
from vdd.errors import UserError

Args = ParamSpec("Args")
T = TypeVar("T")

AXES = ("data", "fsdp")
# Below this many elements the traffic of gathering an array costs more than the memory it frees.
MIN_SHARDED_SIZE = 2**14


def make_mesh(data: int = -1, fsdp: int = 1, devices: Sequence[Any] | None = None) -> Mesh:
    """Mesh of shape (data, fsdp) over all devices; -1 stands for "whatever is left" (one axis).

    Raises:
        UserError: the two numbers do not multiply to the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    sizes = (
        len(devices) // fsdp if data == -1 and fsdp > 0 else data,
        len(devices) // data if fsdp == -1 and data > 0 else fsdp,
    )
    if min(sizes) < 1 or math.prod(sizes) != len(devices):
        raise UserError(
            f"train.mesh of data={data}, fsdp={fsdp} does not fit {len(devices)} device(s): "
            "the two must multiply to that number (-1 for one of them takes what is left)"
        )
    # Auto: the compiler propagates shardings, so that models may reshape and merge axes freely.
    auto = (jax.sharding.AxisType.Auto,) * len(AXES)
    return jax.make_mesh(sizes, AXES, axis_types=auto, devices=devices)


def check_batch_size(batch_size: int, mesh: Mesh, accumulate: int = 1) -> None:
    """Raise a UserError unless each device gets the same whole number of clips per micro-batch."""
    errors.at_least(1, {"train.accumulate": accumulate}, "train.accumulate")
    if batch_size < 1 or batch_size % (mesh.size * accumulate):
        per = f" x {accumulate} accumulated micro-batches" if accumulate > 1 else ""
        raise UserError(
            f"train.batch_size={batch_size} cannot be shared evenly by {mesh.size} device(s){per}: "
            f"make it a multiple of {mesh.size * accumulate} above 0"
        )


def replicated(mesh: Mesh) -> NamedSharding:
    """A full copy on every device."""
    return NamedSharding(mesh, P())


def local_copy(tree: PyTree) -> PyTree:
    """The arrays in full on this process's first device, to compute on without the others.

    All processes have to call it together where arrays are split among them.
    """
    return jax.tree.map(_local_copy, tree)


def _local_copy(x: jax.Array) -> jax.Array:
    if x.devices() == {jax.local_devices()[0]}:
        return x
    if not x.is_fully_addressable and not x.is_fully_replicated:
        x = multihost_utils.process_allgather(x, tiled=True)
    return jax.device_put(np.asarray(x), jax.local_devices()[0])


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Axis 0 over all devices."""
    return NamedSharding(mesh, P(AXES))


def array_spec(shape: tuple[int, ...], fsdp: int, min_size: int = MIN_SHARDED_SIZE) -> P:
    """`fsdp` on the largest axis that it divides (the last of equals), or on none."""
    if fsdp == 1 or math.prod(shape) < min_size:
        return P()
    divisible = [(size, axis) for axis, size in enumerate(shape) if size % fsdp == 0]
    if not divisible:
        return P()
    _, axis = max(divisible)
    return P(*(None,) * axis, "fsdp")


def tree_sharding(mesh: Mesh, tree: PyTree, min_size: int = MIN_SHARDED_SIZE) -> PyTree:
    """A NamedSharding for each array (or ShapeDtypeStruct) of the tree, by `array_spec`."""
    fsdp = mesh.shape["fsdp"]
    return jax.tree.map(lambda x: NamedSharding(mesh, array_spec(x.shape, fsdp, min_size)), tree)


def abstract_sharded(mesh: Mesh, init: Callable[..., PyTree], *args: PyTree) -> PyTree:
    """Tree of ShapeDtypeStructs, shardings included, of what `init(*args)` returns; no memory."""
    shapes = jax.eval_shape(init, *args)
    return jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
        shapes,
        tree_sharding(mesh, shapes),
    )


def tracing_on(mesh: Mesh, function: Callable[Args, T]) -> Callable[Args, T]:
    """The function, traced for this mesh: `gathered` in it knows that arrays may be split."""
    if mesh.shape["fsdp"] == 1:
        return function

    def traced(*args: Args.args, **named: Args.kwargs) -> T:
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return function(*args, **named)

    return traced


def gathered(params: PyTree) -> PyTree:
    """Parameters in full on every device, to compute a loss on; their gradients are added up.

    The compiler might as well send a batch to where the parts of a parameter are, which moves more
    bytes the larger the batch is. Outside `tracing_on` nothing is done.
    """
    if jax.sharding.get_abstract_mesh().empty:
        return params
    return jax.lax.with_sharding_constraint(params, P())


def global_batch(batch: Mapping[str, np.ndarray], sharding: NamedSharding) -> dict[str, jax.Array]:
    """Global arrays of which each process holds its slice; the copy to device is asynchronous."""
    return {
        name: jax.make_array_from_process_local_data(sharding, array)
        for name, array in batch.items()
    }
