"""What networks see of people whom a run has shown (`strangers.py`): who it is, how it moves."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from vdd.evaluation import faces
from vdd.progress import progress_bar


class Stranger(NamedTuple):
    """A clip of somebody."""

    person: str
    first: UInt8[np.ndarray, "s h w 3"]  # its first second
    later: UInt8[np.ndarray, "t h w 3"]


def seen(
    see: faces.Faces,
    clips: Sequence[Stranger],
    rebuilt: Sequence[np.ndarray],
    driven: Sequence[np.ndarray],
    driver: Int[np.ndarray, "n"],
) -> dict[str, Any]:
    """What networks see: who it is, and how it moves."""
    observe = see.observe
    first = [observe(clip.first) for clip in progress(clips, "looking at content")]
    later = [observe(clip.later) for clip in progress(clips, "looking at motion")]
    again = [observe(video) for video in progress(rebuilt, "looking at the rebuilt")]
    other = [observe(video) for video in progress(driven, "looking at the driven")]
    people = np.array([clip.person for clip in clips])
    same = [faces.followed(x.landmarks, y.landmarks) for x, y in zip(again, later)]
    across = [faces.followed(x.landmarks, later[j].landmarks) for x, j in zip(other, driver)]
    return {
        "networks": see.networks,
        "recognised": {
            "real": recognised(later, first, people, people),
            "rebuilt": recognised(again, first, people, people),
            "driven": recognised(other, first, people, people),
            "driven, taken for the driver": recognised(other, first, people, people[driver]),
        },
        "landmark error": landmark_error(again, first, later),
        "follows": {"rebuilt": moved(same), "driven": moved(across)},
    }  # fmt: skip


def landmark_error(
    rebuilt: Sequence[faces.Observed],
    first: Sequence[faces.Observed],
    later: Sequence[faces.Observed],
) -> dict[str, Any]:
    """`faces.motion_error` of rebuilt clips, and of the last frame of the first second held.

    Both are of the same frames, those with a face in the real and in the rebuilt clip, and of the
    same clips, those in which both errors are known.
    """
    pairs = []
    for again, before, real in zip(rebuilt, first, later, strict=True):
        held = np.repeat(before.landmarks[-1:], len(real.landmarks), 0)
        held[~faces.seen(again.landmarks)] = np.nan
        made = (again.landmarks, held)
        pairs.append([faces.motion_error(landmarks, real.landmarks) for landmarks in made])
    both = [pair for pair in pairs if None not in pair]
    names = ("rebuilt", "last frame held")
    return {name: told([pair[i] for pair in both]) for i, name in enumerate(names)}


def recognised(
    made: Sequence[faces.Observed],
    gallery: Sequence[faces.Observed],
    people: np.ndarray,
    expected: np.ndarray,
) -> float | None:
    """Fraction of clips that are nearest to the expected person's embedding in the gallery.

    Where no face is found nobody is recognised. None where nothing could be.
    """
    known = [i for i, one in enumerate(gallery) if one.embedding is not None]
    if not known:
        return None
    bank = np.stack([np.asarray(gallery[i].embedding) for i in known])
    hits = [
        one.embedding is not None
        and people[known[np.linalg.norm(bank - one.embedding[None], axis=1).argmin()]] == who
        for one, who in zip(made, expected, strict=True)
    ]
    return float(np.mean(hits))


def moved(compared: Sequence[faces.Followed | None]) -> dict[str, Any]:
    """Mean correlation and median amplitude of each track, and of all."""
    known = [one for one in compared if one is not None]
    if not known:
        return {}
    correlation = np.stack([one.correlation for one in known])
    amplitude = np.stack([one.amplitude for one in known])
    rows = {
        name: {
            "correlation": float(np.nanmean(correlation[:, i])),
            "amplitude": float(np.nanmedian(amplitude[:, i])),
        }
        for i, name in enumerate(faces.TRACKS)
        if np.isfinite(correlation[:, i]).any()
    }
    if not rows:
        return {}
    keys = ("correlation", "amplitude")
    means = {key: float(np.mean([row[key] for row in rows.values()])) for key in keys}
    return {"clips": len(known), **rows, "all": means}


def told(values: Sequence[float | None]) -> dict[str, float | None]:
    """Mean, standard error and number of what was measured; None where that is too little."""
    known = np.array([value for value in values if value is not None], np.float64)
    error = float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else None
    return {"mean": float(known.mean()) if len(known) else None, "error": error, "n": len(known)}


def progress(items: Sequence[Any], title: str) -> Iterator[Any]:
    with progress_bar(title, len(items), True) as advance:
        for item in items:
            yield item
            advance(1)
