"""Arrays that lie in memory compressed, row by row: LPC's art takes a twentieth of its size."""

import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Int

_LEVEL = 3  # of deflate: more takes twice the time for a quarter less
_LOOKED_AT = 16  # rows, from which it is guessed what the rest will take
_WORTH_IT = 4.0  # times smaller; footage is hardly smaller at all


class Packed:
    """An array [n ...] whose rows are compressed, each by itself, and unpacked when taken."""

    def __init__(self, array: np.ndarray):
        self._shape, self._dtype = array.shape[1:], array.dtype
        with ThreadPoolExecutor() as threads:  # which compress side by side: no lock is held
            self._rows = list(threads.map(_compress, array))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Int[np.ndarray, "b"]) -> np.ndarray:
        """The rows [b ...], as an array of their own."""
        found = np.empty((len(rows), *self._shape), self._dtype)
        for place, row in zip(found, rows, strict=True):
            flat = np.frombuffer(zlib.decompress(self._rows[row]), self._dtype)
            place[...] = flat.reshape(self._shape)
        return found


def pack(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray | Packed]:
    """Arrays by name, those packed that are much smaller so. Their rows stay what they are."""
    return {key: Packed(x) if _worth_it(x) else x for key, x in arrays.items()}


def _worth_it(array: np.ndarray) -> bool:
    if array.ndim < 4:  # labels
        return False
    looked_at = array[:: max(1, len(array) // _LOOKED_AT)]
    return looked_at.nbytes > _WORTH_IT * sum(len(_compress(row)) for row in looked_at)


def _compress(row: np.ndarray) -> bytes:
    return zlib.compress(row.tobytes(), _LEVEL)
