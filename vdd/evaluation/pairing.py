"""Which clip lends its motion to which."""

import numpy as np
from jaxtyping import Bool, Float, Int

_ATTEMPTS = 1000
_SURE = 1e-3  # seconds: times of windows are float32, and no frame is as short


def pair_clips(
    motion: Int[np.ndarray, "n"], attributes: Int[np.ndarray, "n 4"], seed: int
) -> Int[np.ndarray, "n"]:
    """For each clip as content the clip that it takes its motion from: another character's, unlike.

    Every clip is the content of one pair and the motion of one pair. The result is a function of
    the arguments alone.

    Raises:
      ValueError: no such pairing was found: nearly all clips share a motion or a character.
    """
    order = np.random.default_rng(seed)
    character = np.unique(attributes, axis=0, return_inverse=True)[1].ravel()
    partner = order.permutation(len(motion))
    for _ in range(_ATTEMPTS):
        clash = (motion == motion[partner]) | (character == character[partner])
        clashing = np.flatnonzero(clash)
        if not clashing.size:
            return partner
        # A clash is mended by changing partners with anyone, where that makes no pair worse.
        for one, other in zip(clashing, order.integers(len(motion), size=clashing.size)):
            pair, changed = np.array([one, other]), partner[[other, one]]
            after = (motion[pair] == motion[changed]) | (character[pair] == character[changed])
            if after.sum() <= clash[pair].sum():
                partner[pair], clash[pair] = changed, after
    raise ValueError("found no pairing of clips with unlike characters and motions")


def pair_within(
    group: Int[np.ndarray, "n"],
    start: Float[np.ndarray, "n"],
    end: Float[np.ndarray, "n"],
    seed: int,
) -> Int[np.ndarray, "n"]:
    """For each window another one of its group that shows another time, by the seed.

    -1 where there is none, or all of them are taken: every window is chosen once at most, and as
    many are as can be. `group` is the clip that each window is of, `start` and `end` are seconds.
    """
    partner = np.full(len(group), -1)
    for rows in _groups(group, seed):
        before = end[rows, None] < start[None, rows] + _SURE
        partner[rows] = _matched(before | before.T, rows)
    return partner


def _matched(allowed: Bool[np.ndarray, "n n"], rows: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """For each of `rows` one that it may have, each once at most; -1: none (Kuhn's matching)."""
    taken_by: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for other in map(int, np.flatnonzero(allowed[row])):
            if other not in tried:
                tried.add(other)
                if other not in taken_by or place(taken_by[other], tried):
                    taken_by[other] = row
                    return True
        return False

    for row in range(len(rows)):
        place(row, set())
    partner = np.full(len(rows), -1)
    for other, row in taken_by.items():
        partner[row] = rows[other]
    return partner


def pair_across(group: Int[np.ndarray, "n"], seed: int) -> Int[np.ndarray, "n"]:
    """For each window one of another group, by the seed; -1 where all are of one group.

    Every window is chosen once where no group has more than half of them; else those of the large
    group come once, and the others as often as that takes. `group` is whose each window is.
    """
    partner, groups = np.full(len(group), -1), _groups(group, seed)
    largest = max((len(rows) for rows in groups), default=0)
    if len(groups) < 2:
        return partner
    if 2 * largest <= len(group):
        # In an order group by group, going on by the size of the largest leads out of any group.
        order = np.concatenate(groups)
        partner[order] = np.roll(order, -largest)
        return partner
    large = max(groups, key=len)
    others = np.concatenate([rows for rows in groups if rows is not large])
    partner[large] = np.resize(others, largest)
    partner[others] = large[: len(others)]
    return partner


def _groups(group: Int[np.ndarray, "n"], seed: int) -> list[Int[np.ndarray, "_"]]:
    """The rows of each group, groups and rows in a random order."""
    order = np.random.default_rng(seed)
    labels = order.permutation(np.unique(group))
    return [order.permutation(np.flatnonzero(group == label)) for label in labels]


def matching_rows(
    motion: Int[np.ndarray, "n"],
    attributes: Int[np.ndarray, "n 4"],
    content: Int[np.ndarray, "m"],
    partner: Int[np.ndarray, "m"],
) -> Int[np.ndarray, "m"]:
    """The real clip that each swap ought to give: the content's character in the other's motion.

    Sprites has it for every swap; -1 where the clips at hand do not.
    """
    place = {(*row, label): i for i, (row, label) in enumerate(zip(attributes.tolist(), motion))}
    wanted = zip(attributes[content].tolist(), motion[partner])
    return np.array([place.get((*row, label), -1) for row, label in wanted])
