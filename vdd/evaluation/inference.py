"""A model as evaluation sees it: two functions over batches of clips, of one shape each.

The protocols know no model. They take `Functions`, which `functions_of` makes of a model and its
parameters, and a test of any other two functions.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree, UInt8

from vdd import compiled
from vdd.compiled import Encoded
from vdd.diffusion.samplers import Sampler
from vdd.method.disentangler import Disentangler
from vdd.progress import progress_bar

Clips = UInt8[np.ndarray, "_ _ _ _ _"]  # [b t h w c]
Drawn = UInt8[Array | np.ndarray, "_ _ _ _ _"]  # [b t h w c]
Content = Float[Array | np.ndarray, "_ _ _"]  # [b k d]
Motion = Float[Array | np.ndarray, "_ _ _"]  # [b t m]
MotionCodes = Int[np.ndarray, "_ _ _"]  # [b t n]


class Functions(NamedTuple):
    """A model under test.

    Attributes:
      encode: uint8 video [b t h w c] -> Encoded.
      sample: (one random key per clip [b], content [b k d], motion [b t m]) -> uint8 video.
      encode_from: (uint8 video [b t h w c], other video [b s h w c]) -> Encoded of the first, its
        motion measured from where the other rests; None where motion is not relative.
      num_codewords: codewords of each group of the motion codes; None where there are no codes.
      coded_bits: motion codes [b t n] of clips -> bits a frame that they take in a file, the clips
        coded one by one; None where there is no prior to code them by.
    """

    encode: Callable[[Clips], Encoded]
    sample: Callable[[Key[Array, "b"], Content, Motion], Drawn]
    num_codewords: int | None
    coded_bits: Callable[[MotionCodes], float] | None = None
    encode_from: Callable[[Clips, Clips], Encoded] | None = None


def functions_of(model: Disentangler, params: PyTree, sampler: Sampler) -> Functions:
    """The functions of a model; compiled once for each model, sampler and batch size."""

    def encode_from(video: Clips, whose: Clips) -> Encoded:
        return compiled.encode(model, params, video, compiled.rest_pose(model, params, whose))

    return Functions(
        encode=partial(compiled.encode, model, params),
        sample=partial(compiled.draw, model, sampler, params),
        num_codewords=model.quantizer.codebook.num_codes,
        encode_from=encode_from if model.relative_motion else None,
    )


def clip_keys(seed: int, stream: int, clips: Int[np.ndarray, "b"]) -> Key[Array, "b"]:
    """A random key for each clip, by its number: a sample does not depend on its batch."""
    key = jax.random.fold_in(jax.random.key(seed), stream)
    return jax.vmap(partial(jax.random.fold_in, key))(jnp.asarray(clips))


def padded(rows: Int[np.ndarray, "r"], batch_size: int) -> Int[np.ndarray, "b"]:
    """Repeats the last row up to the batch size, so that the last batch compiles nothing anew."""
    return np.pad(rows, (0, batch_size - len(rows)), mode="edge")


def batches(count: int, batch_size: int) -> list[slice]:
    """Slices that cover `count` rows, all of `batch_size` but perhaps the last."""
    return [slice(i, min(i + batch_size, count)) for i in range(0, count, batch_size)]


def encode_clips(
    functions: Functions,
    video: UInt8[np.ndarray, "n t h w c"],
    batch_size: int,
    title: str = "encoding",
    show_progress: bool = True,
) -> Encoded:
    """Encodes all clips, each once; arrays of the result are numpy."""
    parts = []
    with progress_bar(title, len(video), show_progress) as advance:
        for piece in batches(len(video), batch_size):
            rows = np.arange(piece.start, piece.stop)
            encoded = functions.encode(video[padded(rows, batch_size)])
            parts.append([np.asarray(part)[: len(rows)] for part in encoded])
            advance(len(rows))
    return Encoded(*(np.concatenate(part) for part in zip(*parts)))
