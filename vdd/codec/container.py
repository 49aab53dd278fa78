"""The file: header, content, chunks; each with a check sum. docs/bitstream.md has the bytes.

Reading never trusts: sizes are bounded before anything is made of them, and what does not check is
passed over, to the next mark.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from vdd.codec.content import TOKENS
from vdd.errors import UserError

MAGIC = b"\xb5VDD"
VERSION = 2
SYNC = b"\xa7\x5c"
MAX_BYTES = 1 << 26
_TRIES = 1 << 14
_MAX_CONTENT = (1 << 16) - 1
MAX_FRAMES = 1 << 16
MAX_CHUNK_FRAMES = 1 << 12
_MAX_STEP_BITS = 12
MAX_CODES = 1 << 16  # codewords of a group
MAX_GROUPS = 1 << 10

_HEADER = struct.Struct("<4sBBBB8s8sIIHHHHH")
_CRC = struct.Struct("<I")
_LENGTH = struct.Struct("<H")


class Header(NamedTuple):
    """What a decoder knows before the first chunk."""

    motion_kind: int  # entropy_model.ADAPTIVE or PRIOR
    content_kind: int  # content.NUMBERS, content.TOKENS or basis.BASIS
    step_bits: int  # of content tokens
    model: bytes  # fingerprint, 8 bytes
    prior: bytes  # fingerprint, 8 bytes
    frames: int
    fps: float
    height: int
    width: int
    num_groups: int
    num_codes: int
    chunk_frames: int  # of all chunks but the last, which may have fewer


class Chunk(NamedTuple):
    """Consecutive frames that can be decoded without the other chunks."""

    index: int  # its first frame is index * chunk_frames
    frames: int
    data: bytes


class Contents(NamedTuple):
    """What was read of a file."""

    header: Header
    content: bytes | None  # None: it does not check
    chunks: list[Chunk]


def header_bytes(header: Header) -> bytes:
    """The header as it is stored, check sum included.

    Raises:
        UserError: sizes that no reader takes.
    """
    _check(header)
    fixed = _HEADER.pack(
        MAGIC,
        VERSION,
        header.motion_kind,
        header.content_kind,
        header.step_bits,
        header.model,
        header.prior,
        header.frames,
        round(header.fps * 1000),
        header.height,
        header.width,
        header.num_groups,
        header.num_codes - 1,
        header.chunk_frames,
    )
    return fixed + _CRC.pack(zlib.crc32(fixed))


def content_bytes(header: bytes, data: bytes) -> bytes:
    """The content as it is stored, after `header`.

    Raises:
        UserError: it is too long.
    """
    if len(data) > _MAX_CONTENT:
        raise UserError(f"the content takes {len(data)} bytes, more than {_MAX_CONTENT}")
    body = _LENGTH.pack(len(data)) + data
    return body + _CRC.pack(zlib.crc32(body, _seed(header)))


def chunk_bytes(header: bytes, chunk: Chunk) -> bytes:
    """A chunk as it is stored in the file of `header`."""
    sizes = (chunk.index, chunk.frames, len(chunk.data))
    body = b"".join(map(_varint, sizes)) + chunk.data
    return SYNC + body + _CRC.pack(zlib.crc32(body, _seed(header)))


def read_header(data: bytes) -> Header:
    """The header of a file.

    Raises:
        UserError: not such a file, another version, or damaged.
    """
    if data[:4] != MAGIC:
        raise UserError("not a vdd clip")
    if len(data) > 4 and data[4] != VERSION:
        raise UserError(f"version {data[4]} of the format; this vdd reads version {VERSION}")
    size = _HEADER.size
    if len(data) < size + _CRC.size:
        raise UserError("the file ends within its header")
    if _CRC.unpack_from(data, size)[0] != zlib.crc32(data[:size]):
        raise UserError("the header is damaged (its check sum is wrong)")
    header = Header(*_HEADER.unpack_from(data)[2:])  # behind the mark and the version
    header = header._replace(fps=header.fps / 1000, num_codes=header.num_codes + 1)
    _check(header)
    return header


def read(data: bytes) -> Contents:
    """Everything in a file that checks.

    Raises:
        UserError: as `read_header`, more frames than this version decodes, or more than a clip.
    """
    header = read_header(data)
    seed, start = zlib.crc32(data[: _HEADER.size]), _HEADER.size + _CRC.size
    content, start = _read_content(data, start, seed)
    found = list(_scan(data, start, seed, header))
    end = found[-1][1] if found else 0
    if end and (found[-1][0].index + 1) * header.chunk_frames >= header.frames and data[end:]:
        raise UserError(f"{len(data) - end} bytes follow the clip's end: not as vdd wrote it")
    return Contents(header, content, [chunk for chunk, _ in found])


def _check(header: Header) -> None:
    most_steps = _MAX_STEP_BITS if header.content_kind == TOKENS else 0  # others have none
    bounds = {
        "motion coded by a model of kind": (header.motion_kind, 0, 1),
        "content coded by a model of kind": (header.content_kind, 0, 2),
        "content steps of 2^-": (header.step_bits, 0, most_steps),
        "frames": (header.frames, 1, MAX_FRAMES),
        "frames a second": (header.fps, 0.1, 240),
        "lines": (header.height, 1, 1 << 13),
        "columns": (header.width, 1, 1 << 13),
        "groups": (header.num_groups, 1, MAX_GROUPS),
        "codewords": (header.num_codes, 2, MAX_CODES),
        "frames in a chunk": (header.chunk_frames, 1, MAX_CHUNK_FRAMES),
    }
    for name, (value, low, high) in bounds.items():
        if not low <= value <= high:
            raise UserError(f"the header says {value:g} {name}, outside of {low:g} to {high:g}")


def _read_content(data: bytes, start: int, seed: int) -> tuple[bytes | None, int]:
    """The content, None if it does not check, and where the chunks begin to be looked for."""
    body = start + _LENGTH.size
    if len(data) < body:
        return None, start
    end = body + _LENGTH.unpack_from(data, start)[0]
    if not _checks(data, start, end, seed):
        return None, start
    return data[body:end], end + _CRC.size


def _scan(data: bytes, start: int, seed: int, header: Header) -> Iterator[tuple[Chunk, int]]:
    """All chunks that check, in the order of their numbers, and where each ends."""
    expected = 0
    # Marks to try and bytes to sum up in vain, so that no file takes for ever. Of random bytes, one
    # in 2^16 begins a mark.
    tries, allowed = _TRIES, 8 * len(data) + (1 << 20)
    while tries > 0 and allowed > 0 and (mark := data.find(SYNC, start)) >= 0:
        start = mark + 1
        found = _parse_chunk(data, mark + len(SYNC), header)
        if found is None:
            tries -= 1
            continue
        chunk, end = found
        if chunk.index < expected or not _checks(data, mark + len(SYNC), end, seed):
            tries, allowed = tries - 1, allowed - (end - mark)
            continue
        expected, start = chunk.index + 1, end + _CRC.size
        yield chunk, start


def _parse_chunk(data: bytes, start: int, header: Header) -> tuple[Chunk, int] | None:
    """What may be a chunk, and where its check sum is; None if no encoder writes such a one."""
    sizes = []
    for _ in range(3):
        value, start = _read_varint(data, start)
        if value is None:
            return None
        sizes.append(value)
    index, frames, length = sizes
    end = start + length
    # 24 bits a code at most, and the code's own end.
    largest = 3 * frames * header.num_groups + 8
    if length > largest or end + _CRC.size > len(data):
        return None
    whole = header.chunk_frames
    if not 0 < frames == min(whole, header.frames - index * whole):
        return None
    return Chunk(index, frames, data[start:end]), end


def _checks(data: bytes, start: int, end: int, seed: int) -> bool:
    if end + _CRC.size > len(data):
        return False
    return zlib.crc32(data[start:end], seed) == _CRC.unpack_from(data, end)[0]


def _seed(header: bytes) -> int:
    """Check sums begin with the header's, so that parts of another file do not pass."""
    return _CRC.unpack_from(header, _HEADER.size)[0]


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the top bit says that more follow (LEB128)."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _read_varint(data: bytes, start: int) -> tuple[int | None, int]:
    """A number of at most four bytes, and where it ends; None if there is none."""
    value = 0
    for i, byte in enumerate(data[start : start + 4]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return (value if byte or i == 0 else None), start + i + 1
    return None, start
