"""What drives each segment: the content of the other one, as it is read there or in a swap.

A decoder that may rely on whatever the other half of its own clip says learns things that hold
there alone. So some content is read in a swap before it drives, and some is withheld.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from einops import rearrange
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from vdd.method.disentangler import Disentangler
from vdd.method.quantizer import Codes

if TYPE_CHECKING:
    from vdd.method.objective import Objective

Apply = Callable[..., Any]  # (method of Disentangler, *arguments) -> its result


class Reread(NamedTuple):
    """Motion of swaps, by what was read in them and by what they were drawn from."""

    vectors: Float[Array, "r s n g"]
    codewords: Float[Array, "r s n g"]
    kept: Float[Array, "r"]  # fraction of the codes that are read as they were drawn
    own: Bool[Array, "r"]  # whether the content was the motion's own


class Drive(NamedTuple):
    """What 2b segments are rebuilt with, those of a clip side by side."""

    content: Float[Array, "b2 k d"]
    motion: Float[Array, "b2 s m"]
    reread: Reread | None  # what was read in swaps, if any were


def driving(
    objective: "Objective",
    apply: Apply,
    rng: PRNGKeyArray,
    num_frames: int,
    segments: Int[Array, "2 s"],
    tokens: Float[Array, "b2 k d"],
    codes: Codes,
    compare: bool = False,
) -> Drive:
    """The content of the other segment and the motion of its own (`vdd.method.objective`).

    Content that is withheld teaches the decoder to do without (for guidance), and motion nothing:
    codes that must draw a clip alone would learn hair and clothes.
    """
    rng_null, rng_reread = jax.random.split(rng)
    pairs, reread = rearrange(tokens, "(b k) n d -> b k n d", k=2)[:, ::-1], None
    if objective.reread_clips:
        rows = slice(0, None, len(pairs) // objective.reread_clips)

        def whole(x: Array) -> Array:
            return join_segments(x, segments, num_frames)[rows]

        # One segment of a clip at most: two would lend each other the frames they are to rebuild.
        again, reread = _reread(
            apply, rng_reread, pairs[rows, 0], whole(codes.quantized), whole(codes.codewords),
            whole(codes.codes), len(pairs[rows]) // 4 if compare else 0,
        )  # fmt: skip
        own = rearrange(reread.own, "r -> r 1 1")  # it has seen the frames that it is to rebuild
        pairs = pairs.at[rows, 0].set(jnp.where(own, pairs[rows, 0], again))
    content = rearrange(pairs, "b k n d -> (b k) n d")
    kept = jax.random.bernoulli(rng_null, 1.0 - objective.null_content, (len(content), 1, 1))
    motion = jnp.where(kept, codes.quantized, jax.lax.stop_gradient(codes.quantized))
    return Drive(content * kept, motion, reread)


def _reread(
    apply: Apply,
    rng: PRNGKeyArray,
    content: Float[Array, "r k d"],
    quantized: Float[Array, "r t m"],
    codewords: Float[Array, "r t n g"],
    codes: Int[Array, "r t n"],
    own: int,
) -> tuple[Float[Array, "r k d"], Reread]:
    """Content read again from mean frames that show it in the motion of another clip.

    Takes the content of clips, and quantised motion, codewords and codes of all their frames. The
    first `own` clips are drawn with their own motion, for comparison. Returns the content that is
    read in the pictures, and the motion.

    Both halves of a clip share its action, so content may tell the decoder the action, and codes
    that leave poses of two actions apart only by it cost nothing. Content that was read from a swap
    tells another action: to rely on it there is a mistake. And a codebook with room to spare splits
    a pose by the clothes, which motion can only tell from its twin where the clothes stay on. Swaps
    are as long as clips, as content is read in whole clips later, where all else that the encoder
    is shown are halves; their motion is read so too, though `Disentangler.read` reads it otherwise.
    A swap is a picture like any other; no gradient goes into how it was drawn.
    """
    rng_turn, rng_content = jax.random.split(rng)
    turn = jax.random.randint(rng_turn, (), 1, len(content) - own)
    which = jnp.arange(len(content))
    which = jnp.where(which < own, which, own + (which - own - turn) % (len(content) - own))
    quantized, codewords, codes = (x[which] for x in (quantized, codewords, codes))
    swap = jax.lax.stop_gradient(apply(Disentangler.mean, content, quantized))
    features, _ = apply(Disentangler.encode_in_training, swap)
    again = apply(Disentangler.compress, features.content, rng_content).tokens
    told = apply(Disentangler.quantize, features.motion)
    kept = jnp.mean(told.codes == codes, axis=(1, 2))
    return again, Reread(told.vectors, codewords, kept, jnp.arange(len(content)) < own)


def join_segments(
    x: Float[Array, "b2 s *r"], segments: Int[Array, "2 s"], num_frames: int
) -> Float[Array, "b t *r"]:
    """Clips in order of time from their segments, those of a clip side by side.

    `segments` is what a splitter gave; a frame that both segments have is taken once.
    """
    clips = rearrange(x, "(b k) s ... -> b (k s) ...", k=len(segments))
    times_seen = max(1, segments.size // num_frames)
    return clips[:, jnp.argsort(rearrange(segments, "k s -> (k s)"))[::times_seen]]
