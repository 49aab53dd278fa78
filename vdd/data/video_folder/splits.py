"""Which clips are for training, validation and test."""

import hashlib
from collections.abc import Iterable, Mapping

from vdd.errors import UserError

SPLITS = ("train", "validation", "test")


def assign(groups: Iterable[str], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """The split of each group (an identity or a clip), the same for the same groups and seed.

    Groups are put in an order that follows from the seed and from their own names, and the first
    are test, the next validation, all others train. A split whose fraction is not 0 has at least
    one group as long as train has one too.

    Args:
      groups: names; repeated ones are one group.
      shares: for "validation" and "test", from 0 to less than 1.
      seed: another seed gives another order.

    Raises:
      UserError: the fractions leave nothing to train on.
    """
    if not all(0 <= share < 1 for share in shares.values()) or sum(shares.values()) >= 1:
        raise UserError("--validation and --test are fractions from 0 to 1, together less than 1")
    names = sorted(set(groups), key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    split_of = dict.fromkeys(names, "train")
    position = 0
    for split in ("test", "validation"):
        wanted = max(round(shares[split] * len(names)), 1) if shares[split] else 0
        taken = names[position : min(position + wanted, len(names) - 1)]
        split_of.update(dict.fromkeys(taken, split))
        position += len(taken)
    return split_of
