"""The Sprites protocols over a whole split: reconstruction, swaps, codes and leakage.

Every clip is encoded once. Two samples are drawn for it: its reconstruction, and a swap, in which
it keeps its content and takes the motion of a clip with another character and another motion
(`pairing`). The judge names the motion and the four attributes of both.

- Swap protocol: the attributes ought to be the content clip's, the motion the motion clip's;
  *joint* asks for all five, *leak* is the fraction that shows the content clip's motion.
- C-DSVAE protocol (Bai et al. 2021, Li and Mandt 2018): the motion of a real clip, content from
  elsewhere; does the judge see the action? Theirs is drawn from the model's prior; ours, which has
  none, is that of the swap's other clip, so that the same samples serve: Acc is the swap's motion
  accuracy, and the entropies are of the judge's distributions over them.
- Leakage: probes (see `probes`) from codes and content of other characters, tested on these;
  from the motion vectors where there are no codes.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt8

from vdd.data.sprites import SpritesArrays
from vdd.evaluation import metrics, sections
from vdd.evaluation.inference import (
    Encoded,
    Functions,
    batches,
    clip_keys,
    encode_clips,
    padded,
)
from vdd.evaluation.judge import Verdict
from vdd.evaluation.measure import Measure
from vdd.evaluation.pairing import matching_rows, pair_clips
from vdd.evaluation.sections import Scored
from vdd.progress import Advance, progress_bar
from vdd.values import Figures

JudgeFunction = Callable[[UInt8[np.ndarray, "b t h w c"]], Verdict]

# Streams of random keys.
_RECONSTRUCTION, _SWAP = 0, 1  # 2: the gallery's


def evaluate(
    functions: Functions,
    train: SpritesArrays | None,
    test: SpritesArrays,
    judge: JudgeFunction,
    how: Measure,
) -> Figures:
    """Measures a model on all clips of `test`.

    Args:
      functions: the model.
      train: what the probes learn from, other characters than in `test`; None leaves `leakage`
        unmeasured.
      test: what is measured.
      judge: names motion and attributes of clips.
      how: seed, batch size, and what is for the record.

    Returns:
      The report (see `sections`), ready for JSON: fractions in [0, 1], `psnr` in dB, the entropies
      of the C-DSVAE protocol in nats, all else in bits. What was not measured is None.
    """
    size, title = how.batch_size, f"encoding {how.split}"
    encoded = encode_clips(functions, test.video, size, title, how.show_progress)
    rows, partner = np.arange(len(test.motion)), pair_clips(test.motion, test.attributes, how.seed)

    def recombined(partner: Int[np.ndarray, "n"], stream: int, title: str) -> Scored:
        keys = clip_keys(how.seed, stream, rows)
        samples = Samples(keys, encoded.content, encoded.motion[partner])
        truth = matching_rows(test.motion, test.attributes, rows, partner)
        with progress_bar(title, len(rows), how.show_progress) as advance:
            return score_samples(functions, judge, samples, test.video, truth, size, advance)

    reconstructed = recombined(rows, _RECONSTRUCTION, "reconstructing")
    swapped = recombined(partner, _SWAP, "swapping")
    return {
        **how.record(num_clips=len(rows)),
        "reconstruction": sections.reconstruction(reconstructed, test),
        "transfer": sections.transfer(swapped, test, rows, partner),
        "cdsvae_protocol": sections.cdsvae_protocol(swapped, test.motion[partner]),
        "judge": sections.judge_on_real(judge(test.video), test),
        "bitrate": sections.bitrate(encoded, functions, how.target_bits_per_frame),
        "leakage": _leakage(functions, train, (encoded, test), how),
    }


def quick_evaluate(
    functions: Functions,
    test: SpritesArrays,
    judge: JudgeFunction,
    *,
    num_pairs: int = 256,
    num_reconstructions: int = 64,
    seed: int = 0,
    batch_size: int = 64,
) -> dict[str, float | int | None]:
    """The figures to log during training, from some of the swaps that `evaluate` makes.

    Returns:
      `swap_motion_acc`, `swap_leak_acc`, `swap_<attribute>_acc`, `swap_content_acc`,
      `swap_joint_acc`, `swap_psnr` and `swap_ssim` (against the real clip that the swap ought to
      be), and `reconstruction_psnr`, dB.
    """
    partner = pair_clips(test.motion, test.attributes, seed)
    content = np.random.default_rng(seed).permutation(len(partner))[:num_pairs]
    motion = partner[content]
    needed = np.union1d(content, motion)
    encoded = encode_clips(functions, test.video[needed], batch_size, show_progress=False)

    def sampled(content: Int[np.ndarray, "m"], motion: Int[np.ndarray, "m"], stream: int) -> Scored:
        samples = Samples(
            clip_keys(seed, stream, content),
            encoded.content[np.searchsorted(needed, content)],
            encoded.motion[np.searchsorted(needed, motion)],
        )
        truth = matching_rows(test.motion, test.attributes, content, motion)
        return score_samples(functions, judge, samples, test.video, truth, batch_size)

    swapped = sampled(content, motion, _SWAP)
    few = content[:num_reconstructions]
    reconstructed = sampled(few, few, _RECONSTRUCTION)
    section = sections.transfer(swapped, test, content, motion)
    del section["num_pairs"]
    return {
        **{f"swap_{name}": value for name, value in section.items()},
        "reconstruction_psnr": sections.mean_or_none(reconstructed.psnr),
    }


class Samples(NamedTuple):
    """What m samples are drawn from: a random key, the content and the motion of each."""

    keys: Key[Array, "m"]
    content: Float[Array | np.ndarray, "m k d"]
    motion: Float[Array | np.ndarray, "m t x"]


def score_samples(
    functions: Functions,
    judge: JudgeFunction,
    samples: Samples,
    real: UInt8[np.ndarray, "n t h w c"],
    truth: Int[np.ndarray, "m"],
    batch_size: int,
    advance: Advance = lambda count: None,
) -> Scored:
    """Draws samples, has them judged, and compares each to the clip of `real` in row `truth`."""
    parts = []
    for piece in batches(len(truth), batch_size):
        rows = padded(np.arange(piece.start, piece.stop), batch_size)
        video = functions.sample(*(part[rows] for part in samples))
        video = np.asarray(video)[: piece.stop - piece.start]
        verdict = judge(video)
        psnr, ssim = _compare(real, truth[piece], video)
        parts.append((verdict.motion, verdict.motion_probs, verdict.attributes, psnr, ssim))
        advance(len(video))
    return Scored(*(np.concatenate(part) for part in zip(*parts)))


def _compare(
    real: UInt8[np.ndarray, "n t h w c"],
    truth: Int[np.ndarray, "b"],
    video: UInt8[np.ndarray, "b t h w c"],
) -> tuple[np.ndarray, np.ndarray]:
    """PSNR and SSIM of each video against the real clip in row `truth`; nan where that is -1."""
    known = truth >= 0
    figures = np.full((2, len(video)), np.nan)
    reference, video = real[truth[known]], video[known]
    figures[0, known] = metrics.psnr(reference, video, peak=255)
    figures[1, known] = metrics.ssim(reference, video, peak=255)
    return figures[0], figures[1]


def _leakage(
    functions: Functions,
    train: SpritesArrays | None,
    test: tuple[Encoded, SpritesArrays],
    how: Measure,
) -> Figures:
    if train is None:
        return sections.leakage(None, test, functions.num_codewords)
    size, show = how.batch_size, how.show_progress
    encoded = encode_clips(functions, train.video, size, "encoding train", show)
    with progress_bar("probing", sections.NUM_PROBES, show) as advance:
        return sections.leakage((encoded, train), test, functions.num_codewords, advance)
