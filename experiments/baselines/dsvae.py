"""DSVAE: a clip as one static vector f and a dynamic vector z_t for each frame.

Li and Mandt, "Disentangled Sequential Autoencoder", ICML 2018 (arXiv 1803.02991), in the form and
size in which C-DSVAE (Bai et al. 2021, arXiv 2110.12091) has it for Sprites, as far as their public
settings tell:

    features of frames (DCGAN, 128) -> bi-LSTM (256 each way) -> q(f | x), 256 dimensions
                                               -> RNN (256) -> q(z_t | x), 32 dimensions
    z_<t -> two-layer LSTM (256) -> p(z_t | z_<t);  p(f) = N(0, I)
    [z_t, f] -> DCGAN decoder -> frame t

Video is in [0, 1]. All rates are in nats.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange, repeat
from jaxtyping import Array, Float, Key, UInt8

from experiments.baselines.strided import KERNEL_INIT, Down, Up

# PyTorch's own, which the public settings leave as it is: uniform within 1 / sqrt(inputs).
_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class Gaussian(NamedTuple):
    """Normal distributions with diagonal covariance, over the last axis."""

    mean: Float[Array, "*s d"]
    log_var: Float[Array, "*s d"]


class Pass(NamedTuple):
    """All that one pass through the model gives."""

    q_f: Gaussian  # b f
    q_z: Gaussian  # b t z
    p_z: Gaussian  # b t z, each frame's given the samples before it
    f: Float[Array, "b f"]
    z: Float[Array, "b t z"]
    rebuilt: Float[Array, "b t h w c"]


class Elbo(NamedTuple):
    """The terms of the negative ELBO, each summed over a clip and averaged over clips."""

    error: Float[Array, ""]  # squared: the log-likelihood at variance 1/2, but for a constant
    kl_f: Float[Array, ""]
    kl_z: Float[Array, ""]


class Encoder(nn.Module):
    """Frames -> features in (-1, 1): four strided convolutions, the DCGAN discriminator's."""

    width: int
    features: int

    @nn.compact
    def __call__(self, frames: Float[Array, "n h w c"], train: bool) -> Float[Array, "n d"]:
        """Height and width are multiples of 16."""
        x = frames
        for level in range(4):
            x = leaky_relu(batch_norm(train)(Down(self.width * 2**level)(x)))
        x = nn.Dense(self.features, use_bias=False, kernel_init=KERNEL_INIT)(
            rearrange(x, "n h w c -> n (h w c)")
        )
        return jnp.tanh(batch_norm(train)(x))


class Decoder(nn.Module):
    """Vectors -> frames in (0, 1): four strided transposed convolutions, the DCGAN generator's."""

    width: int
    size: int
    channels: int

    @nn.compact
    def __call__(self, x: Float[Array, "n d"], train: bool) -> Float[Array, "n h w c"]:
        """Square frames of `size` pixels, a multiple of 16."""
        start = self.size // 16
        x = nn.Dense(start**2 * self.width * 8, use_bias=False, kernel_init=KERNEL_INIT)(x)
        x = rearrange(x, "n (h w c) -> n h w c", h=start, w=start)
        for level in (2, 1, 0):
            x = leaky_relu(batch_norm(train)(x))
            x = Up(self.width * 2**level)(x)
        x = leaky_relu(batch_norm(train)(x))
        return nn.sigmoid(Up(self.channels, use_bias=True)(x))


class LSTM(nn.Module):
    """One layer (Hochreiter and Schmidhuber 1997, with forget gates); starts from zero."""

    hidden_dim: int
    reverse: bool = False  # from the last step to the first

    @nn.compact
    def __call__(self, x: Float[Array, "b t d"]) -> Float[Array, "b t h"]:
        """The hidden state at every step, in the order of the input."""
        size = self.hidden_dim
        recurrent = self.param("recurrent", _INIT, (size, 4 * size))
        # All steps' share of the inputs in one product.
        inputs = rearrange(nn.Dense(4 * size, kernel_init=_INIT)(x), "b t h -> t b h")

        def step(state, inputs):
            hidden, cell = state
            gates, new = jnp.split(inputs + hidden @ recurrent, [3 * size], axis=-1)
            enter, keep, show = jnp.split(nn.sigmoid(gates), 3, axis=-1)
            cell = keep * cell + enter * jnp.tanh(new)
            hidden = show * jnp.tanh(cell)
            return (hidden, cell), hidden

        zero = jnp.zeros((len(x), size))
        _, states = jax.lax.scan(step, (zero, zero), inputs, reverse=self.reverse)
        return rearrange(states, "t b h -> b t h")


class RNN(nn.Module):
    """One layer of tanh units (Elman 1990); starts from zero."""

    hidden_dim: int

    @nn.compact
    def __call__(self, x: Float[Array, "b t d"]) -> Float[Array, "b t h"]:
        """The hidden state at every step."""
        recurrent = self.param("recurrent", _INIT, (self.hidden_dim, self.hidden_dim))
        inputs = nn.Dense(self.hidden_dim, kernel_init=_INIT)(x)
        inputs = rearrange(inputs, "b t h -> t b h")

        def step(hidden, inputs):
            hidden = jnp.tanh(inputs + hidden @ recurrent)
            return hidden, hidden

        _, states = jax.lax.scan(step, jnp.zeros((len(x), self.hidden_dim)), inputs)
        return rearrange(states, "t b h -> b t h")


class DSVAE(nn.Module):
    """The model; the defaults are the published sizes.

    Attributes:
      width: channels of the first convolution; each of the next three has twice as many.
      feature_dim: of a frame, between convolutions and LSTM.
      hidden_dim: of every LSTM and RNN.
      f_dim: static.
      z_dim: dynamic, of a frame.
      size: height and width of a frame, pixels.
      channels: of a frame.
    """

    width: int = 64
    feature_dim: int = 128
    hidden_dim: int = 256
    f_dim: int = 256
    z_dim: int = 32
    size: int = 64
    channels: int = 3

    def setup(self):
        """Name the parts."""

        def dense(features: int) -> nn.Dense:
            return nn.Dense(features, kernel_init=_INIT)

        self.encoder = Encoder(self.width, self.feature_dim)
        self.decoder = Decoder(self.width, self.size, self.channels)
        self.read_forward = LSTM(self.hidden_dim)
        self.read_backward = LSTM(self.hidden_dim, reverse=True)
        self.f_mean, self.f_log_var = dense(self.f_dim), dense(self.f_dim)
        self.z_rnn = RNN(self.hidden_dim)
        self.z_mean, self.z_log_var = dense(self.z_dim), dense(self.z_dim)
        self.prior_rnn = nn.Sequential([LSTM(self.hidden_dim), LSTM(self.hidden_dim)])
        self.prior_mean, self.prior_log_var = dense(self.z_dim), dense(self.z_dim)

    def encode(
        self, video: Float[Array, "b t h w c"], train: bool = False
    ) -> tuple[Gaussian, Gaussian]:
        """q(f | x) over [b f] and q(z_t | x) over [b t z]."""
        return self.read(self.see(video, train))

    def see(self, video: Float[Array, "b t h w c"], train: bool = False) -> Float[Array, "b t d"]:
        """Features of each frame, which know nothing of the frames beside it."""
        features = self.encoder(rearrange(video, "b t h w c -> (b t) h w c"), train)
        return rearrange(features, "(b t) d -> b t d", t=video.shape[1])

    def read(self, features: Float[Array, "b t d"]) -> tuple[Gaussian, Gaussian]:
        """q(f | x) and q(z_t | x) from features of frames in their order."""
        forward, backward = self.read_forward(features), self.read_backward(features)
        ends = jnp.concatenate([forward[:, -1], backward[:, 0]], axis=-1)
        # The public settings have this nonlinearity after both maps, and it is kept.
        q_f = Gaussian(leaky_relu(self.f_mean(ends)), leaky_relu(self.f_log_var(ends)))
        states = self.z_rnn(jnp.concatenate([forward, backward], axis=-1))
        return q_f, Gaussian(self.z_mean(states), self.z_log_var(states))

    def prior(self, z: Float[Array, "b t z"]) -> Gaussian:
        """p(z_t | z_<t) for every t along a path, [b t z]; the first sees a zero."""
        states = self.prior_rnn(jnp.pad(z[:, :-1], ((0, 0), (1, 0), (0, 0))))
        return Gaussian(self.prior_mean(states), self.prior_log_var(states))

    def decode(
        self, f: Float[Array, "b f"], z: Float[Array, "b t z"], train: bool = False
    ) -> Float[Array, "b t h w c"]:
        """Mean of p(x | f, z): each frame from f and its own z_t."""
        both = jnp.concatenate([z, repeat(f, "b f -> b t f", t=z.shape[1])], axis=-1)
        frames = self.decoder(rearrange(both, "b t d -> (b t) d"), train)
        return rearrange(frames, "(b t) h w c -> b t h w c", t=z.shape[1])

    def __call__(self, video: Float[Array, "b t h w c"], key: Key[Array, ""]) -> Pass:
        """One pass as in training: samples of both posteriors, statistics of the batch."""
        return self.complete(*self.encode(video, train=True), key)

    def complete(self, q_f: Gaussian, q_z: Gaussian, key: Key[Array, ""]) -> Pass:
        """What follows the posteriors in a pass as in training."""
        key_f, key_z = jax.random.split(key)
        f, z = draw(key_f, q_f), draw(key_z, q_z)
        return Pass(q_f, q_z, self.prior(z), f, z, self.decode(f, z, train=True))


def batch_norm(train: bool) -> nn.BatchNorm:
    """Batch normalisation with the running averages of the public settings."""
    return nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5)


def leaky_relu(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """DCGAN's, of slope 0.2."""
    return nn.leaky_relu(x, 0.2)


def draw(key: Key[Array, ""], q: Gaussian) -> Float[Array, "*s d"]:
    """A sample, with gradients to both parameters."""
    return q.mean + jnp.exp(0.5 * q.log_var) * jax.random.normal(key, q.mean.shape)


def kl(q: Gaussian, p: Gaussian) -> Float[Array, "*s"]:
    """KL(q || p) in nats, summed over the last axis."""
    distance = (q.mean - p.mean) ** 2 * jnp.exp(-p.log_var)
    ratio = q.log_var - p.log_var
    return 0.5 * (distance + jnp.exp(ratio) - ratio - 1).sum(-1)


def kl_to_standard(q: Gaussian) -> Float[Array, "*s"]:
    """KL(q || N(0, I)) in nats, summed over the last axis."""
    return kl(q, Gaussian(jnp.zeros_like(q.mean), jnp.zeros_like(q.log_var)))


def negative_elbo(done: Pass, video: Float[Array, "b t h w c"]) -> Elbo:
    """The terms of the bound of Li and Mandt; the KL of z is along the sampled path."""
    error = ((done.rebuilt - video) ** 2).sum((1, 2, 3, 4))
    kl_z = kl(done.q_z, done.p_z).sum(-1)
    return Elbo(error.mean(), kl_to_standard(done.q_f).mean(), kl_z.mean())


def loss(
    model: DSVAE, variables: Any, video: Float[Array, "b t h w c"], key: Key[Array, ""]
) -> tuple[Float[Array, ""], tuple[Any, dict[str, Array]]]:
    """Negative ELBO of a batch; returns (loss, (running statistics, metrics))."""
    done, changed = model.apply(variables, video, key, mutable=["batch_stats"])
    terms = negative_elbo(done, video)
    total = sum(terms, jnp.zeros(()))
    return total, (changed["batch_stats"], {"loss": total, **terms._asdict()})


def to_unit(video: UInt8[Array, "..."]) -> Float[Array, "..."]:
    """uint8 -> float32 in [0, 1]."""
    return video.astype(jnp.float32) / 255


def to_uint8(video: Float[Array, "..."]) -> UInt8[Array, "..."]:
    """[0, 1] -> pixels, rounded to the nearest value."""
    return jnp.clip(jnp.round(video * 255), 0, 255).astype(jnp.uint8)
