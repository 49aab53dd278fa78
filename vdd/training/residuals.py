"""What the backward pass keeps of the forward pass, counted from the traced program."""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import Var


def residual_bytes(loss: Callable[..., jax.Array], params: Any, *args: Any) -> int:
    """Bytes that `loss(params, *args)` leaves for its gradient in `params`; nothing is run.

    What is an argument already is not counted, nor anything twice. A compiler that fuses may keep
    less; one that cannot see to the end of a loop keeps what is counted here.

    Args:
        loss: traceable by JAX, gives a scalar.
        params: arrays or ShapeDtypeStructs, as are args.
        args: what else the loss needs.
    """

    def kept(params: Any, *args: Any) -> list[jax.Array]:
        _, backward = jax.vjp(lambda p: loss(p, *args), params)
        return jax.tree.leaves(backward)

    traced = jax.make_jaxpr(kept)(params, *args).jaxpr
    found = {x for x in traced.outvars if isinstance(x, Var)} - set(traced.invars)
    avals: list[Any] = [x.aval for x in found]
    return sum(math.prod(aval.shape) * aval.dtype.itemsize for aval in avals)
