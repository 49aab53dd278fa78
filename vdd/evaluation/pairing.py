"""Which clip lends its motion to which in the swap protocol."""

import numpy as np
from jaxtyping import Int

_ATTEMPTS = 1000


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
