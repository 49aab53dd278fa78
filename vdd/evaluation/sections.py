"""The sections of the evaluation report, each a pure function of what was measured.

Fractions are in [0, 1]. `content_acc` is the mean over four attributes. None stands for a figure
that was not measured.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from einops import rearrange
from jaxtyping import Float, Int

from vdd.data.sprites import ATTRIBUTES, MOTIONS, NUM_VARIANTS, SpritesArrays
from vdd.evaluation import metrics
from vdd.evaluation.inference import Encoded, Functions
from vdd.evaluation.judge import Verdict
from vdd.evaluation.probes import Labelled, one_hot, probe_accuracy
from vdd.values import Figures

Section = dict[str, float | int | None]
RateSection = dict[str, float | int | str | None]  # a target may be a word (vdd.method.rates.AUTO)

NUM_PROBES = 4


class Scored(NamedTuple):
    """What the judge said of samples, and how near they came to the clips they ought to be."""

    motion: Int[np.ndarray, "n"]
    motion_probs: Float[np.ndarray, "n 9"]
    attributes: Int[np.ndarray, "n 4"]
    psnr: Float[np.ndarray, "n"]  # dB; nan where there is no such clip
    ssim: Float[np.ndarray, "n"]


def reconstruction(scored: Scored, clips: SpritesArrays) -> Section:
    """Samples of clips from their own content and motion."""
    return {
        "motion_acc": metrics.accuracy(scored.motion, clips.motion),
        **_attribute_accuracies(scored.attributes, clips.attributes),
        "psnr": mean_or_none(scored.psnr),
        "ssim": mean_or_none(scored.ssim),
    }


def transfer(
    scored: Scored,
    clips: SpritesArrays,
    content: Int[np.ndarray, "n"],
    partner: Int[np.ndarray, "n"],
) -> Section:
    """Swaps: content of the clips `content`, motion of the clips `partner`."""
    attributes, motion = clips.attributes[content], clips.motion[partner]
    by_attribute = _attribute_accuracies(scored.attributes, attributes)
    judged = np.column_stack([scored.motion, scored.attributes])
    wanted = np.column_stack([motion, attributes])
    return {
        "motion_acc": metrics.accuracy(scored.motion, motion),
        **by_attribute,
        "content_acc": float(np.mean(list(by_attribute.values()))),
        "joint_acc": metrics.joint_accuracy(judged, wanted),
        "leak_acc": metrics.leak_share(scored.motion, clips.motion[content]),
        "num_pairs": len(content),
        "psnr": mean_or_none(scored.psnr),
        "ssim": mean_or_none(scored.ssim),
    }


def cdsvae_protocol(scored: Scored, motion: Int[np.ndarray, "n"]) -> Section:
    """Action accuracy against the motion clips, and the entropies (nats) of the judge's softmax."""
    return {
        "acc": metrics.accuracy(scored.motion, motion),
        "inception_score": metrics.inception_score(scored.motion_probs),
        "h_y_given_x": metrics.conditional_entropy(scored.motion_probs),
        "h_y": metrics.marginal_entropy(scored.motion_probs),
    }


def judge_on_real(verdict: Verdict, clips: SpritesArrays) -> Section:
    """The judge on real clips: no model can be measured better than this."""
    return {
        "motion_acc": metrics.accuracy(verdict.motion, clips.motion),
        "content_acc": metrics.accuracy(verdict.attributes, clips.attributes),
        "inception_score": metrics.inception_score(verdict.motion_probs),
        "h_y_given_x": metrics.conditional_entropy(verdict.motion_probs),
    }


def bitrate(
    encoded: Encoded, functions: Functions, target_bits_per_frame: float | str | None
) -> RateSection:
    """Empirical entropies of the codes over all frames, what they take in a file with the prior of
    the functions, and the mean rate of the content.
    """
    num_codewords = functions.num_codewords
    section: RateSection = {
        "target_bits_per_frame": target_bits_per_frame,
        "entropy_bits_per_frame": None,
        "joint_entropy_bits_per_frame": None,
        "coded_bits_per_frame": None,
        "codebook_usage": None,
        "distinct_codes": None,
        "content_bits_per_clip": float(np.mean(encoded.content_bits)),
    }
    if num_codewords is None:
        return section
    codes = np.asarray(encoded.codes)
    frames = rearrange(codes, "... n -> (...) n")
    if functions.coded_bits is not None:
        section["coded_bits_per_frame"] = functions.coded_bits(codes)
    return section | {
        "entropy_bits_per_frame": float(metrics.group_entropies(frames).sum()),
        "joint_entropy_bits_per_frame": metrics.joint_entropy(frames),
        "codebook_usage": metrics.codebook_usage(frames, num_codewords),
        "distinct_codes": metrics.distinct_codes(frames),
    }


def leakage(
    train: tuple[Encoded, SpritesArrays] | None,
    test: tuple[Encoded, SpritesArrays],
    num_codewords: int | None,
    advance: Callable[[int], None] = lambda count: None,
) -> Figures:
    """Test accuracy of probes from codes and content; `train` None leaves it unmeasured.

    Without codes (`num_codewords` None) the motion vectors are read in their place.
    Besides the leaks, what ought to be readable: content from content, motion from motion.
    """
    chances = {"chance_motion": 1 / len(MOTIONS), "chance_content": 1 / NUM_VARIANTS}
    if train is None:
        return {"motion_from_content_acc": None, "content_from_motion_acc": None, **chances}

    def probe(of_content: bool, for_content: bool) -> Float[np.ndarray, "f"]:
        def examples(encoded: Encoded, clips: SpritesArrays) -> Labelled:
            if of_content:
                features = np.asarray(encoded.content)
            elif num_codewords is None:
                features = np.asarray(encoded.motion)
            else:
                features = one_hot(np.asarray(encoded.codes), num_codewords)
            return Labelled(features, clips.attributes if for_content else clips.motion[:, None])

        num_classes = NUM_VARIANTS if for_content else len(MOTIONS)
        characters = train[1].attributes @ NUM_VARIANTS ** np.arange(len(ATTRIBUTES))
        accuracies = probe_accuracy(examples(*train), examples(*test), characters, num_classes)
        advance(1)
        return accuracies

    content_from_motion = probe(of_content=False, for_content=True)
    per_attribute = dict(zip(ATTRIBUTES, content_from_motion.tolist()))
    return {
        "motion_from_content_acc": float(probe(of_content=True, for_content=False)[0]),
        "content_from_motion_acc": float(content_from_motion.mean()),
        "content_from_content_acc": float(probe(of_content=True, for_content=True).mean()),
        "motion_from_motion_acc": float(probe(of_content=False, for_content=False)[0]),
        "per_attribute": per_attribute,
        **chances,
    }


def mean_or_none(values: Float[np.ndarray, "n"]) -> float | None:
    """Mean of what was measured (nan is not); None if there is nothing, or it is infinite."""
    measured = values[~np.isnan(values)]
    mean = float(np.mean(measured)) if measured.size else math.nan
    return mean if math.isfinite(mean) else None


def _attribute_accuracies(
    judged: Int[np.ndarray, "n 4"], label: Int[np.ndarray, "n 4"]
) -> dict[str, float]:
    shares = metrics.correct(judged, label).mean(0)
    return {f"{name}_acc": float(share) for name, share in zip(ATTRIBUTES, shares)}
