"""What do the codes of a frame say of its cell, and do two people in one cell get the same?"""

import numpy as np
from einops import rearrange
from jaxtyping import Int

from vdd.values import Figures


def section(
    codes: Int[np.ndarray, "b t n"],
    cell: Int[np.ndarray, "b t"],
    parts: Int[np.ndarray, "b s"],
    seed: int = 0,
) -> Figures:
    """Of the codes of clips, with the cell of every frame and what its character wears.

    Returns:
      `joint_bits`: the entropy of the tuple of n codes, bits a frame; `cell_bits`: that of the
      cell; `information_bits`: their mutual information. All are corrected for their few frames
      (Miller 1955), which is not enough where tuples hardly recur: `information_chance` is what is
      found between the cells and the codes of other frames, shuffled by the seed. `same_code`: of
      the pairs of frames of different characters in the same cell the fraction that has the same
      tuple; `same_code_chance`: the same in any two cells. None where there is no such pair.
    """
    frames = np.unique(rearrange(codes, "c t n -> (c t) n"), axis=0, return_inverse=True)[1].ravel()
    cells = cell.ravel()
    person = np.unique(parts, axis=0, return_inverse=True)[1].ravel().repeat(codes.shape[1])
    shuffled = np.random.default_rng(seed).permutation(frames)
    code_bits, cell_bits = _bits(frames), _bits(cells)
    return {
        "joint_bits": code_bits,
        "cell_bits": cell_bits,
        "information_bits": code_bits + cell_bits - _bits(frames, cells),
        "information_chance": code_bits + cell_bits - _bits(shuffled, cells),
        "same_code": _share(_strangers(person, cells, frames), _strangers(person, cells)),
        "same_code_chance": _share(_strangers(person, frames), _strangers(person)),
    }


def _bits(*labels: Int[np.ndarray, "m"]) -> float:
    """Entropy of the labels of frames together, with Miller's correction."""
    counts = _counts(*labels)
    share = counts / counts.sum()
    corrected = -np.sum(share * np.log(share)) + (len(counts) - 1) / (2 * counts.sum())
    return float(corrected / np.log(2))


def _counts(*labels: Int[np.ndarray, "m"]) -> Int[np.ndarray, "k"]:
    """How often each combination of labels comes up."""
    return np.unique(np.stack(labels), axis=1, return_counts=True)[1]


def _strangers(person: Int[np.ndarray, "m"], *labels: Int[np.ndarray, "m"]) -> int:
    """Pairs of frames of different characters in which all labels are the same."""
    alike = labels or (np.zeros_like(person),)
    return _pairs(_counts(*alike)) - _pairs(_counts(*alike, person))


def _pairs(counts: Int[np.ndarray, "k"]) -> int:
    return int(np.sum(counts.astype(np.int64) * (counts - 1)) // 2)


def _share(some: int, total: int) -> float | None:
    return some / total if total else None
