"""What of `vdd.apply` several parts need as programs, compiled once for each model and shape."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree, UInt8, UInt32

from vdd import apply
from vdd.diffusion.samplers import Sampler
from vdd.method.disentangler import Disentangler
from vdd.models.prior import MotionPrior, code_bits
from vdd.programs import kept


class Encoded(NamedTuple):
    """What is kept of clips: content, quantised motion, codes, and the rate of the content.

    Motion that is not quantised has no codes: n is 0.
    """

    content: Float[Array | np.ndarray, "b k d"]
    motion: Float[Array | np.ndarray, "b t m"]
    codes: Int[Array | np.ndarray, "b t n"]
    content_bits: Float[Array | np.ndarray, "b"]  # per clip

    def rows(self, index: Int[np.ndarray, "r"]) -> "Encoded":
        """The clips at these places."""
        return Encoded(*(np.asarray(part)[index] for part in self))


@kept(num_static=1)
def encode(
    model: Disentangler,
    params: PyTree,
    video: UInt8[Array, "b t h w c"],
    rest: Float[Array, "b m"] | None = None,
) -> Encoded:
    """`apply.encode` and `apply.content_bits`."""
    (content, motion, codes), bits = apply.encode_and_count(model, params, video, rest=rest)
    return Encoded(content, motion, codes, bits)


def rest_pose(
    model: Disentangler, params: PyTree, video: UInt8[np.ndarray, "b t h w c"]
) -> Float[Array, "b m"] | None:
    """`apply.rest_pose`; None where motion is not relative, as there is nothing to measure then."""
    return _rest_pose(model, params, video) if model.relative_motion else None


@kept(num_static=1)
def _rest_pose(
    model: Disentangler, params: PyTree, video: UInt8[Array, "b t h w c"]
) -> Float[Array, "b m"]:
    return apply.rest_pose(model, params, video)


class Reader:
    """`encode` for the windows of one stream, or of several side by side, in their order.

    Relative motion is measured from `rest`, or from the rest pose of the first window.
    """

    def __init__(
        self, model: Disentangler, params: PyTree, rest: Float[Array, "b m"] | None = None
    ):
        self._model, self._params, self._rest = model, params, rest

    def __call__(self, clips: UInt8[np.ndarray, "b t h w c"]) -> Encoded:
        """The next window."""
        if self._rest is None:
            self._rest = rest_pose(self._model, self._params, clips)
        # Without one it is the call that others make: a program is known by its arguments.
        given = () if self._rest is None else (self._rest,)
        return encode(self._model, self._params, clips, *given)


@kept(num_static=2)
def draw(
    model: Disentangler,
    sampler: Sampler,
    params: PyTree,
    rng: Key[Array, "*b"],
    content: Float[Array, "b k d"],
    motion: Int[Array, "b t n"] | Float[Array, "b t m"],
) -> UInt8[Array, "b t h w c"]:
    """`apply.sample` in pixels; `motion` may be codes."""
    if jnp.issubdtype(motion.dtype, jnp.integer):
        motion = apply.lookup(model, params, motion)
    return apply.to_uint8(apply.sample(model, params, rng, content, motion, sampler))


@kept(num_static=2)
def follow(
    model: Disentangler,
    sampler: Sampler,
    params: PyTree,
    rng: Key[Array, ""],
    content: Float[Array, "b k d"],
    video: UInt8[Array, "b t h w c"],
    rest: Float[Array, "b m"] | None = None,
) -> UInt8[Array, "b h w c"]:
    """`content` in the motion of the last frame of each clip."""
    motion = apply.encode(model, params, video, rest=rest).motion[:, -1:]
    return apply.to_uint8(apply.sample(model, params, rng, content, motion, sampler))[:, 0]


def noise(seed: int, number: int) -> Key[Array, ""]:
    """The key of piece `number` of what is drawn with a seed."""
    return _noise(np.uint32(seed % 2**32), np.uint32(number))


@kept(num_static=0)
def _noise(seed: UInt32[Array, ""], number: UInt32[Array, ""]) -> Key[Array, ""]:
    return jax.random.fold_in(jax.random.key(seed), number)


@kept(num_static=1)
def bits_of_codes(
    prior: MotionPrior, params: PyTree, codes: Int[Array, "b t n"]
) -> Float[Array, "b t n"]:
    """Bits of each code under the prior, which knows what came before it."""
    logits: Any = prior.apply({"params": params}, codes)
    return code_bits(logits, codes)
