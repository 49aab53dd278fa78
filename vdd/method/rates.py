"""The two rates that do the disentangling, and how they are held: targets, terms and prices.

Motion costs bits per frame: by Shannon, the entropy of the codes' histogram, where each group of
codes is coded by its own. Content costs bits per clip, as its bottleneck says
(`vdd.method.content`). Each rate has a target, a term of the loss, and a Lagrange multiplier, its
price, that is steered after every step.
"""

import math
from dataclasses import dataclass, replace

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from vdd import errors
from vdd.errors import SettingError, UserError

NATS_TO_BITS = 1.0 / math.log(2.0)
AUTO = "auto"
# Of the codes that a swap is drawn with, so many may be lost in it beyond those that are lost in
# a clip that is drawn with its own content; and how fast the target's logarithm follows.
_TOLERATED, _AUTO_SPEED = 0.02, 1e-3
_LEAST_REREAD = 4  # clips, of which a quarter is drawn with its own content (vdd.method.driving)


@flax.struct.dataclass
class Multipliers:
    """Lagrange multipliers of the two rates; part of the training state.

    motion: signed price of a bit per frame. The entropy may be pulled up as well as down.
    log_content: logarithm of the price of a bit per clip, which is never negative.
    """

    motion: Float[Array, ""]
    log_content: Float[Array, ""]

    @property
    def content(self) -> Float[Array, ""]:
        """Price of one content bit per clip."""
        return jnp.exp(self.log_content)


@flax.struct.dataclass
class Finding(Multipliers):
    """Multipliers of a training that finds the rate of motion by itself (`AUTO`).

    target: bits per frame that motion is held at.
    most: bits per frame that the codes can hold, above which no target lies.
    """

    target: Float[Array, ""]
    most: Float[Array, ""]


@dataclass(frozen=True)
class Rates:
    """The targets of both rates and how they are held; the keys of `config.rates`."""

    target_bits_per_frame: float | str  # AUTO: found while training
    target_bits_per_clip: float
    motion_weight: float  # of the paper's quadratic penalty; 0.04 there
    motion_speed: float  # of the price, per bit of excess and step
    content_price: float  # at the start, loss per bit
    content_price_range: tuple[float, float]
    content_speed: float  # of the price's logarithm, per relative excess and step

    def __post_init__(self):
        errors.at_least(0, self, "motion_weight", "motion_speed", "content_speed")
        errors.above(0, self, "target_bits_per_clip", "*content_price_range")
        if not self.auto:
            words = f"bits above 0, or {AUTO!r}"
            errors.numbers(words, lambda x: x > 0, self, "target_bits_per_frame")
        low, high = self.content_price_range
        if not low <= self.content_price <= high:
            raise SettingError(
                f"content_price={self.content_price}: it must lie in content_price_range="
                f"{self.content_price_range}"
            )

    @property
    def auto(self) -> bool:
        """Whether the rate of motion is found while training."""
        return self.target_bits_per_frame == AUTO

    def check(self, num_groups: int, num_codes: int) -> None:
        """Raises a UserError for a rate that codes cannot have: its price would never rest."""
        target, capacity = self.target_bits_per_frame, num_groups * math.log2(num_codes)
        if not isinstance(target, str) and target > capacity:
            raise UserError(
                f"rates.target_bits_per_frame={target:g} is more than"
                f" {num_groups} x {num_codes} codes can hold ({capacity:g} bits)"
            )

    def check_swaps(self, reread_clips: int, accumulate: int) -> None:
        """Raises a UserError where a step reads too few clips again for a rate to be found."""
        least = _LEAST_REREAD * accumulate
        if self.auto and reread_clips < least:
            raise UserError(
                "rates.target_bits_per_frame=auto is found in swaps that are read again: set"
                f" objective.reread_clips to {least} or more, not {reread_clips}"
            )

    def start(self, num_groups: int, num_codes: int) -> Multipliers:
        """The multipliers of the first step: motion costs nothing yet.

        A target that is to be found begins at what the codes can hold.
        """
        price = jnp.asarray(math.log(self.content_price), jnp.float32)
        if not self.auto:
            return Multipliers(jnp.zeros(()), price)
        capacity = jnp.asarray(num_groups * math.log2(num_codes), jnp.float32)
        return Finding(jnp.zeros(()), price, capacity, jnp.copy(capacity))

    def target(self, multipliers: Multipliers) -> float | Float[Array, ""]:
        """Bits per frame that motion is held at."""
        if isinstance(multipliers, Finding):
            return multipliers.target
        assert not isinstance(self.target_bits_per_frame, str)
        return self.target_bits_per_frame

    def loss(
        self,
        motion_bits: Float[Array, ""],
        content_bits: Float[Array, ""],
        multipliers: Multipliers,
    ) -> Float[Array, ""]:
        """What both rates cost.

        Of motion the augmented Lagrangian of `motion_bits == target_bits_per_frame`, the quadratic
        term of which is the paper's; of content the price of its bits.
        """
        prices = jax.lax.stop_gradient(multipliers)
        excess = motion_bits - self.target(prices)
        motion = self.motion_weight * jnp.square(excess) + prices.motion * excess
        return motion + prices.content * content_bits

    def steer(
        self,
        multipliers: Multipliers,
        motion_bits: Float[Array, ""],
        content_bits: Float[Array, ""],
        lost: Float[Array, ""] | None = None,
        pace: float | Float[Array, ""] = 1.0,
    ) -> Multipliers:
        """One step of dual ascent: a rate above its target raises its price, one below lowers it.

        The price of motion moves at `pace`, the fraction that is left of the learning rate: where
        the weights hardly move, a price that goes on would undo what the decoder has learned. The
        relative excess of content is clipped to [-1, 1], so that the first steps, far from the
        target, do not wind its price up.

        A target that is to be found (`AUTO`) falls while swaps lose more of their codes than is
        tolerated, and rises slowly while they lose less. The price of motion is never negative
        then: a price of bits that are missing would have to be unwound as the target falls.
        """
        excess = motion_bits - self.target(multipliers)
        motion = multipliers.motion + self.motion_speed * pace * excess
        motion = jnp.clip(motion, 0.0 if self.auto else -1.0, 1.0)
        excess = jnp.clip(content_bits / self.target_bits_per_clip - 1.0, -1.0, 1.0)
        low, high = (math.log(x) for x in self.content_price_range)
        log_content = jnp.clip(multipliers.log_content + self.content_speed * excess, low, high)
        if isinstance(multipliers, Finding) and lost is not None:
            target = multipliers.target * jnp.exp(_AUTO_SPEED * pace * (_TOLERATED - lost))
            multipliers = replace(multipliers, target=jnp.minimum(target, multipliers.most))
        return replace(multipliers, motion=motion, log_content=log_content)


def lost_in_swaps(kept: Float[Array, "r"], own: Bool[Array, "r"]) -> Float[Array, ""]:
    """Fraction of the codes that swaps lose beyond what is lost with a clip's own content.

    `kept` is the fraction of codes that are read as they were drawn; `own` says where the content
    was the motion's own.
    """

    def mean(rows: Array) -> Array:
        return jnp.sum(kept * rows) / jnp.maximum(jnp.sum(rows), 1)

    return mean(own) - mean(~own)


def entropy_bits_per_frame(assignment: Float[Array, "b t n k"]) -> Float[Array, "n"]:
    """Entropy of the average assignment of each group, in bits (paper, bitrate loss)."""
    return _entropy_bits(average_assignment(assignment))


def bits_per_frame(
    codes: Int[Array, "b t n"],
    assignment: Float[Array, "b t n k"],
) -> Float[Array, ""]:
    """What a frame of these codes costs: the entropy of the codes, summed over groups, in bits.

    Estimated from the batch's histograms with the correction of Miller (1955), as a small batch
    cannot show every codeword. A histogram has no gradient. It is that of the average soft
    assignment (`entropy_bits_per_frame`, the paper's loss), whose own value is no rate: where
    codewords lie close, a vector is assigned to many and sent as one. With 160 codewords it said
    6.35 bits of codes that took 5.2.
    """
    soft = jnp.sum(entropy_bits_per_frame(assignment))
    histogram = average_assignment(jax.nn.one_hot(codes, assignment.shape[-1]))
    seen, frames = jnp.sum(histogram > 0.0, axis=-1), codes.shape[0] * codes.shape[1]
    unseen = jnp.maximum(seen - 1.0, 0.0) / (2.0 * frames) * NATS_TO_BITS
    sent = jnp.sum(_entropy_bits(histogram) + unseen)
    return soft + jax.lax.stop_gradient(sent - soft)


def average_assignment(assignment: Float[Array, "b t n k"]) -> Float[Array, "n k"]:
    """Mean over clips and frames of the assignment, in float32."""
    return jnp.mean(assignment.astype(jnp.float32), axis=(0, 1))


def _entropy_bits(shares: Float[Array, "n k"]) -> Float[Array, "n"]:
    return -jnp.sum(shares * jnp.log(shares + 1e-12), axis=-1) * NATS_TO_BITS
