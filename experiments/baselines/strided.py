"""4 x 4 convolutions of stride 2, down and up, that are fast on CPUs too.

Both are 2 x 2 convolutions of stride 1 between grids whose cells are 2 x 2 pixels: going down, the
cells of the input lie in its channels; going up, those of the output do. XLA's own transposed
convolution multiplies by the zeros between the pixels on CPUs, and takes ten times as long.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Float

from vdd.models.convolution import convolve

# DCGAN (Radford et al. 2016, section 4).
KERNEL_INIT = nn.initializers.normal(0.02)


class Down(nn.Module):
    """[n h w c] -> [n h/2 w/2 features], without bias: batch normalisation follows."""

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n H W d"]:
        """Convolve with stride 2 and one pixel of padding; even height and width."""
        return halve(x, self.param("kernel", KERNEL_INIT, (4, 4, x.shape[-1], self.features)))


class Up(nn.Module):
    """[n h w c] -> [n 2h 2w features], the transpose of `Down`."""

    features: int
    use_bias: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n H W d"]:
        """Convolve with the transpose of a convolution of stride 2 and one pixel of padding."""
        y = double(x, self.param("kernel", KERNEL_INIT, (4, 4, x.shape[-1], self.features)))
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,))
            y = y + bias.reshape(1, 1, 1, -1)
        return y


def halve(
    x: Float[Array, "n h w c"], kernel: Float[Array, "4 4 c d"]
) -> Float[Array, "n h/2 w/2 d"]:
    """Convolution of stride 2 with one pixel of padding."""
    cells = rearrange(_framed(x), "n (h p) (w q) c -> n h w (p q c)", p=2, q=2)
    kernel = rearrange(kernel, "(i p) (j q) c d -> i j (p q c) d", p=2, q=2)
    return convolve(cells, kernel, 1, "VALID")


def double(
    x: Float[Array, "n h w c"], kernel: Float[Array, "4 4 c d"]
) -> Float[Array, "n 2h 2w d"]:
    """Transposed convolution of stride 2 with one pixel of padding.

    Entry (2i + p, 2j + q) of the kernel leads from pixel (i, j) of each pair of neighbours to pixel
    (p, q) of the cell between them, so that rows and columns come in the order 1, 0, 3, 2 of a
    convolution over the dilated image.
    """
    kernel = rearrange(kernel, "(i p) (j q) c d -> i j c (p q d)", p=2, q=2)
    cells = convolve(_framed(x), kernel, 1, "VALID")
    image: Any = rearrange(cells, "n h w (p q d) -> n (h p) (w q) d", p=2, q=2)
    return image[:, 1:-1, 1:-1]


def _framed(x):
    return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
