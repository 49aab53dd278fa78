"""A clip's codes as a file, chunk by chunk as they come; and what a damaged file still holds."""

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


class ClipWriter:
    """Gives the bytes of a file as frames come; `start`, any number of `push`, then `finish`."""

    def __init__(self, header: Header, content: bytes, model: EntropyModel):
        """With `header.frames` of 0 the file tells their number at its end."""
        self._header, self._content, self._model = header, content, model
        self._stored = container.header_bytes(header)
        self._waiting = np.zeros((0, header.num_groups), np.int64)
        self._chunks = self._frames = self._pushed = 0

    def start(self) -> bytes:
        """Header and content, to be sent before any frame."""
        return self._stored + container.content_bytes(self._stored, self._content)

    def push(self, codes: Int[np.ndarray, "t n"]) -> bytes:
        """The chunks that these frames complete, if any.

        Raises:
            UserError: these are more frames than a file holds.
        """
        self._pushed += len(codes)
        if self._pushed > container.MAX_FRAMES:
            raise UserError(f"more than {container.MAX_FRAMES} frames do not fit a file")
        self._waiting = np.concatenate([self._waiting, codes])
        whole = len(self._waiting) // self._header.chunk_frames * self._header.chunk_frames
        ready, self._waiting = self._waiting[:whole], self._waiting[whole:]
        return self._write(ready)

    def finish(self) -> bytes:
        """The last chunk, and the end mark where the header has no number of frames.

        Raises:
            ValueError: other frames were pushed than the header says, or none.
        """
        data = self._write(self._waiting)
        if self._frames != (self._header.frames or self._frames) or not self._frames:
            raise ValueError(f"{self._frames} frames, the header says {self._header.frames}")
        if self._header.frames:
            return data
        return data + container.end_bytes(self._stored, self._chunks, self._frames)

    def _write(self, codes: Int[np.ndarray, "t n"]) -> bytes:
        size, parts = self._header.chunk_frames, []
        pieces = [codes[i : i + size] for i in range(0, len(codes), size)]
        for first in range(0, len(pieces), _AT_ONCE):
            batch = pieces[first : first + _AT_ONCE]
            for piece, code in zip(batch, encode_chunks(self._model, batch)):
                chunk = Chunk(self._chunks, len(piece), code.data)
                parts.append(container.chunk_bytes(self._stored, chunk))
                self._chunks += 1
                self._frames += len(piece)
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
    check_model(contents.header, model)
    codes = np.zeros((contents.frames, model.num_groups), np.int64)
    good = np.zeros(contents.frames, bool)
    for chunk, decoded in _decode(contents.chunks, model):
        first = chunk.index * contents.header.chunk_frames
        frames = slice(first, min(first + chunk.frames, contents.frames))
        codes[frames], good[frames] = decoded[: frames.stop - first], True
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
