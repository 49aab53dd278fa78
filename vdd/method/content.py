"""The content bottleneck: what a clip may say about itself once, and how many bits that costs.

To add one, write a module with the methods of `GaussianContent`, and a function that builds it in
`vdd.method.disentangler.CONTENTS`; CONTRIBUTING.md has an example.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jaxtyping import Array, Float, PRNGKeyArray

from vdd import errors
from vdd.method.rates import NATS_TO_BITS
from vdd.models.layers import RMSNorm, flat_tokens

Place = tuple[int, int, int]  # pixels: rows, columns, channels
_FIRST_NOISE = 0.04  # deviation of a pixel's noise at first, where pixels have 0.5


class Content(NamedTuple):
    """The content of a batch of clips, past the bottleneck."""

    tokens: Float[Array, "b k d"]  # what the decoder sees
    bits: Float[Array, "b"]  # rate of a clip


class Posterior(NamedTuple):
    """A normal distribution of each number."""

    mean: Float[Array, "b k d"]
    log_std: Float[Array, "b k d"]


class GaussianContent(nn.Module):
    """Variational bottleneck: N(mean, std) against the prior N(0, 1) (Alemi et al. 2017)."""

    dim: int

    def __post_init__(self):
        errors.at_least(1, self, "dim")
        super().__post_init__()

    def num_tokens(self, places: int) -> int:
        """Content tokens of so many features."""
        return places

    def refer(self, features: Float[Array, "b k w"], pose: Float[Array, "b m"]) -> Array:
        """Features [b k w] that know the quantised motion of the reference frame: these do not."""
        del pose
        return features

    @nn.compact
    def __call__(self, features: Float[Array, "b k w"], rng: PRNGKeyArray | None = None) -> Content:
        """Content of features: a draw from the posterior if `rng` is given, else its mean."""
        mean, log_std = jnp.split(nn.Dense(2 * self.dim, name="posterior")(features), 2, axis=-1)
        # The posterior starts narrow (e^-2), so that content can speak before it has learned to.
        return _sample(mean, _bounded(log_std - 2.0), rng)


class ReferenceContent(nn.Module):
    """Content that is referred to: places of a map as they are, and the motion they are shown in.

    As `GaussianContent`, but what passes begins as the features themselves. Noise is added in a
    basis that is learned, and the basis is undone behind it: numbers that vary little cost little.
    It begins as the one that pictures are coded in (`picture_basis`), with the same noise
    everywhere. One more token is the quantised motion of the reference frame, whose codes are
    `pose_bits`. Ours.
    """

    dim: int
    pose_bits: float
    place: Place = (1, 1, 3)

    def __post_init__(self):
        errors.at_least(1, self, "dim")
        super().__post_init__()

    def num_tokens(self, places: int) -> int:
        """Content tokens of so many features."""
        return places + 1

    def setup(self):
        """The way into the basis, the noise there, and the way back."""
        basis, scale = picture_basis(self.place, self.dim)
        self.basis = nn.Dense(self.dim, kernel_init=_begin(basis / scale[None]))
        self.log_std = nn.Dense(
            self.dim,
            kernel_init=nn.initializers.zeros,
            bias_init=_begin(np.minimum(np.log(_FIRST_NOISE / scale), 0.0)),
        )
        self.back = nn.Dense(self.dim, kernel_init=_begin(scale[:, None] * basis.T))

    def refer(self, features: Float[Array, "b k w"], pose: Float[Array, "b m"]) -> Array:
        """The features, and that motion as one more [b k+1 w]."""
        return _with_pose(features, pose)

    def __call__(self, features: Float[Array, "b k w"], rng: PRNGKeyArray | None = None) -> Content:
        """Content of features: a draw from the posterior if `rng` is given, else its mean."""
        said = _sample(*self.measure(features), rng)
        tokens = self.to_tokens(said.tokens, features[:, -1])
        return Content(tokens, said.bits + self.pose_bits)

    def measure(self, features: Float[Array, "b k+1 w"]) -> Posterior:
        """What is said of the places, in the basis; the pose is not looked at."""
        places = features[:, :-1]
        return Posterior(self.basis(places), _bounded(self.log_std(places)))

    def to_tokens(
        self, mean: Float[Array, "b k d"], pose: Float[Array, "b m"]
    ) -> Float[Array, "b k+1 d"]:
        """The tokens that numbers in the basis and the reference's motion stand for."""
        return _with_pose(self.back(mean), pose)


class ReferenceNumbers(ReferenceContent):
    """A `ReferenceContent` that is not undone: its tokens are what a file says of them.

    These are the means of the k places in the basis, their standard deviations, and the pose.
    """

    def num_tokens(self, places: int) -> int:
        """Content tokens of so many features."""
        return 2 * places + 1

    def __call__(self, features: Float[Array, "b k w"], rng: PRNGKeyArray | None = None) -> Content:
        """Means, deviations and pose [b 2k+1 d]; nothing is drawn."""
        del rng
        mean, log_std = self.measure(features)
        told = jnp.concatenate([mean, jnp.exp(log_std)], axis=1)
        bits = divergence_bits(mean, log_std) + self.pose_bits
        return Content(_with_pose(told, features[:, -1]), bits)


def _with_pose(places: Float[Array, "b k d"], pose: Float[Array, "b m"]) -> Array:
    """Places, and a pose as one more [b k+1 d]."""
    room = places.shape[-1] - pose.shape[-1]
    return jnp.concatenate([places, jnp.pad(pose, [(0, 0), (0, room)])[:, None]], axis=1)


def picture_basis(
    place: Place, dim: int
) -> tuple[Float[np.ndarray, "d d"], Float[np.ndarray, "d"]]:
    """The orthonormal basis in which pictures are coded: its vectors as columns, and their scale.

    The first numbers of a place are its pixels, which are square. Their cosine transform is that of
    JPEG, and so is the idea of brightness before two differences of colour, where there are three
    channels. The scale is how far a coefficient of a photo lies from zero, for pixels of deviation
    0.5: it falls with the square of the frequency, and is a quarter for colour. Numbers of a place
    beyond its pixels stay as they are.
    """
    patch, _, channels = place
    at = np.arange(patch)
    waves = np.cos(np.pi * np.outer(at, at + 0.5) / patch) * np.sqrt(2 / patch)
    waves[0] /= np.sqrt(2)
    colours, shares = np.eye(channels), np.ones(channels)
    if channels == 3:
        colours = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
        colours /= np.linalg.norm(colours, axis=1, keepdims=True)
        shares = np.array([1.0, 0.25, 0.25])
    frequency = 1.0 + np.hypot(at[:, None], at[None])
    scale = 0.75 * patch * shares[None, None] / frequency[..., None] ** 2
    vectors = np.einsum("ui,vj,kc->ijcuvk", waves, waves, colours)
    vectors = rearrange(vectors, "i j c u v k -> (i j c) (u v k)")
    basis, whole = np.eye(dim), np.ones(dim)
    basis[: scale.size, : scale.size], whole[: scale.size] = vectors, scale.reshape(-1)
    return basis, whole


def _begin(value: np.ndarray) -> Callable[..., Array]:
    """The initialiser of a parameter that begins with this value."""
    return lambda key, shape, dtype: jnp.asarray(value, dtype).reshape(shape)


def _bounded(log_std: Array) -> Array:
    return jnp.clip(log_std, -8.0, 2.0)


def _sample(mean: Array, log_std: Array, rng: PRNGKeyArray | None) -> Content:
    noise = 0.0 if rng is None else jax.random.normal(rng, mean.shape)
    return Content(mean + jnp.exp(log_std) * noise, divergence_bits(mean, log_std))


class ContentCode(nn.Module):
    """Content tokens as a few whole numbers, and back. Ours, not the paper's.

    What a posterior's mean does not pay for may still be read from it: a class label fits into
    scatter that is smaller than the posterior's noise. Whole numbers (scalar quantisation) hold
    nothing but their bits. They are learned after the rest, on swaps
    (`vdd.compression.content_code`), which do not need what the codes of motion say. Their prior is
    a mixture of discretised logistic distributions for each number (Salimans et al. 2017).
    """

    num_numbers: int
    width: int
    shape: tuple[int, int]  # k d of the tokens
    reach: int = 6  # numbers lie between -reach and reach
    num_modes: int = 8  # logistic distributions in a mixture

    def setup(self):
        """Two residual MLPs and the prior [q m]."""
        self.encoder = _ResidualMLP(self.width, self.num_numbers)
        self.decoder = _ResidualMLP(self.width, math.prod(self.shape))
        shape = (self.num_numbers, self.num_modes)
        # In units in which Adam's steps, as long as the learning rate, move a mixture in hundreds
        # of steps: means in fractions of the reach, the rest in units of eight nats.
        even = jnp.linspace(-1.0, 1.0, self.num_modes) * (1.0 - 1.0 / self.num_modes)
        scale = math.log(self.reach / self.num_modes) / 8.0
        self.mean = self.param("prior_mean", lambda _: jnp.broadcast_to(even, shape))
        self.log_scale = self.param("prior_log_scale", lambda _: jnp.full(shape, scale))
        self.logit = self.param("prior_logit", lambda _: jnp.zeros(shape))

    def __call__(self, tokens: Float[Array, "b k d"]) -> Content:
        """The tokens that are left of tokens, and the bits of the numbers between."""
        numbers = jnp.round(self.to_numbers(tokens))
        return Content(self.to_tokens(numbers), self.bits(numbers))

    def to_numbers(self, tokens: Float[Array, "b k d"]) -> Float[Array, "b q"]:
        """Numbers of tokens, before they are rounded."""
        return self.reach * jnp.tanh(self.encoder(flat_tokens(tokens)) * (3.0 / self.reach))

    def to_tokens(self, numbers: Float[Array, "b q"]) -> Float[Array, "b k d"]:
        """Tokens that numbers stand for."""
        return rearrange(self.decoder(numbers / 3.0), "b (k d) -> b k d", k=self.shape[0])

    def bits(self, numbers: Float[Array, "b q"]) -> Float[Array, "b"]:
        """Bits of a clip: of the mass that the prior puts within half a unit of each number."""
        unit = jnp.exp(-8.0 * self.log_scale)[None]
        middle = (numbers[..., None] - self.reach * self.mean[None]) * unit
        # ln(sigmoid(a) - sigmoid(b)), exact in the tails: sigmoid(a) sigmoid(-b) (1 - e^(b - a)).
        upper = jax.nn.log_sigmoid(middle + unit / 2)
        lower = jax.nn.log_sigmoid(unit / 2 - middle)
        mass = upper + lower + jnp.log(-jnp.expm1(-unit))
        share = jax.nn.log_softmax(8.0 * self.logit, axis=-1)[None]
        return -jnp.sum(jax.nn.logsumexp(share + mass, axis=-1), axis=-1) * NATS_TO_BITS


class _ResidualMLP(nn.Module):
    width: int
    out: int

    @nn.compact
    def __call__(self, x: Float[Array, "b i"]) -> Float[Array, "b o"]:
        x = nn.Dense(self.width)(x)
        for _ in range(2):
            x = x + nn.Dense(self.width)(nn.silu(nn.Dense(self.width)(RMSNorm()(x))))
        return nn.Dense(self.out)(RMSNorm()(x))


def divergence_bits(
    mean: Float[Array, "b k d"], log_std: Float[Array, "b k d"]
) -> Float[Array, "b"]:
    """KL(N(mean, std) || N(0, 1)) summed over the content tokens of a clip, in bits."""
    nats = 0.5 * (jnp.square(mean) + jnp.exp(2.0 * log_std) - 1.0) - log_std
    return jnp.sum(nats, axis=(1, 2)) * NATS_TO_BITS
