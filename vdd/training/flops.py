"""Floating-point operations of a function, counted from the shapes in its traced program.

A compiler's own estimate is per device and takes the body of a loop once. This one reads the
program before it is partitioned, and multiplies by the length of a scan.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.extend import core
from jaxtyping import PyTree


def count_flops(function: Callable[..., PyTree], *args: PyTree) -> float:
    """Operations in all matrix products and convolutions of `function(*args)`; nothing is run.

    A multiply-add counts as two. Elementwise work is left out, as is usual for MFU; a `cond` counts
    as its dearest branch, a `while` as one turn, rematerialised products as often as they are run.

    Args:
        function: traceable by JAX, gradients included.
        args: arrays or ShapeDtypeStructs.
    """
    return _count(jax.make_jaxpr(function)(*args).jaxpr)


def _count(jaxpr: core.Jaxpr) -> float:
    return sum(_count_equation(equation) for equation in jaxpr.eqns)


def _count_equation(equation: core.JaxprEqn) -> float:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        return _dot_flops(equation)
    if name == "conv_general_dilated":
        return _convolution_flops(equation)
    if name == "cond":
        return max(_count(branch.jaxpr) for branch in params["branches"])
    inner = sum(_count(jaxpr) for jaxpr in _inner_jaxprs(params))
    return inner * params["length"] if name == "scan" else inner


def _inner_jaxprs(params: PyTree) -> list[core.Jaxpr]:
    found = [value for value in params.values() if isinstance(value, core.Jaxpr | core.ClosedJaxpr)]
    return [value.jaxpr if isinstance(value, core.ClosedJaxpr) else value for value in found]


def _dot_flops(equation: Any) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    return 2.0 * math.prod(equation.outvars[0].aval.shape) * math.prod(left[i] for i in contracted)


def _convolution_flops(equation: Any) -> float:
    params = equation.params
    kernel = equation.invars[1].aval.shape
    per_output = math.prod(kernel) / kernel[params["dimension_numbers"].rhs_spec[0]]
    # The zeros that dilation puts between inputs (gradients of strided convolutions) are no work.
    zeros = math.prod(params["lhs_dilation"])
    return 2.0 * math.prod(equation.outvars[0].aval.shape) * per_output / zeros
