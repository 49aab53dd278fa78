"""What a noisy frame tells that content and motion do not. Ours.

At a low bitrate a code stands for several poses, and the mean frame shows all of them at once. To
draw one of them, a denoiser has to recognise in the noise which it is, while no pixel shows it, and
then to draw it. Convolutions do neither soon. A matrix over the whole frame is a bank of matched
filters, which recognise; and who can draw any pose already is the read-out.
"""

import flax.linen as nn
import jax.numpy as jnp
from einops import rearrange, repeat
from jaxtyping import Array, Float

from vdd import errors
from vdd.models.layers import RMSNorm, flat_tokens, fourier_features


class Sight(nn.Module):
    """Matched filters over a noisy frame, read by an MLP that knows content, motion and noise."""

    width: int
    num_layers: int = 2
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        errors.at_least(1, self, "width", "num_layers")
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        residual: Float[Array, "b t h w c"],
        noise: Float[Array, "b t"],
        content: Float[Array, "b k d"],
        motion: Float[Array, "b t m"],
    ) -> Float[Array, "b t e"]:
        """What is seen in each frame, [b t width], under noise labels, content and motion.

        `residual` is what the noisy frame differs by from the mean, scaled to unit variance.
        """

        def dense(name: str, features: int = self.width, bias: bool = True) -> nn.Dense:
            return nn.Dense(features, use_bias=bias, dtype=self.dtype, name=name)

        who = repeat(flat_tokens(content), "b d -> b t d", t=motion.shape[1])
        known = jnp.concatenate([fourier_features(noise, 64), motion, who], axis=-1)
        known = nn.silu(dense("known")(known))
        x = dense("filters", bias=False)(rearrange(residual, "b t h w c -> b t (h w c)"))
        for i in range(self.num_layers):
            scale, shift = jnp.split(dense(f"film_{i}", 2 * self.width)(known), 2, axis=-1)
            y = RMSNorm(name=f"norm_{i}")(x) * (1.0 + scale) + shift
            x = x + dense(f"dense_{i}")(nn.silu(y))
        return nn.silu(x)


def with_seen(pose: Float[Array, "b t p"], seen: Float[Array, "b t e"] | None) -> Array:
    """A read-out's features of motion, with what is seen added to them.

    At first nothing is: the parent module's layer `seen` begins at zero.
    """
    if seen is None:
        return pose
    zero = nn.initializers.zeros
    return pose + nn.Dense(pose.shape[-1], use_bias=False, kernel_init=zero, name="seen")(seen)
