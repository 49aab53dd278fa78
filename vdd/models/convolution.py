"""Convolutions that are fast on CPUs too."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

Padding = str | tuple[tuple[int, int], ...]  # of rows and columns, as XLA takes it


class Conv3x3(nn.Module):
    """`nn.Conv` with a 3 x 3 kernel: the same parameters, result and gradients; see `convolve`."""

    features: int
    stride: int = 1
    dtype: jnp.dtype = jnp.float32
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    use_bias: bool = True
    padding: Padding = "SAME"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n H W d"]:
        """Convolve [n h w c] to [n h/stride w/stride features]."""
        kernel = self.param("kernel", self.kernel_init, (3, 3, x.shape[-1], self.features))
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        padding = self.padding if isinstance(self.padding, str) else tuple(self.padding)
        y = convolve(x, kernel, self.stride, padding)
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)


class Conv1x1(nn.Module):
    """`nn.Conv` with a 1 x 1 kernel: the same parameters, the same result, one matrix product."""

    features: int
    use_bias: bool = True
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*n c"]) -> Float[Array, "*n d"]:
        """Map the channels of every place."""
        shape = (1, 1, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = x @ kernel[0, 0]
        return y if bias is None else y + bias.reshape((1,) * (x.ndim - 1) + (-1,))


def convolve(
    x: Float[Array, "n h w c"],
    kernel: Float[Array, "p q c d"],
    stride: int = 1,
    padding: Padding = "SAME",
) -> Float[Array, "n H W d"]:
    """XLA's own convolution, which is fast everywhere but for the kernel's gradient on CPUs.

    There that gradient, a convolution by a kernel as large as the picture, takes several times as
    long as matrix products, so it is some of these, one for each place of the kernel. Derivatives
    are those of reverse mode alone.
    """
    y: Any = _convolve_and_back(x, kernel, stride, padding)
    return y


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _convolve_and_back(x: Array, kernel: Array, stride: int, padding: Padding) -> Array:
    return _convolve(x, kernel, stride, padding)


def _convolve(x: Array, kernel: Array, stride: int, padding: Padding) -> Array:
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _forward(
    x: Array, kernel: Array, stride: int, padding: Padding
) -> tuple[Array, tuple[Array, Array]]:
    return _convolve(x, kernel, stride, padding), (x, kernel)


def _backward(
    stride: int, padding: Padding, saved: tuple[Array, Array], dy: Array
) -> tuple[Array, Array]:
    x, kernel = saved
    (dx,) = jax.linear_transpose(lambda x: _convolve(x, kernel, stride, padding), x)(dy)
    settings: Any = {"size": kernel.shape[:2], "stride": stride, "padding": padding}
    dkernel = jax.lax.platform_dependent(
        x,
        dy,
        cpu=partial(gradient_by_products, **settings),
        default=partial(gradient_by_convolution, **settings),
    )
    return dx, dkernel


_convolve_and_back.defvjp(_forward, _backward)


def gradient_by_convolution(
    x: Float[Array, "n h w c"],
    dy: Float[Array, "n H W d"],
    size: tuple[int, int],
    stride: int,
    padding: Padding,
) -> Float[Array, "p q c d"]:
    """The gradient of a kernel of `size` from that of the result, as XLA has it."""
    kernel = jax.ShapeDtypeStruct((*size, x.shape[-1], dy.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda k: _convolve(x, k, stride, padding), kernel)(dy)[0]


def gradient_by_products(
    x: Float[Array, "n h w c"],
    dy: Float[Array, "n H W d"],
    size: tuple[int, int],
    stride: int,
    padding: Padding,
) -> Float[Array, "p q c d"]:
    """The same as matrix products, one for each place of the kernel."""
    height, width = dy.shape[1:3]
    sides: Any = padding
    if isinstance(padding, str):
        sides = jax.lax.padtype_to_pads(x.shape[1:3], size, (stride, stride), padding)
    x = jnp.pad(x, ((0, 0), *sides, (0, 0)))
    dy = rearrange(dy, "n h w d -> (n h w) d")

    def seen_from(i: int, j: int) -> Array:  # what a place of the kernel is multiplied by
        rows = slice(i, i + stride * (height - 1) + 1, stride)
        columns = slice(j, j + stride * (width - 1) + 1, stride)
        return rearrange(x[:, rows, columns], "n h w c -> (n h w) c")

    places = [[seen_from(i, j).T @ dy for j in range(size[1])] for i in range(size[0])]
    return jnp.stack([jnp.stack(row) for row in places])
