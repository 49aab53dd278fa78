"""Figures of samples on real videos, and what networks see of the windows themselves."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from vdd.evaluation import metrics
from vdd.evaluation.faces import Compared, Faces, Observed, compare, identity_similarity
from vdd.evaluation.sections import Section, mean_or_none
from vdd.progress import progress_bar
from vdd.values import Figures

_STILLS = ("psnr_last_frame_held", "psnr_mean_frame_held")
_PIXELS = ("psnr", "ssim", *_STILLS, "flicker")


class Pairs(NamedTuple):
    """Rows of windows: whose content and whose motion each of m samples has."""

    content: Int[np.ndarray, "m"]
    motion: Int[np.ndarray, "m"]


class Real(NamedTuple):
    """The windows as they are, and what networks see in each; nothing without these networks."""

    video: UInt8[np.ndarray, "n t h w 3"]
    faces: Faces | None
    observed: list[Observed]


def look(video: UInt8[np.ndarray, "n t h w 3"], faces: Faces | None, show_progress: bool) -> Real:
    """The windows, and what networks see in them."""
    real = Real(video, faces, [])
    if faces:
        with progress_bar("looking at the windows", len(video), show_progress) as advance:
            for window in video:
                real.observed.append(faces.observe(window))
                advance(1)
    return real


def of_samples(
    samples: Iterator[tuple[slice, UInt8[np.ndarray, "b t h w 3"]]],
    pairs: Pairs,
    real: Real,
    same_clip: bool,
) -> Section:
    """Mean figures over samples."""
    figures: dict[str, list[float]] = {name: [] for name in _PIXELS}
    compared: list[Compared] = []
    for piece, video in samples:
        for made, content, motion in zip(video, pairs.content[piece], pairs.motion[piece]):
            pair = real.video[motion][None], made[None]  # clip by clip: large ones fill the memory
            if same_clip:
                figures["psnr"].extend(metrics.psnr(*pair, peak=255))
                figures["ssim"].extend(metrics.ssim(*pair, peak=255))
                if content != motion:
                    for name, still in held(real.video[content], len(made)).items():
                        figures[name].extend(metrics.psnr(pair[0], still[None], peak=255))
            figures["flicker"].extend(metrics.flicker(*pair))
            if real.faces:
                observed = (real.faces.observe(made), real.observed[content], real.observed[motion])
                compared.append(compare(*observed, same_clip=same_clip))
    of_faces = zip(*compared) if compared else [()] * len(Compared._fields)
    return {
        **{name: _mean(values) for name, values in figures.items()},
        **{name: _mean(values) for name, values in zip(Compared._fields, of_faces)},
    }


def held(video: UInt8[np.ndarray, "s h w 3"], frames: int) -> dict[str, UInt8[np.ndarray, "..."]]:
    """What shows a content clip without any motion: its last frame, and the mean of its frames."""
    mean = np.round(video.mean(axis=0)).astype(np.uint8)
    stills = zip(_STILLS, (video[-1], mean), strict=True)
    return {name: np.repeat(still[None], frames, axis=0) for name, still in stills}


def of_networks(real: Real, within: Int[np.ndarray, "n"], across: Int[np.ndarray, "n"]) -> Figures:
    """The scale to read similarities by, and the names of the networks behind the figures."""
    return {
        "real": {
            "same_clip_similarity": _similarity(real.observed, within),
            "other_identity_similarity": _similarity(real.observed, across),
        },
        "networks": {
            **dict.fromkeys(("detector", "landmarks", "identity")),
            **(real.faces.networks if real.faces else {}),
        },
    }


def _similarity(observed: Sequence[Observed], partner: Int[np.ndarray, "n"]) -> float | None:
    """Mean cosine of embeddings of windows and their partners, where both have them."""
    pairs = [
        (window.embedding, observed[other].embedding)
        for window, other in zip(observed, partner)
        if other >= 0
    ]
    return _mean([identity_similarity(x, y) for x, y in pairs if x is not None and y is not None])


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean of what was measured: neither None nor nan is."""
    return mean_or_none(np.array(values, np.float64))
