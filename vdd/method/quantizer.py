"""The motion bottleneck: vector quantisation in groups, each group with a codebook of its own.

Two quantisers share one interface. Both are called with the motion feature of every frame and
return `Codes`: which codeword each group picked, the quantised tensor that carries gradients, and
the soft assignment from which `vdd.method.rates` reads the bits.
"""

from dataclasses import dataclass
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange, repeat
from jaxtyping import Array, Float, Int, PRNGKeyArray

from vdd import errors
from vdd.models.layers import rms_normalize

# GPUs and TPUs shorten the numbers of a product unless told not to. Twins among the codewords are
# then one in training and two elsewhere.
EXACT = jax.lax.Precision.HIGHEST


class Codes(NamedTuple):
    """The quantised motion of a batch of clips (n groups, k codewords of g dimensions each)."""

    codes: Int[Array, "b t n"]  # index of the codeword of each group
    quantized: Float[Array, "b t ng"]  # codewords side by side, with straight-through gradients
    assignment: Float[Array, "b t n k"]  # soft assignment, sums to 1 over k
    vectors: Float[Array, "b t n g"]  # what was quantised
    codewords: Float[Array, "b t n g"]  # what it became; gradients reach the codebook only


class Bounded(NamedTuple):
    """The motion feature, fit to be quantised, and what training learns of the batch by the way."""

    motion: Float[Array, "b t ng"]
    statistics: dict[str, Array]  # new values of the codebook's parameters; {} where it learns else


class Codebook(nn.Module):
    """n learned codebooks of k codewords, kept at root mean square 1, as the vectors they meet.

    With both normalised, distances, and with them the softness of the assignment, keep their scale
    through training.
    """

    num_groups: int
    num_codes: int
    code_dim: int
    merged: bool = False  # some codewords stand for others (vdd.compression.merging)

    def __post_init__(self):
        errors.at_least(1, self, "num_groups", "code_dim")
        errors.at_least(2, self, "num_codes")
        super().__post_init__()

    def setup(self):
        """The codewords [n k g], before they are normalised, and which stands for which [n k]."""
        shape = (self.num_groups, self.num_codes, self.code_dim)
        self.codewords = self.param("codewords", nn.initializers.normal(1.0), shape)
        if self.merged:
            each = jnp.broadcast_to(jnp.arange(self.num_codes), shape[:2])
            self.aliases = self.param("aliases", lambda _: each)

    def __call__(self) -> Float[Array, "n k g"]:
        """All codewords."""
        return rms_normalize(self.codewords)

    def lookup(self, codes: Int[Array, "b t n"]) -> Float[Array, "b t ng"]:
        """The quantised motion that the codes stand for."""
        return _side_by_side(gather_codewords(self(), codes))

    def nearest(self, distances: Float[Array, "b t n k"]) -> Int[Array, "b t n"]:
        """The codes of vectors at these distances from all codewords."""
        codes = jnp.argmin(distances, axis=-1)
        if not self.merged:
            return codes
        return self.aliases[jnp.arange(self.num_groups)[None, None], codes]

    def split(self, motion: Float[Array, "b t ng"]) -> Float[Array, "b t n g"]:
        """Cut the motion feature into its groups and normalise each."""
        vectors = motion.astype(jnp.float32)
        return rms_normalize(rearrange(vectors, "b t (n g) -> b t n g", n=self.num_groups))

    def bound(self, motion: Float[Array, "b t ng"], fresh: bool = False) -> Bounded:
        """The motion feature as it is: `split` normalises it."""
        del fresh
        return Bounded(motion, {})


class Grid(nn.Module):
    """A codebook that is not learned: each group is one number, at one of k levels from -1 to 1.

    Finite scalar quantisation (Mentzer et al. 2023). The numbers are brought to mean 0 and standard
    deviation 1 over the batch before a tanh bounds them (Ioffe & Szegedy 2015): so all levels are
    used from the first step to the last, whatever motion is worth meanwhile.
    """

    num_groups: int
    num_codes: int
    code_dim: int = 1
    merged: bool = False

    def __post_init__(self):
        errors.at_least(1, self, "num_groups")
        errors.at_least(2, self, "num_codes")
        errors.numbers("1", lambda x: x == 1, self, "code_dim")
        if self.merged:
            raise ValueError("levels of a grid are never merged")
        super().__post_init__()

    def setup(self):
        """Mean and standard deviation of each number, as training found them of late [n]."""
        self.centre = self.param("centre", nn.initializers.zeros, (self.num_groups,))
        self.spread = self.param("spread", nn.initializers.ones, (self.num_groups,))

    def __call__(self) -> Float[Array, "n k 1"]:
        """The levels, the same of all groups."""
        levels = jnp.linspace(-1.0, 1.0, self.num_codes)
        return repeat(levels, "k -> n k 1", n=self.num_groups)

    def lookup(self, codes: Int[Array, "b t n"]) -> Float[Array, "b t n"]:
        """The quantised motion that the codes stand for."""
        return _side_by_side(gather_codewords(self(), codes))

    def nearest(self, distances: Float[Array, "b t n k"]) -> Int[Array, "b t n"]:
        """The codes of numbers at these distances from all levels."""
        return jnp.argmin(distances, axis=-1)

    def split(self, motion: Float[Array, "b t n"]) -> Float[Array, "b t n 1"]:
        """Each number a vector of its own; `bound` has bounded it."""
        return jnp.clip(motion.astype(jnp.float32), -1.0, 1.0)[..., None]

    def bound(self, motion: Float[Array, "b t n"], fresh: bool = False) -> Bounded:
        """The motion feature between -1 and 1.

        With `fresh`, as in training, normalised by the batch's own mean and standard deviation,
        which are returned too; without, by those that training found.
        """
        motion = motion.astype(jnp.float32)
        if not fresh:
            known = (self.centre[None, None], self.spread[None, None])
            return Bounded(jnp.tanh((motion - known[0]) / known[1]), {})
        centre = jnp.mean(motion, axis=(0, 1))
        offset = motion - centre[None, None]
        spread = jnp.sqrt(jnp.mean(jnp.square(offset), axis=(0, 1)) + 1e-6)
        bounded = jnp.tanh(offset / spread[None, None])
        return Bounded(bounded, jax.lax.stop_gradient({"centre": centre, "spread": spread}))


class StraightThroughQuantizer(nn.Module):
    """Nearest codeword forwards, identity backwards (van den Oord et al. 2017), in groups."""

    codebook: Codebook | Grid
    alpha: float  # sharpness of the soft assignment, softmax(-alpha * distance)

    def __post_init__(self):
        errors.above(0, self, "alpha")
        super().__post_init__()

    def __call__(self, motion: Float[Array, "b t ng"], rng: PRNGKeyArray | None = None) -> Codes:
        """Quantise motion [b t ng]; quantising twice changes nothing. `rng` is not used."""
        del rng
        codebook, vectors = self.codebook(), self.codebook.split(motion)
        distances = pairwise_distances(vectors, codebook)
        codes = self.codebook.nearest(distances)
        codewords = gather_codewords(codebook, codes)
        through = vectors + jax.lax.stop_gradient(codewords - vectors)
        assignment = jax.nn.softmax(-self.alpha * distances, axis=-1)
        return Codes(codes, _side_by_side(through), assignment, vectors, codewords)


class GumbelQuantizer(nn.Module):
    """Distance-based Gumbel-softmax (the paper's choice): mu = GumbelSoftmax(-alpha * distance).

    With `rng` the sampled one-hot is hard forwards and soft backwards; without, the most likely
    codeword is taken, which is the nearest.
    """

    codebook: Codebook | Grid
    alpha: float
    temperature: float = 1.0

    def __post_init__(self):
        errors.above(0, self, "alpha", "temperature")
        super().__post_init__()

    def __call__(self, motion: Float[Array, "b t ng"], rng: PRNGKeyArray | None = None) -> Codes:
        """Quantise motion [b t ng], by a draw if `rng` is given, else by the nearest codeword."""
        codebook, vectors = self.codebook(), self.codebook.split(motion)
        logits = -self.alpha * pairwise_distances(vectors, codebook)
        noisy = logits if rng is None else logits + jax.random.gumbel(rng, logits.shape)
        soft = jax.nn.softmax(noisy / self.temperature, axis=-1)
        codes = self.codebook.nearest(-noisy)
        hard = jax.nn.one_hot(codes, codebook.shape[1])
        weights = hard + soft - jax.lax.stop_gradient(soft)
        through = jnp.einsum("btnk,nkg->btng", weights, codebook, precision=EXACT)
        codewords = gather_codewords(codebook, codes)
        assignment = jax.nn.softmax(logits, axis=-1)
        return Codes(codes, _side_by_side(through), assignment, vectors, codewords)


def pairwise_distances(
    vectors: Float[Array, "b t n g"], codebook: Float[Array, "n k g"]
) -> Float[Array, "b t n k"]:
    """L2 distance of every vector to every codeword of its group, in float32 on any device."""
    vectors, codebook = vectors.astype(jnp.float32), codebook.astype(jnp.float32)
    squared = (
        jnp.sum(jnp.square(vectors), axis=-1, keepdims=True)
        + jnp.sum(jnp.square(codebook), axis=-1)[None, None]
        - 2.0 * jnp.einsum("btng,nkg->btnk", vectors, codebook, precision=EXACT)
    )
    # The floor keeps the root differentiable where a vector sits on its codeword.
    return jnp.sqrt(jnp.maximum(squared, 1e-6))


def gather_codewords(
    codebook: Float[Array, "n k g"], codes: Int[Array, "b t n"]
) -> Float[Array, "b t n g"]:
    """The codewords that `codes` name, one of each group."""
    return codebook[jnp.arange(codebook.shape[0])[None, None], codes]


@dataclass(frozen=True)
class Revival:
    """How codewords that are hardly used are moved; the keys of `config.revival`."""

    usage_decay: float  # of the running fraction of every codeword
    below: float  # a codeword used less than this times its even fraction 1/k is dead
    rate: float  # probability per step, at the highest learning rate, that it is moved; 0: never

    def __post_init__(self):
        errors.decays(self, "usage_decay")
        errors.at_least(0, self, "below")
        errors.between(0, 1, self, "rate")

    def running(
        self, usage: Float[Array, "n k"], before: Float[Array, "n k"]
    ) -> Float[Array, "n k"]:
        """The running fraction of each codeword, after a batch that used them so."""
        return self.usage_decay * before + (1.0 - self.usage_decay) * usage

    def revive(
        self,
        rng: PRNGKeyArray,
        codebook: Float[Array, "n k g"],
        usage: Float[Array, "n k"],
        vectors: Float[Array, "b t n g"],
        pace: float | Float[Array, ""] = 1.0,
    ) -> tuple[Float[Array, "n k g"], Float[Array, "n k"]]:
        """Move dead codewords onto vectors of the batch; both are returned, updated.

        `usage` sums to 1 over k. With a probability of `rate` times `pace` a dead codeword takes
        the place of a random vector of its group, and its fraction is set to the even one, so that
        it has time to be chosen. Many codewords moved in one step would upset the decoder.
        """
        pool = rearrange(vectors, "b t n g -> n (b t) g")
        rng_chosen, rng_moved = jax.random.split(rng)
        chosen = jax.random.randint(rng_chosen, usage.shape, 0, pool.shape[1])
        fresh = jnp.take_along_axis(pool, chosen[..., None], axis=1)
        even = 1.0 / usage.shape[1]
        moved = jax.random.bernoulli(rng_moved, self.rate * pace, usage.shape)
        dead = (usage < self.below * even) & moved
        return jnp.where(dead[..., None], fresh, codebook), jnp.where(dead, even, usage)


def keep(
    revival: Revival,
    codebook: dict[str, Array],
    rng: PRNGKeyArray,
    usage: Float[Array, "n k"],
    vectors: Float[Array, "b t n g"],
    statistics: dict[str, Array],
    pace: Float[Array, ""],
) -> tuple[dict[str, Array], Float[Array, "n k"]]:
    """The codebook's parameters after a step, beside what gradients did to them, and the usage.

    Dead codewords move; what a grid knows of its numbers follows the batches, as slowly as the
    running fraction of codewords does.
    """
    if not statistics:
        codewords, usage = revival.revive(rng, codebook["codewords"], usage, vectors, pace)
        return {**codebook, "codewords": codewords}, usage
    decay = revival.usage_decay
    known = {k: decay * codebook[k] + (1.0 - decay) * x for k, x in statistics.items()}
    return {**codebook, **known}, usage


def _side_by_side(vectors: Float[Array, "b t n g"]) -> Float[Array, "b t ng"]:
    return rearrange(vectors, "b t n g -> b t (n g)")
