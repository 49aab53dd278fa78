"""Swaps on Universal LPC, held against what they ought to show: no judge is needed.

Content of clip A and motion of clip B make the character of A in the cells of B, which can be
drawn. What is asked of a result has a file each: `likeness`, `parts`, `carried`, `features` (for
the Frechet distance). Of the representation: `codes`, `leakage`.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from vdd.data.universal_lpc import NUM_CELLS, Art, Clips, Wardrobe, play
from vdd.data.universal_lpc.clips import GREY
from vdd.evaluation import metrics, sections
from vdd.evaluation.inference import Encoded, Functions, batches, clip_keys, encode_clips, padded
from vdd.evaluation.measure import Measure
from vdd.evaluation.universal_lpc import carried, codes, leakage, parts
from vdd.evaluation.universal_lpc.features import Features, of_validation
from vdd.evaluation.universal_lpc.likeness import likeness
from vdd.evaluation.universal_lpc.parts import Draw
from vdd.progress import progress_bar
from vdd.values import Figures

# Streams of random keys, and what is drawn from each.
_STREAMS = {"reconstruction": 0, "transfer": 1}


class Truth(NamedTuple):
    """What results are held against.

    Attributes:
      draw: draws a character in some cells, as the clips are drawn.
      wardrobe: what can be worn.
      features: of the Frechet distance; None leaves it, and sharpness, unmeasured.
    """

    draw: Draw
    wardrobe: Wardrobe
    features: Features | None = None


def truth_of(art: Art, channels: int) -> Truth:
    """All of it, for clips of 3 channels over grey or of 4 over nothing."""
    draw = drawer(art, channels)
    return Truth(draw, art.wardrobe, of_validation(art.wardrobe, draw))


def drawer(art: Art, channels: int = 3) -> Draw:
    """Draws on grey, as the clips of all splits but train stand; four channels on nothing."""
    ground = GREY if channels == 3 else None
    return lambda character, cells: play(art, character, cells, ground)


def evaluate(
    functions: Functions,
    clips: Clips,
    truth: Truth,
    how: Measure,
    quick: bool = False,
) -> Figures:
    """Measures a model on all clips of a split: the report, ready for JSON.

    `reconstruction` and `transfer` are means over clips of `likeness`, and `frechet`; `parts` is of
    the swaps; `carried`, `codes` and `leakage` are as each module's `section` describes it;
    `bitrate` is in bits. What was not measured is None.

    Args:
      functions: the model.
      clips: what is measured, and who plays which cells in it.
      truth: what results are held against.
      how: seed (of alternatives and folds too), batch size, and what is for the record.
      quick: for a look while training: leave `carried`, `codes` and `leakage` out.
    """
    title = f"encoding {how.split}"
    encoded = encode_clips(functions, clips.video, how.batch_size, title, how.show_progress)
    tallies = _tallied(functions, encoded, clips, truth, how)
    report = {
        **how.record(num_clips=len(clips.video)),
        **{kind: tally.section() for kind, tally in tallies.items()},
        "parts": tallies["transfer"].parts_section(),
        "bitrate": sections.bitrate(encoded, functions, how.target_bits_per_frame),
    }
    return report if quick else report | _slow(functions, encoded, clips, truth, how)


def _tallied(
    functions: Functions, encoded: Encoded, clips: Clips, truth: Truth, how: Measure
) -> dict[str, "Tally"]:
    """Figures of reconstructions and of swaps."""
    rows = np.arange(len(clips.video))
    driven = {"reconstruction": rows, "transfer": partners(len(rows), how.seed)}
    tallies = {kind: Tally(truth, how.seed, kind == "transfer") for kind in driven}
    with progress_bar("swapping and reconstructing", len(rows), how.show_progress) as advance:
        for row, videos in _drawn(functions, encoded, driven, how.seed, how.batch_size):
            sheet = truth.draw(clips.parts[row], np.arange(NUM_CELLS, dtype=np.int32))
            for kind, video in videos.items():
                cells = clips.cell[driven[kind][row]]
                tallies[kind].add(video, sheet, clips.parts[row], cells)
            advance(1)
    return tallies


def _drawn(
    functions: Functions,
    encoded: Encoded,
    driven: Mapping[str, Int[np.ndarray, "n"]],
    seed: int,
    batch_size: int,
) -> Iterator[tuple[int, dict[str, UInt8[np.ndarray, "t h w c"]]]]:
    """For each clip the samples of each kind: its content, the motion of the clip `driven` says."""
    rows = np.arange(len(encoded.content))
    keys = {kind: clip_keys(seed, _STREAMS[kind], rows) for kind in driven}
    for piece in batches(len(rows), batch_size):
        at = padded(rows[piece], batch_size)
        made = {
            kind: np.asarray(
                functions.sample(keys[kind][at], encoded.content[at], encoded.motion[motion[at]])
            )
            for kind, motion in driven.items()
        }
        for i, row in enumerate(rows[piece]):
            yield row, {kind: video[i] for kind, video in made.items()}


def _slow(
    functions: Functions, encoded: Encoded, clips: Clips, truth: Truth, how: Measure
) -> Figures:
    """What takes long: `carried`, `codes` and `leakage`."""
    seed = how.seed
    wardrobe, draw, num_codewords = truth.wardrobe, truth.draw, functions.num_codewords
    partner = partners(len(clips.video), seed)
    pairs = carried.choose(wardrobe, draw, clips, partner, seed)
    carried_over = carried.measure(
        functions, encoded, clips, partner, pairs, draw, seed, _STREAMS["transfer"], how.batch_size
    )
    known = np.asarray(encoded.codes)
    return {
        "carried": carried_over,
        "codes": codes.section(known, clips.cell, clips.parts)
        if num_codewords is not None
        else None,
        "leakage": leakage.section(encoded, clips, wardrobe, num_codewords, seed),
    }


class Tally:
    """Figures of results, gathered one by one.

    Args:
      truth: what they are held against.
      seed: of the alternatives to their parts.
      with_parts: look for parts too.
    """

    def __init__(self, truth: Truth, seed: int, with_parts: bool):
        self._truth, self._seed, self._with_parts = truth, seed, with_parts
        self._figures, self._parts, self._features = [], [], []

    def add(
        self,
        video: UInt8[np.ndarray, "t h w c"],
        sheet: UInt8[np.ndarray, "k h w d"],
        character: Int[np.ndarray, "s"],
        cells: Int[np.ndarray, "t"],
    ) -> None:
        """Measures a result that ought to show a character in some cells of its sheet."""
        draw, wardrobe, features = self._truth
        self._figures.append(likeness(video, sheet, cells, sharp=features is not None))
        if features is not None:
            self._features.append((features(sheet[cells]), features(video)))
        if self._with_parts:
            right = parts.parts_right(video, draw, wardrobe, character, cells, self._seed)
            self._parts.append(right)

    def section(self) -> dict[str, float | None]:
        """Means over the results, and the Frechet distance between them and their truths."""
        found = {
            name: sections.mean_or_none(np.array([x[name] for x in self._figures]))
            for name in self._figures[0]
        }
        if self._features:
            real, made = (np.concatenate(x) for x in zip(*self._features))
            found["frechet"] = metrics.frechet_distance(real, made)
        return found

    def parts_section(self) -> Figures:
        """Of `parts`."""
        return parts.section(np.stack(self._parts))


def partners(count: int, seed: int) -> Int[np.ndarray, "n"]:
    """Whose motion each clip gets: all clips in a ring of random order."""
    order = np.random.default_rng(seed).permutation(count)
    partner = np.empty(count, np.int64)
    partner[order] = np.roll(order, 1)
    return partner
