"""Is a look carried over that no training clip showed? Characters beside their twins.

A character of one to three new parts has a twin that wears known parts in their place. Both play
the same script, and are driven by the same clip. What is drawn of the new one ought to be nearer to
its own truth than to the twin's. Who wears something else than either can be nearer to the new
truth by chance: the twin's results say how often, which is the floor.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from vdd.data.universal_lpc import SLOTS, Clips, Wardrobe
from vdd.evaluation.inference import (
    Content,
    Encoded,
    Functions,
    batches,
    clip_keys,
    encode_clips,
    padded,
)
from vdd.evaluation.universal_lpc.ground import on_grey
from vdd.evaluation.universal_lpc.parts import Draw, advantage, sex_of

NUM_PAIRS = 160

Video = UInt8[np.ndarray, "t h w c"]


class Pairs(NamedTuple):
    """Characters with new parts, and their twins."""

    rows: Int[np.ndarray, "m"]  # of the clips whose characters are new
    twins: Int[np.ndarray, "m s"]


def twin(
    wardrobe: Wardrobe, character: Int[np.ndarray, "s"], seed: int
) -> Int[np.ndarray, "s"] | None:
    """The character with every held-out part exchanged for a known one of slot and sex.

    Drawn by the seed and the character. None where it wears nothing new, or there is nothing known.
    """
    rng = np.random.default_rng((seed, *(character + 1).tolist()))
    sex, found = sex_of(wardrobe, character), character.copy()
    for at, (slot, worn) in enumerate(zip(SLOTS, character.tolist())):
        if worn >= 0 and wardrobe.parts[slot][worn].held_out:
            known = wardrobe.choices(sex, slot)
            if not len(known):
                return None
            found[at] = rng.choice(known)
    return None if np.array_equal(found, character) else found


def choose(
    wardrobe: Wardrobe,
    draw: Draw,
    clips: Clips,
    partner: Int[np.ndarray, "n"],
    seed: int,
    count: int = NUM_PAIRS,
) -> Pairs:
    """The first clips of new characters whose new parts can be seen, `count` at most.

    They can be seen where the twin looks otherwise both in the clip itself and in the cells of the
    clip that drives it, `partner`.
    """
    rows, twins = [], []
    for row, character in enumerate(clips.parts):
        other = twin(wardrobe, character, seed)
        if len(rows) < count and other is not None:
            cells = clips.cell[row], clips.cell[partner[row]]
            if all(np.any(draw(character, c) != draw(other, c)) for c in cells):
                rows.append(row)
                twins.append(other)
    shape = (len(rows), clips.parts.shape[1])
    return Pairs(np.array(rows, np.int64), np.array(twins, np.int32).reshape(shape))


def measure(
    functions: Functions,
    encoded: Encoded,
    clips: Clips,
    partner: Int[np.ndarray, "n"],
    pairs: Pairs,
    draw: Draw,
    seed: int,
    stream: int,
    batch_size: int,
) -> dict[str, float | int | None]:
    """Draws the new characters and their twins, and gives `section` of them.

    Args:
      functions: the model.
      encoded: of the clips.
      clips: those of the split.
      partner: whose motion each clip gets.
      pairs: who is drawn.
      draw: draws the truths, as `clips` are drawn.
      seed: of samples.
      stream: of random keys; both of a pair are drawn from the same key.
      batch_size: clips encoded or sampled at once.
    """
    if not len(pairs.rows):
        return section(pairs, clips, partner, draw, [], [])
    played = np.stack([draw(x, clips.cell[row]) for row, x in zip(pairs.rows, pairs.twins)])
    read = encode_clips(functions, played, batch_size, show_progress=False)
    keys = clip_keys(seed, stream, pairs.rows)
    motion = encoded.motion[partner[pairs.rows]]

    def drawn(content: Content) -> Iterator[Video]:
        for piece in batches(len(content), batch_size):
            at = padded(np.arange(piece.start, piece.stop), batch_size)
            made = np.asarray(functions.sample(keys[at], content[at], motion[at]))
            yield from made[: piece.stop - piece.start]

    new, old = (list(drawn(x)) for x in (encoded.content[pairs.rows], read.content))
    return section(pairs, clips, partner, draw, new, old)


def section(
    pairs: Pairs,
    clips: Clips,
    partner: Int[np.ndarray, "n"],
    draw: Draw,
    new: Sequence[Video],
    old: Sequence[Video],
) -> dict[str, float | int | None]:
    """Fractions of pairs, None where there are none.

    Args:
      pairs: who is drawn.
      clips: those of the split.
      partner: whose motion each clip gets.
      draw: draws the truths.
      new: what is drawn of each new character.
      old: what is drawn of each twin.

    Returns:
      `carried`: of the new characters, nearer to their own truth than to the twin's; `twin`: of the
      twins, nearer to their own; `floor`: of the twins, nearer to the new character's, which is
      what can be had without seeing a new part.
    """
    if not len(pairs.rows):
        return {"carried": None, "twin": None, "floor": None, "num_pairs": 0}
    gains = []
    for row, character, first, second in zip(pairs.rows, pairs.twins, new, old, strict=True):
        cells = clips.cell[partner[row]]
        truth, other = (on_grey(draw(x, cells)) for x in (clips.parts[row], character))
        gains.append([advantage(on_grey(x), truth, other) or 0 for x in (first, second)])
    of_new, of_old = np.array(gains).T
    shares = {"carried": of_new > 0, "twin": of_old < 0, "floor": of_old > 0}
    return {**{name: float(np.mean(x)) for name, x in shares.items()}, "num_pairs": len(gains)}
