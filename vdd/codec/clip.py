"""A clip's codes as a file, chunk by chunk; and what a damaged file still holds."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from vdd.codec import container
from vdd.codec.container import Chunk, Contents, Header
from vdd.codec.entropy_model import EntropyModel
from vdd.codec.motion import decode_chunks, encode_chunks
from vdd.errors import UserError

_AT_ONCE = 64  # chunks that are coded side by side


def write(
    header: Header, content: bytes, codes: Int[np.ndarray, "t n"], model: EntropyModel
) -> bytes:
    """The bytes of a file.

    Raises:
        UserError: sizes that no reader takes.
        ValueError: there are other frames than the header says.
    """
    if len(codes) != header.frames:
        raise ValueError(f"{len(codes)} frames, the header says {header.frames}")
    stored, size = container.header_bytes(header), header.chunk_frames
    parts = [stored, container.content_bytes(stored, content)]
    pieces = [codes[i : i + size] for i in range(0, len(codes), size)]
    for first in range(0, len(pieces), _AT_ONCE):
        batch = pieces[first : first + _AT_ONCE]
        for index, (piece, code) in enumerate(zip(batch, encode_chunks(model, batch)), first):
            parts.append(container.chunk_bytes(stored, Chunk(index, len(piece), code.data)))
    return b"".join(parts)


class Motion(NamedTuple):
    """The motion codes of a file."""

    codes: Int[np.ndarray, "t n"]
    lost: list[tuple[int, int]]  # first frame and last of what was lost, and holds the pose before


def read_motion(contents: Contents, model: EntropyModel) -> Motion:
    """Decode all chunks that there are; lost frames hold the last good pose, or await the first.

    Raises:
        UserError: no frame is left, or the file is of another model.
    """
    header = contents.header
    check_model(header, model)
    codes = np.zeros((header.frames, model.num_groups), np.int64)
    good = np.zeros(header.frames, bool)
    for chunk, decoded in _decode(contents.chunks, model):
        first = chunk.index * header.chunk_frames
        frames = slice(first, first + chunk.frames)
        codes[frames], good[frames] = decoded, True
    if not good.any():
        raise UserError("no chunk of motion can be read")
    latest = np.maximum.accumulate(np.where(good, np.arange(len(good)), -1))
    held = np.where(latest < 0, np.argmax(good), latest)
    return Motion(codes[held], _ranges(~good))


def check_model(header: Header, model: EntropyModel) -> None:
    """Raise a UserError if the motion in a file is not coded by this model."""
    if (header.motion_kind, header.prior) != (model.kind, model.fingerprint):
        wanted, given = (
            "no prior" if fingerprint == bytes(8) else f"the prior {fingerprint.hex()}"
            for fingerprint in (header.prior, model.fingerprint)
        )
        raise UserError(f"was encoded with {wanted}, not with {given}")
    sizes = (header.num_groups, header.num_codes)
    if sizes != (model.num_groups, model.num_codes):
        n, k = sizes
        raise UserError(
            f"has {n} groups of {k} codes, the model {model.num_groups} of {model.num_codes}"
        )


def _decode(
    chunks: list[Chunk], model: EntropyModel
) -> Iterator[tuple[Chunk, Int[np.ndarray, "t n"]]]:
    for first in range(0, len(chunks), _AT_ONCE):
        batch = chunks[first : first + _AT_ONCE]
        decoded = decode_chunks(
            model, [chunk.data for chunk in batch], [chunk.frames for chunk in batch]
        )
        for chunk, codes in zip(batch, decoded):
            if codes is not None:
                yield chunk, codes


def _ranges(flags: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.pad(flags.astype(int), 1)))
    return [(int(first), int(end) - 1) for first, end in zip(edges[::2], edges[1::2])]
