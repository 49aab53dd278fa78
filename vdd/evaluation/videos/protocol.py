"""What a model is worth on windows of real videos, where nothing is labelled but who is in them.

Every window is encoded once. Up to three samples are drawn for it:

- its reconstruction;
- a transfer within its clip: its content, the motion of a window of another time of the clip. The
  result ought to be that other window, so that it can be compared pixel by pixel. A window that
  shares time with all others of its clip has none;
- a transfer across identities: its content, the motion of a window of somebody else. No real clip
  is what it ought to be: only networks can say whose face it shows and how that moves (`faces`).

The report has the keys of that of Sprites (`sprites.evaluate`); what only Sprites has (classes of
motion, attributes, a judge, probes) is None. Pictures are `video_gallery`'s.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Array, Int, Key, UInt8

from vdd.data.sprites import ATTRIBUTES
from vdd.diffusion.samplers import Sampler
from vdd.evaluation import metrics, sections
from vdd.evaluation.faces import Compared, Faces, Observed, compare, identity_similarity
from vdd.evaluation.inference import (
    Encoded,
    Functions,
    batches,
    clip_keys,
    encode_clips,
    padded,
)
from vdd.evaluation.pairing import pair_across, pair_within
from vdd.evaluation.sections import Section, mean_or_none
from vdd.progress import Advance, progress_bar

# Streams of random keys.
_RECONSTRUCTION, _WITHIN, _ACROSS = 0, 1, 2

# A joint entropy is counted from so many frames for each tuple of codes that occurs.
_FRAMES_PER_TUPLE = 4

_STILLS = ("psnr_last_frame_held", "psnr_mean_frame_held")
_PIXELS = ("psnr", "ssim", *_STILLS, "flicker")

# Keys of the report that Sprites alone has figures for.
_JUDGED = ("motion_acc", *(f"{name}_acc" for name in ATTRIBUTES))
_LEAKAGE = (
    "motion_from_content_acc", "content_from_motion_acc", "chance_motion", "chance_content",
)  # fmt: skip


class Windows(Protocol):
    """Windows of clips, n of them: arrays of numpy."""

    @property
    def video(self) -> Any:
        """Uint8 [n t h w 3]."""

    @property
    def clip(self) -> Any:
        """Int [n]: the clip that each is cut from."""

    @property
    def identity(self) -> Any:
        """Int [n]: who is in it."""

    @property
    def start(self) -> Any:
        """Float [n]: seconds of its clip from which it shows it."""

    @property
    def end(self) -> Any:
        """Float [n]: and up to which."""


def evaluate(
    functions: Functions,
    windows: Windows,
    *,
    step: int,
    dataset: str,
    split: str,
    target_bits_per_frame: float | None = None,
    seed: int = 0,
    batch_size: int = 8,
    faces: Faces | None = None,
    sampler: Sampler | None = None,
    show_progress: bool = True,
) -> dict[str, Any]:
    """Measures a model on all windows.

    Args:
      functions: the model.
      windows: what is measured.
      step: of the model, for the record.
      dataset: its name, for the record.
      split: the name of the split that `windows` is, for the record.
      target_bits_per_frame: what the model was trained for, for the record.
      seed: of pairs and samples. Results do not depend on the batch size.
      batch_size: windows encoded or sampled at once.
      faces: networks that see faces; None leaves their figures unmeasured.
      sampler: the sampler of `functions`, for the record.
      show_progress: show bars with the time left.

    Returns:
      The report, ready for JSON. `reconstruction`, `transfer.within_clip` and
      `transfer.across_identities` have the same figures: `psnr` (dB) and `ssim` against the window
      that the sample ought to be, `flicker` (see `metrics.flicker`) against the window that gave
      the motion, and those of `faces.Compared`. `transfer` itself repeats `psnr` and `ssim` of the
      transfers within clips. There `psnr_last_frame_held` and `psnr_mean_frame_held` are what the
      content window has without motion. Relative motion is measured there from where the content's
      window rests, and in all other figures, `bitrate` too, from where its own window does. `real`
      has what `identity_similarity` is between real windows of one clip, and of two people: the
      scale to read it by. `networks` names the networks behind the figures. What was not measured,
      or cannot be, is None.
    """
    count = len(windows.video)
    encoded = encode_clips(functions, windows.video, batch_size, f"encoding {split}", show_progress)
    real = _look(windows.video, faces, show_progress)

    def measured(partner: Int[np.ndarray, "n"], stream: int, title: str) -> Section:
        content = np.flatnonzero(partner >= 0)
        pairs = Pairs(content, partner[content])
        keys = clip_keys(seed, stream, content)
        seen, read = encoded, functions.encode_from
        if stream == _WITHIN and read:
            seen = _from_their_content(read, encoded, windows.video, pairs, batch_size)
        with progress_bar(title, len(content), show_progress) as advance:
            samples = draw_samples(functions, seen, pairs, keys, batch_size, advance)
            return _figures(samples, pairs, real, same_clip=stream != _ACROSS)

    within = pair_within(windows.clip, windows.start, windows.end, seed)
    across = pair_across(windows.identity, seed)
    num_within, num_across = (int(np.sum(partner >= 0)) for partner in (within, across))
    rebuilt = measured(np.arange(count), _RECONSTRUCTION, "reconstructing")
    same = measured(within, _WITHIN, "transfers within clips")
    other = measured(across, _ACROSS, "transfers across identities")
    return {
        "step": step,
        "dataset": dataset,
        "split": split,
        "num_clips": len(np.unique(windows.clip)),
        "num_windows": count,
        "num_identities": len(np.unique(windows.identity)),
        "sampler": sampler and {"name": sampler.name, "steps": sampler.steps, "nfe": sampler.nfe},
        "reconstruction": dict.fromkeys(_JUDGED) | rebuilt,
        "transfer": {
            **dict.fromkeys((*_JUDGED, "content_acc", "joint_acc", "leak_acc")),
            "num_pairs": num_within + num_across,
            "psnr": same["psnr"],
            "ssim": same["ssim"],
            "within_clip": {"num_pairs": num_within, **same},
            "across_identities": {"num_pairs": num_across, **other},
        },
        "cdsvae_protocol": dict.fromkeys(("acc", "inception_score", "h_y_given_x", "h_y")),
        "judge": dict.fromkeys(("motion_acc", "content_acc")),
        "bitrate": bitrate(encoded, functions, target_bits_per_frame, windows.identity),
        "leakage": dict.fromkeys(_LEAKAGE),
        "real": {
            "same_clip_similarity": _similarity(real.observed, within),
            "other_identity_similarity": _similarity(real.observed, across),
        },
        "networks": {
            **dict.fromkeys(("detector", "landmarks", "identity")),
            **(faces.networks if faces else {}),
        },
    }


class Pairs(NamedTuple):
    """Rows of windows: whose content and whose motion each of m samples has."""

    content: Int[np.ndarray, "m"]
    motion: Int[np.ndarray, "m"]


def _from_their_content(
    read: Callable[[Any, Any], Encoded],
    encoded: Encoded,
    video: UInt8[np.ndarray, "n t h w 3"],
    pairs: Pairs,
    batch_size: int,
) -> Encoded:
    """Motion measured from where the window rests that gives the content: it is of the same clip.

    So a clip is rebuilt as from a stream whose first window has told content and rest pose.
    """
    motion = np.array(encoded.motion)
    for piece in batches(len(pairs.content), batch_size):
        rows = padded(np.arange(piece.start, piece.stop), batch_size)
        content, moving = pairs.content[rows], pairs.motion[rows]
        motion[moving] = read(video[moving], video[content]).motion
    return encoded._replace(motion=motion)


def draw_samples(
    functions: Functions,
    encoded: Encoded,
    pairs: Pairs,
    keys: Key[Array, "m"],
    batch_size: int,
    advance: Advance = lambda count: None,
) -> Iterator[tuple[slice, UInt8[np.ndarray, "b t h w 3"]]]:
    """Samples of pairs, a batch at a time with its place among them; keys are one a pair."""
    for piece in batches(len(pairs.content), batch_size):
        rows = padded(np.arange(piece.start, piece.stop), batch_size)
        content, motion = pairs.content[rows], pairs.motion[rows]
        video = functions.sample(keys[rows], encoded.content[content], encoded.motion[motion])
        yield piece, np.asarray(video)[: piece.stop - piece.start]
        advance(piece.stop - piece.start)


def bitrate(
    encoded: Encoded,
    functions: Functions,
    target_bits_per_frame: float | None,
    identity: Int[np.ndarray, "n"],
) -> Section:
    """`sections.bitrate`, and how much of the entropy is left where it is known who it is.

    The rest, `entropy_bits_per_frame` less `entropy_given_identity_bits_per_frame`, is what the
    codes tell of who it is, be it by looks, which content says once, or by habits of moving. It is
    at most the entropy of the people for each group, so that splits with other people compare only
    roughly, and counted too high where there are few frames of a person.

    The joint entropy is counted from how often each tuple of codes occurs, which says nothing of
    the model where nearly every frame has a tuple of its own (64 groups: always): what comes out is
    the logarithm of the number of frames. So it is None unless a tuple has four frames on average.
    The sum of the groups' entropies is an upper bound in any case.
    """
    section = sections.bitrate(encoded, functions, target_bits_per_frame)
    codes = np.asarray(encoded.codes).reshape(-1, encoded.codes.shape[2])
    known = metrics.conditional_group_entropies(codes, np.repeat(identity, encoded.codes.shape[1]))
    section["entropy_given_identity_bits_per_frame"] = float(np.sum(known))
    frames = len(codes)
    distinct = section["distinct_codes"]
    if distinct is not None and frames < _FRAMES_PER_TUPLE * distinct:
        section["joint_entropy_bits_per_frame"] = None
    return section


class _Real(NamedTuple):
    """The windows as they are, and what networks see in each; nothing without these networks."""

    video: UInt8[np.ndarray, "n t h w 3"]
    faces: Faces | None
    observed: list[Observed]


def _look(video: UInt8[np.ndarray, "n t h w 3"], faces: Faces | None, show_progress: bool) -> _Real:
    real = _Real(video, faces, [])
    if faces:
        with progress_bar("looking at the windows", len(video), show_progress) as advance:
            for window in video:
                real.observed.append(faces.observe(window))
                advance(1)
    return real


def _figures(
    samples: Iterator[tuple[slice, UInt8[np.ndarray, "b t h w 3"]]],
    pairs: Pairs,
    real: _Real,
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
