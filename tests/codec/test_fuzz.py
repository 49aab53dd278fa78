"""Whatever is done to a file, reading it ends in codes or in one clear line.

VDD_FUZZ=N asks for N damaged files instead of 500 (10,000 and more at night).
"""

import os

import clips
import numpy as np
import pytest

from vdd.codec import container
from vdd.codec.clip import read_motion
from vdd.errors import UserError

COUNT = int(os.environ.get("VDD_FUZZ", "500"))
FRAMES = 11


def flip_bits(rng, data):
    hurt = bytearray(data)
    for place in rng.integers(0, len(data), rng.integers(1, 9)):
        hurt[place] ^= 1 << rng.integers(8)
    return bytes(hurt)


def truncate(rng, data):
    return data[: rng.integers(0, len(data))]


def overwrite(rng, data):
    start = int(rng.integers(0, len(data)))
    patch = rng.bytes(int(rng.integers(1, 40)))
    return data[:start] + patch + data[start + len(patch) :]


def cut_out(rng, data):
    first, last = sorted(rng.integers(0, len(data), 2))
    return data[:first] + data[last:]


def repeat(rng, data):
    first, last = sorted(rng.integers(0, len(data), 2))
    return data[:last] + data[first:]


def invent(rng, data):
    return data[: rng.integers(0, 60)] + rng.bytes(int(rng.integers(0, 400)))


def reseal(rng, data):
    """A header, or a chunk, of random sizes that its check sum vouches for."""
    if rng.random() < 0.5:
        fixed = flip_bits(rng, data[:42])
        return fixed + container._CRC.pack(container.zlib.crc32(fixed)) + data[46:]
    sizes = rng.integers(0, [4, 6, 40])
    chunk = container.Chunk(int(sizes[0]), int(sizes[1]), rng.bytes(int(sizes[2])))
    start = clips.offsets(data)[rng.integers(0, 3)]
    return data[:start] + container.chunk_bytes(data[:46], chunk) + data[start:]


DAMAGES = (flip_bits, truncate, overwrite, cut_out, repeat, invent, reseal)


@pytest.mark.fuzz
def test_damaged_files_are_read_or_refused():
    rng = np.random.default_rng(int(os.environ.get("VDD_FUZZ_SEED", "0")))
    codes = clips.random_codes(FRAMES)
    whole = clips.write(codes)
    outcomes = {"whole": 0, "held": 0, "refused": 0}
    for i in range(COUNT):
        damage = DAMAGES[i % len(DAMAGES)]
        data = damage(rng, whole)
        try:
            contents = container.read(data)
            motion = read_motion(contents, clips.MODEL)
        except UserError:
            outcomes["refused"] += 1
        else:
            check(codes, contents, motion, vouched_for=damage is reseal)
            outcomes["held" if motion.lost else "whole"] += 1
    assert min(outcomes.values()) > COUNT // 50, outcomes


def check(codes, contents, motion, vouched_for):
    """Frames that are not reported lost are right, as far as check sums can tell."""
    assert motion.codes.shape == (contents.header.frames, clips.GROUPS)
    assert motion.codes.min() >= 0
    assert motion.codes.max() < clips.CODES
    if vouched_for:
        return
    good = np.ones(contents.header.frames, bool)
    for first, last in motion.lost:
        good[first : last + 1] = False
    np.testing.assert_array_equal(motion.codes[good], codes[: contents.header.frames][good])
    if contents.content is not None:
        assert contents.content == clips.CONTENT
