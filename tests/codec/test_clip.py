"""Files of motion codes: round trips, lost chunks, hostile headers."""

import re
import struct
import zlib

import clips
import numpy as np
import pytest

from vdd.codec import container
from vdd.codec.clip import read_motion
from vdd.codec.entropy_model import Adaptive
from vdd.codec.motion import coded_bits, decode_chunks, encode_chunks
from vdd.codec.range_coder import TOTAL
from vdd.errors import UserError


def read(data):
    return read_motion(container.read(data), clips.MODEL)


@pytest.mark.parametrize("frames", [1, 3, 4, 5, 8, 270])
def test_codes_header_and_content_come_back(frames):
    codes = clips.random_codes(frames)
    data = clips.write(codes)
    contents = container.read(data)
    assert contents.header == clips.header(frames=frames)
    assert contents.content == clips.CONTENT
    assert [chunk.frames for chunk in contents.chunks[:-1]] == [4] * ((frames - 1) // 4)
    motion = read(data)
    np.testing.assert_array_equal(motion.codes, codes)
    assert motion.lost == []


def test_the_bytes_are_those_of_the_specification():
    data = clips.write(clips.random_codes(2))
    fixed = bytes.fromhex("b5564444 02 00 00 00") + b"ablenerc" + bytes(8)
    fixed += struct.pack("<IIHHHHH", 2, 29970, 16, 16, 2, 7, 4)
    content = struct.pack("<H", 6) + b"a face"
    code = encode_chunks(clips.MODEL, [clips.random_codes(2)])[0].data
    chunk = bytes([0, 2, len(code)]) + code
    crc = [struct.pack("<I", zlib.crc32(x)) for x in (fixed, fixed + content, fixed + chunk)]
    assert data == fixed + crc[0] + content + crc[1] + b"\xa7\x5c" + chunk + crc[2]


def test_other_frames_than_announced_are_a_bug_of_the_caller():
    with pytest.raises(ValueError, match="11 frames, the header says 12"):
        clips.write(clips.random_codes(11), frames=12)


def test_no_more_frames_are_written_than_are_read(monkeypatch):
    monkeypatch.setattr(container, "MAX_FRAMES", 11)
    assert len(read(clips.write(clips.random_codes(11))).codes) == 11
    with pytest.raises(UserError, match="12 frames, outside of 1 to 11"):
        clips.write(clips.random_codes(12))


def test_chunks_of_no_frames_are_none():
    data = clips.write(clips.random_codes(8))
    none = container.chunk_bytes(data[:46], container.Chunk(2, 0, b""))
    second = data.rindex(container.SYNC)
    read_back = container.read(data[:second] + none + data[second:])
    assert [chunk.index for chunk in read_back.chunks] == [0, 1]


def test_what_follows_the_end_of_a_clip_is_refused():
    data = clips.write(clips.random_codes(8))
    for more in (b"\0", b"a note", data):
        with pytest.raises(UserError, match=f"^{len(more)} bytes follow the clip's end"):
            container.read(data + more)
    # Where the last chunk is lost nobody knows where the end is.
    assert len(container.read(data[:-1] + b"?").chunks) == 1


def test_a_lost_chunk_costs_its_own_frames_and_is_told():
    codes = clips.random_codes(11)
    data = clips.write(codes)
    starts = [*clips.offsets(data), len(data)]
    for lost, frames in ((0, (0, 3)), (1, (4, 7)), (2, (8, 10))):
        held = codes.copy()
        held[slice(frames[0], frames[1] + 1)] = codes[4] if lost == 0 else codes[frames[0] - 1]
        hurt = bytearray(data)
        hurt[starts[lost] + 6] ^= 0x10
        for damaged in (bytes(hurt), data[: starts[lost]] + data[starts[lost + 1] :]):
            motion = read(damaged)
            assert motion.lost == [frames]
            np.testing.assert_array_equal(motion.codes, held)


def test_a_file_that_ends_too_soon_holds_the_last_pose():
    codes = clips.random_codes(11)
    data = clips.write(codes)
    motion = read(data[: clips.offsets(data)[1] + 5])
    assert motion.lost == [(4, 10)]
    np.testing.assert_array_equal(motion.codes[4:], np.repeat(codes[3:4], 7, axis=0))
    with pytest.raises(UserError, match="no chunk"):
        read(data[: clips.offsets(data)[0] + 5])


def test_chunks_of_another_file_and_repeated_ones_are_not_taken():
    codes, other = clips.random_codes(11), clips.random_codes(11, seed=1)
    data, strange = clips.write(codes), clips.write(other, model=b"another.")
    start = clips.offsets(data)[1]
    twice = data[:start] + data[clips.offsets(data)[0] :]
    np.testing.assert_array_equal(read(twice).codes, codes)
    motion = read(data[:start] + strange[clips.offsets(strange)[1] :])
    assert motion.lost == [(4, 10)]


def test_damaged_content_leaves_motion():
    data = bytearray(clips.write(clips.random_codes(11)))
    for place, flip in ((52, 1), (46, 0x40), (47, 0xFF)):  # content itself, and its length
        hurt = bytearray(data)
        hurt[place] ^= flip
        contents = container.read(bytes(hurt))
        assert contents.content is None
        motion = read_motion(contents, clips.MODEL)
        np.testing.assert_array_equal(motion.codes, clips.random_codes(11))


def resealed(data: bytes, place: int, value: bytes) -> bytes:
    """A file with other bytes in its header, and a check sum that says all is well."""
    fixed = bytearray(data[:42])
    fixed[place : place + len(value)] = value
    return bytes(fixed) + struct.pack("<I", zlib.crc32(fixed)) + data[46:]


def test_hostile_headers_are_one_clear_error():
    data = clips.write(clips.random_codes(11))
    for broken, words in {
        b"": "not a vdd clip",
        b"GIF89a": "not a vdd clip",
        data[:30]: "ends within its header",
        data[:20] + b"!" + data[21:]: "the header is damaged",
        data[:4] + b"\x03" + data[5:]: "version 3 of the format; this vdd reads version 2",
        resealed(data, 24, b"\xff\xff\xff\xff"): "4.29497e+09 frames, outside of 1 to 65536",
        resealed(data, 24, bytes(4)): "0 frames, outside of 1 to 65536",
        resealed(data, 40, b"\xff\xff"): "65535 frames in a chunk",
        resealed(data, 40, b"\x00\x00"): "0 frames in a chunk",
        resealed(data, 36, b"\x00\x00"): "0 groups",
        resealed(data, 28, b"\x00\x00\x00\x00"): "0 frames a second",
        resealed(data, 32, b"\xff\xff"): "65535 lines",
        resealed(data, 5, b"\x09"): "9",
        resealed(data, 7, b"\x04"): "4 content steps of 2^-, outside of 0 to 0",
        resealed(data, 6, b"\x02\x04"): "4 content steps of 2^-, outside of 0 to 0",
        resealed(data, 6, b"\x03"): "3 content coded by a model of kind, outside of 0 to 2",
        resealed(data, 6, b"\x01\x0d"): "13 content steps of 2^-, outside of 0 to 12",
    }.items():
        with pytest.raises(UserError, match=re.escape(words)):
            container.read(broken)
    # A huge clip that is not there costs nothing but its held frames, and is refused without one.
    with pytest.raises(UserError, match="no chunk"):
        read(resealed(data, 24, struct.pack("<I", 65536)))
    other = Adaptive(np.ones((2, 9), np.int64))
    with pytest.raises(UserError, match="2 groups of 8 codes, the model 2 of 9"):
        read_motion(container.read(data), other)
    with pytest.raises(UserError, match=r"with the prior 7072696f.*, not with no prior"):
        read(resealed(data, 16, b"prior..."))


def test_marks_without_chunks_are_passed_over_but_not_for_ever():
    data = clips.write(clips.random_codes(4))
    head, chunk = data[: clips.offsets(data)[0]], data[clips.offsets(data)[0] :]
    for nearly in (container.SYNC, chunk[:-1] + b"?"):
        assert len(container.read(head + 1000 * nearly + chunk).chunks) == 1
        assert container.read(head + 40_000 * nearly + chunk).chunks == []


def test_chunks_of_any_lengths_side_by_side_are_coded_as_alone():
    parts = [clips.random_codes(frames, seed=frames) for frames in (5, 1, 9, 5)]
    together = encode_chunks(clips.MODEL, parts)
    assert together == [encode_chunks(clips.MODEL, [part])[0] for part in parts]
    codes = [code.data for code in together]
    decoded = decode_chunks(clips.MODEL, [*codes, b"\xff" * 30], [5, 1, 9, 5, 5])
    for part, back in zip(parts, decoded):
        np.testing.assert_array_equal(back, part)
    alone = [decode_chunks(clips.MODEL, [c], [len(p)])[0] for c, p in zip(codes, parts)]
    np.testing.assert_array_equal(alone[2], parts[2])


def test_counting_makes_what_repeats_cheap_and_leaves_out_what_cannot_be():
    sent = np.ones((1, 16), np.int64)
    sent[0, 4:] = 0
    rng = np.random.default_rng(0)
    varied, still = rng.integers(0, 4, (1, 200, 1)), np.full((1, 200, 1), 2)
    model = Adaptive(sent)
    assert coded_bits(model, varied).clip_bits < 200 * 2.1
    assert coded_bits(model, still).clip_bits < 30
    assert (model.start(3).frequencies()[:, 4:] == 1).all()
    assert model.start(3).frequencies().sum(1).tolist() == [TOTAL] * 3


def test_coded_bits_are_those_of_the_files():
    codes = np.stack([clips.random_codes(8, seed) for seed in range(20)])
    bits = coded_bits(clips.MODEL, codes)
    chunks = encode_chunks(clips.MODEL, list(codes))
    assert bits.clip_bits == sum(chunk.bits for chunk in chunks)
    assert bits.clip_bytes == sum(len(chunk.data) for chunk in chunks)
    assert bits.num_frames == 160
    assert bits.ideal_bits <= bits.stream_bits <= bits.ideal_bits + 3
    assert bits.ideal_bits <= bits.clip_bits <= bits.ideal_bits + 20 * 2
