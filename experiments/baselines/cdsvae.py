"""C-DSVAE: DSVAE with contrastive terms that say what is static and what is dynamic.

Bai, Wang and Gomes, "Contrastively Disentangled Sequential Variational Autoencoder", NeurIPS 2021
(arXiv 2110.12091). To the negative ELBO are added

- InfoNCE between f of a clip and of the same clip with its frames shuffled: same content;
- InfoNCE between z_1..z_T of a clip and of the same clip in other colours: same motion;
- an estimate of I(f; z_t), averaged over frames.

The weights are those of the public settings for Sprites. What they leave open, as the augmented
clips came ready-made: the colour distortion, which is SimCLR's here (Chen et al. 2020, appendix A,
strength 1/2), one draw for all frames of a clip, without its crops and blur.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from einops import rearrange
from jaxtyping import Array, Float, Key

from experiments.baselines.dsvae import DSVAE, Gaussian, negative_elbo

# Colour jitter: greatest relative change of brightness, contrast and saturation, greatest turn of
# the hue (of a full one), and the shares of clips that are jittered and turned grey.
_CHANGE, _TURN, _JITTERED, _GREY = 0.4, 0.1, 0.8, 0.2
# RGB -> luma and two chroma axes (YIQ, NTSC 1953); a turn of the latter two changes the hue.
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_TO_RGB = np.linalg.inv(_TO_YIQ)


@dataclasses.dataclass(frozen=True)
class Weights:
    """What the terms beside the ELBO weigh, and the temperature of the contrast."""

    content: float = 10.0
    motion: float = 10.0
    mutual_information: float = 1.0
    temperature: float = 0.5


def loss(
    model: DSVAE,
    weights: Weights,
    variables: Any,
    video: Float[Array, "b t h w c"],
    key: Key[Array, ""],
) -> tuple[Float[Array, ""], tuple[Any, dict[str, Array]]]:
    """The objective of a batch; returns (loss, (running statistics, metrics)).

    The running statistics are those of the real clips.
    """
    key_pass, key_shuffle, key_colour = jax.random.split(key, 3)
    q_f, q_z, variables = read_views(
        model, variables, video, distort_colours(key_colour, video), key_shuffle
    )
    done, changed = model.apply(
        variables, q_f[0], q_z[0], key_pass, method=model.complete, mutable=["batch_stats"]
    )
    elbo = negative_elbo(done, video)
    content = info_nce(q_f[0].mean, q_f[2].mean, weights.temperature)
    motion = info_nce(_flat(q_z[0].mean), _flat(q_z[1].mean), weights.temperature)
    information = mutual_information(done.f, done.q_f, done.z, done.q_z)
    total = (
        sum(elbo, jnp.zeros(()))
        + weights.content * content
        + weights.motion * motion
        + weights.mutual_information * information
    )
    metrics = {"contrast_f": content, "contrast_z": motion, "information_fz": information}
    return total, (changed["batch_stats"], {"loss": total, **elbo._asdict(), **metrics})


def read_views(
    model: DSVAE,
    variables: Any,
    video: Float[Array, "b t h w c"],
    same_motion: Float[Array, "b t h w c"],
    key_shuffle: Key[Array, ""],
) -> tuple[list[Gaussian], list[Gaussian], Any]:
    """q(f | x) and q(z | x) of the clips, in other colours, and with their frames shuffled.

    Also returns the variables with the running statistics of the clips. The first two views are
    mapped rather than concatenated: each is normalised by itself, as in the public settings, and
    the program is compiled once for both. Frames in another order have the same features and the
    same statistics, so the third view is not convolved again.
    """

    def see(view: Float[Array, "b t h w c"]):
        return model.apply(variables, view, True, method=model.see, mutable=["batch_stats"])

    features, changed = jax.vmap(see)(jnp.stack([video, same_motion]))
    views = jnp.concatenate([features, shuffle_frames(key_shuffle, features[0])[None]])

    def read(view: Float[Array, "b t d"]) -> Any:
        return model.apply(variables, view, method=model.read)

    q_f, q_z = jax.vmap(read)(views)

    def each(q: Gaussian) -> list[Gaussian]:
        return [Gaussian(*pair) for pair in zip(*q)]

    first = jax.tree.map(lambda x: x[0], changed)
    return each(q_f), each(q_z), {**variables, **first}


def _flat(z: Float[Array, "b t z"]) -> Float[Array, "b tz"]:
    return rearrange(z, "b t z -> b (t z)")


def info_nce(
    x: Float[Array, "b d"], y: Float[Array, "b d"], temperature: float
) -> Float[Array, ""]:
    """Contrast of b pairs, nats: finds each vector's partner among the 2b - 1 others by cosine.

    van den Oord et al. 2018, symmetric as in SimCLR (Chen et al. 2020, eq. 1). log(2b - 1) where
    nothing is to be told apart.
    """
    both = jnp.concatenate([x, y])
    both = both / jnp.maximum(jnp.linalg.norm(both, axis=-1, keepdims=True), 1e-8)
    itself = jnp.eye(len(both), dtype=bool)
    logits = jnp.where(itself, -jnp.inf, both @ both.T / temperature)
    partner = jnp.roll(jnp.arange(len(both)), len(x))
    return optax.softmax_cross_entropy_with_integer_labels(logits, partner).mean()


def mutual_information(
    f: Float[Array, "b f"], q_f: Gaussian, z: Float[Array, "b t z"], q_z: Gaussian
) -> Float[Array, ""]:
    """I(f; z_t) in nats, averaged over frames, of samples f and z and the posteriors they are of.

    Minibatch-weighted sampling (Chen et al. 2018, section 4.1): a marginal density is the mean of
    the batch's posteriors. Their further division by the number of clips N would add log N, which
    no gradient sees; without it independence reads 0. Never above log b, however well clips differ.
    """
    log_f = log_density(f, q_f)[:, :, None]  # clip, posterior, 1
    log_z = jax.vmap(log_density, in_axes=1, out_axes=2)(z, q_z)  # clip, posterior, frame
    marginals = jax.nn.logsumexp(log_f, 1) + jax.nn.logsumexp(log_z, 1)
    return (jax.nn.logsumexp(log_f + log_z, 1) - marginals).mean() + jnp.log(len(f))


def log_density(x: Float[Array, "b d"], q: Gaussian) -> Float[Array, "b b"]:
    """log q_j(x_i) at row i and column j."""
    distance = (x[:, None] - q.mean[None]) ** 2 * jnp.exp(-q.log_var[None])
    return -0.5 * (distance + q.log_var[None] + jnp.log(2 * jnp.pi)).sum(-1)


def shuffle_frames(key: Key[Array, ""], clips: Float[Array, "b t *s"]) -> Float[Array, "b t *s"]:
    """The frames of each clip in an order of its own: the same content, another motion."""
    order = jnp.argsort(jax.random.uniform(key, clips.shape[:2]), axis=1)
    return jnp.take_along_axis(clips, order.reshape(*order.shape, *(1,) * (clips.ndim - 2)), axis=1)


def distort_colours(
    key: Key[Array, ""], video: Float[Array, "b t h w c"]
) -> Float[Array, "b t h w c"]:
    """Each clip, in [0, 1], in other colours, the same in all its frames: the same motion."""
    # One draw for everything: each costs seconds of compilation.
    return jax.vmap(_distort)(jax.random.uniform(key, (len(video), 6)), video)


def _distort(chance: Float[Array, "6"], video: Float[Array, "t h w 3"]) -> Float[Array, "t h w 3"]:
    spread = jnp.where(chance[4] < _JITTERED, 2 * chance[:4] - 1, 0.0)
    brightness, contrast, saturation = 1 + _CHANGE * spread[:3]
    saturation = jnp.where(chance[5] < _GREY, 0.0, saturation)
    mixed = video @ colour_matrix(brightness, saturation, _TURN * spread[3])
    grey = (mixed @ _TO_YIQ[0].astype(np.float32)).mean()
    return jnp.clip(grey + contrast * (mixed - grey), 0, 1)


def colour_matrix(
    brightness: Float[Array, ""], saturation: Float[Array, ""], turn: Float[Array, ""]
) -> Float[Array, "3 3"]:
    """What a row of RGB is multiplied by; `turn` of the hue in full turns, the others factors."""
    sine, cosine = jnp.sin(2 * jnp.pi * turn), jnp.cos(2 * jnp.pi * turn)
    chroma = saturation * jnp.array([[cosine, -sine], [sine, cosine]])
    yiq = jnp.eye(3).at[1:, 1:].set(chroma)
    return brightness * (_TO_RGB @ yiq @ _TO_YIQ).T
