"""Motion codes as bytes and back, and how many bits they take."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from einops import rearrange
from jaxtyping import Int

from vdd.codec.entropy_model import EntropyModel
from vdd.codec.range_coder import PRECISION, Code, RangeDecoder, RangeEncoder
from vdd.errors import UserError


class CodedBits(NamedTuple):
    """What a set of clips takes in the file's own code, headers apart; all are totals."""

    clip_bits: int  # each clip a code of its own, that ends where it ends
    clip_bytes: int  # the same as chunks hold it: whole bytes, their number told beside them
    stream_bits: int  # all clips in one code; the model still starts anew at each
    ideal_bits: float  # what their frequencies say: -log2 of each
    num_frames: int


def encode_chunks(model: EntropyModel, chunks: Sequence[Int[np.ndarray, "t n"]]) -> list[Code]:
    """Codes of chunks [t n] of any lengths, each decodable without the others."""
    encoders = [RangeEncoder() for _ in chunks]
    for encoder, intervals in zip(encoders, _intervals(model, chunks), strict=True):
        for start, size in intervals.tolist():
            encoder.encode(start, size)
    return [encoder.finish() for encoder in encoders]


def decode_chunks(
    model: EntropyModel, codes: Sequence[bytes], lengths: Sequence[int]
) -> list[Int[np.ndarray, "t n"] | None]:
    """Chunks of so many frames each; None where no encoder writes such data."""
    symbols = [length * model.num_groups for length in lengths]
    decoders = [RangeDecoder(*pair) for pair in zip(codes, symbols, strict=True)]
    decoded = np.zeros((len(symbols), max(symbols, default=0)), np.int64)
    failed: set[int] = set()
    state = model.start(len(symbols))
    for i in range(decoded.shape[1]):
        # A chunk that has ended, or broken, goes on with zeros, which nobody reads.
        for row, frequencies in enumerate(state.frequencies()):
            if i < symbols[row] and row not in failed:
                try:
                    decoded[row, i] = decoders[row].decode(frequencies)
                except UserError:
                    failed.add(row)
        state.push(decoded[:, i])
    return [
        None
        if row in failed
        else rearrange(decoded[row, :count], "(t n) -> t n", n=model.num_groups)
        for row, count in enumerate(symbols)
    ]


def coded_bits(model: EntropyModel, codes: Int[np.ndarray, "b t n"]) -> CodedBits:
    """What motion codes of clips take in the file, without writing one.

    `clip_bits / num_frames` are the bits a frame of clips that are sent one by one; an end costs
    up to 2 bits a clip, which `stream_bits` shares among all.
    """
    encoders, stream, ideal = [], RangeEncoder(), 0.0
    for intervals in _intervals(model, list(codes)):
        encoders.append(RangeEncoder())
        for start, size in intervals.tolist():
            encoders[-1].encode(start, size)
            stream.encode(start, size)
        ideal += float(np.sum(PRECISION - np.log2(intervals[:, 1])))
    parts = [encoder.finish() for encoder in encoders]
    return CodedBits(
        clip_bits=sum(part.bits for part in parts),
        clip_bytes=sum(len(part.data) for part in parts),
        stream_bits=stream.finish().bits,
        ideal_bits=ideal,
        num_frames=codes.shape[0] * codes.shape[1],
    )


def _intervals(
    model: EntropyModel, chunks: Sequence[Int[np.ndarray, "t n"]]
) -> list[Int[np.ndarray, "tn 2"]]:
    """Start and size of the interval of each code, chunk by chunk."""
    rows = [np.asarray(chunk, np.int64).reshape(-1) for chunk in chunks]
    longest = max((len(row) for row in rows), default=0)
    padded = np.zeros((len(rows), longest), np.int64)
    for row, codes in enumerate(rows):
        padded[row, : len(codes)] = codes
    intervals = np.zeros((len(rows), longest, 2), np.int64)
    state = model.start(len(rows))
    for i in range(longest):
        frequencies, code = state.frequencies(), padded[:, i : i + 1]
        ends = np.take_along_axis(np.cumsum(frequencies, axis=1), code, axis=1)
        sizes = np.take_along_axis(frequencies, code, axis=1)
        intervals[:, i] = np.concatenate([ends - sizes, sizes], axis=1)
        state.push(code[:, 0])
    return [interval[: len(row)] for interval, row in zip(intervals, rows)]
