"""Small files of motion codes, for the tests of the container and of what damages it."""

import numpy as np

from vdd.codec import container
from vdd.codec.clip import write as write_codes
from vdd.codec.entropy_model import Adaptive

GROUPS, CODES = 2, 8
MODEL = Adaptive(np.ones((GROUPS, CODES), np.int64))
CONTENT = b"a face"


def header(**changes) -> container.Header:
    values = {
        "motion_kind": 0, "content_kind": 0, "step_bits": 0, "model": b"ablenerc",
        "prior": bytes(8), "frames": 11, "fps": 29.97, "height": 16, "width": 16,
        "num_groups": GROUPS, "num_codes": CODES, "chunk_frames": 4,
    }  # fmt: skip
    return container.Header(**{**values, **changes})


def random_codes(frames: int = 11, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, CODES, (frames, GROUPS))


def write(codes: np.ndarray, **changes) -> bytes:
    """A file of codes in chunks of four."""
    return write_codes(header(frames=len(codes))._replace(**changes), CONTENT, codes, MODEL)


def offsets(data: bytes) -> list[int]:
    """Where the chunks of a whole file begin."""
    found, place = [], data.find(container.SYNC)
    while place >= 0:
        found.append(place)
        place = data.find(container.SYNC, place + 1)
    return found
