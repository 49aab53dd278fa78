"""Merges codewords that another's content turns into one another. Ours, not the paper's.

A codebook with room to spare splits a pose by what is worn in it, and so tells what is worn. Drawn
with another content and read again, such a codeword comes back as its twin: they say the same, and
one of them can stand for both. A codeword of another pose comes back as itself.
"""

import jax.numpy as jnp
import numpy as np
from einops import rearrange
from jaxtyping import Float, Int

from vdd.compression.rereading import Readings
from vdd.method.disentangler import Disentangler


def merge_codewords(
    model: Disentangler, params: dict, readings: Readings, merge_above: float = 0.3
) -> tuple[Disentangler, dict]:
    """The model with codewords of which some stand for others, and its parameters.

    `merge_above` is as in `aliases`.
    """
    book = model.quantizer.codebook
    chosen = [
        aliases(confusion(drawn, read, book.num_codes), merge_above)
        for drawn, read in zip(_by_group(readings.drawn), _by_group(readings.read), strict=True)
    ]
    merged = model.quantizer.clone(codebook=book.clone(merged=True))
    quantizer = params["quantizer"]
    codebook = {**quantizer["codebook"], "aliases": jnp.asarray(np.stack(chosen), jnp.int32)}
    params = {**params, "quantizer": {**quantizer, "codebook": codebook}}
    return model.clone(quantizer=merged), params


def confusion(
    drawn: Int[np.ndarray, "m"], read: Int[np.ndarray, "m"], num_codes: int
) -> Int[np.ndarray, "k k"]:
    """How often a code that was drawn (row) was read again as which (column)."""
    counts = np.zeros((num_codes, num_codes), np.int64)
    np.add.at(counts, (drawn, read), 1)
    return counts


def aliases(
    confusion: Int[np.ndarray, "k k"] | Float[np.ndarray, "k k"], merge_above: float
) -> Int[np.ndarray, "k"]:
    """For each codeword the one that stands for it: the most drawn of those it was merged with.

    The two sets of codewords of which one is read as the other in the greatest fraction of cases
    are merged, and again, until no fraction is above `merge_above`. Counts of a merged set are
    added up, so that many small confusions do not chain codewords together.
    """
    counts = confusion.astype(np.float64)
    drawn = counts.sum(axis=1)
    standing = np.arange(len(counts))
    while True:
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
        np.fill_diagonal(share, 0.0)
        one, other = np.unravel_index(np.argmax(share), share.shape)
        if share[one, other] <= merge_above:
            return standing
        one, other = sorted((one, other), key=lambda code: (-drawn[code], code))
        standing[standing == other] = one
        for axis in (0, 1):
            rows = np.moveaxis(counts, axis, 0)
            rows[one] += rows[other]
            rows[other] = 0.0


def _by_group(codes: Int[np.ndarray, "n r t g"]) -> Int[np.ndarray, "g m"]:
    return rearrange(codes, "n r t g -> g (n r t)")
