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

`reconstruction`, `transfer.within_clip` and `transfer.across_identities` have the same figures:
`psnr` (dB) and `ssim` against the window that the sample ought to be, `flicker` (see
`metrics.flicker`) against the window that gave the motion, and those of `faces.Compared`.
`transfer` itself repeats `psnr` and `ssim` of the transfers within clips. There
`psnr_last_frame_held` and `psnr_mean_frame_held` are what the content window has without motion.
Relative motion is measured there from where the content's window rests, and in all other figures,
`bitrate` too, from where its own window does. `real` has what `identity_similarity` is between real
windows of one clip, and of two people: the scale to read it by. `networks` names the networks
behind the figures. What was not measured, or cannot be, is None.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from einops import rearrange
from jaxtyping import Array, Float, Int, Key, UInt8

from vdd.data.sprites import ATTRIBUTES
from vdd.evaluation import metrics, sections
from vdd.evaluation.faces import Faces
from vdd.evaluation.inference import (
    Clips,
    Encoded,
    Functions,
    batches,
    clip_keys,
    encode_clips,
    padded,
)
from vdd.evaluation.measure import Measure
from vdd.evaluation.pairing import pair_across, pair_within
from vdd.evaluation.sections import Section
from vdd.evaluation.videos import figures
from vdd.evaluation.videos.figures import Pairs
from vdd.progress import Advance, progress_bar
from vdd.values import Figures

# What is drawn, by the stream of its random keys, and what its bar is called.
_DRAWN = {
    "reconstruction": "reconstructing",
    "within_clip": "transfers within clips",
    "across_identities": "transfers across identities",
}

# A joint entropy is counted from so many frames for each tuple of codes that occurs.
_FRAMES_PER_TUPLE = 4

# Keys of the report that Sprites alone has figures for.
_JUDGED = ("motion_acc", *(f"{name}_acc" for name in ATTRIBUTES))
_LEAKAGE = (
    "motion_from_content_acc", "content_from_motion_acc", "chance_motion", "chance_content",
)  # fmt: skip


class Windows(Protocol):
    """Windows of clips, n of them: arrays of numpy."""

    @property
    def video(self) -> Any:
        """Uint8 [n t h w 3]; not lacking, as it may be where latents are wanted."""
        ...

    @property
    def clip(self) -> Int[np.ndarray, "n"]:
        """Int [n]: the clip that each is cut from."""
        ...

    @property
    def identity(self) -> Int[np.ndarray, "n"]:
        """Int [n]: who is in it."""
        ...

    @property
    def start(self) -> Float[np.ndarray, "n"]:
        """Float [n]: seconds of its clip from which it shows it."""
        ...

    @property
    def end(self) -> Float[np.ndarray, "n"]:
        """Float [n]: and up to which."""
        ...


def evaluate(
    functions: Functions,
    windows: Windows,
    how: Measure,
    faces: Faces | None = None,
) -> Figures:
    """Measures a model on all windows: the report, ready for JSON (see the head of this module).

    Args:
      functions: the model.
      windows: what is measured.
      how: seed, batch size, and what is for the record.
      faces: networks that see faces; None leaves their figures unmeasured.
    """
    title, show = f"encoding {how.split}", how.show_progress
    encoded = encode_clips(functions, windows.video, how.batch_size, title, show)
    real, partner = figures.look(windows.video, faces, show), _partners(windows, how.seed)
    found = {kind: _measured(functions, encoded, real, partner, kind, how) for kind in _DRAWN}
    return {
        **how.record(
            num_clips=len(np.unique(windows.clip)),
            num_windows=len(windows.video),
            num_identities=len(np.unique(windows.identity)),
        ),
        "reconstruction": dict.fromkeys(_JUDGED) | found["reconstruction"],
        "transfer": _transfer(found, partner),
        "cdsvae_protocol": dict.fromkeys(("acc", "inception_score", "h_y_given_x", "h_y")),
        "judge": dict.fromkeys(("motion_acc", "content_acc")),
        "bitrate": bitrate(encoded, functions, how.target_bits_per_frame, windows.identity),
        "leakage": dict.fromkeys(_LEAKAGE),
        **figures.of_networks(real, partner["within_clip"], partner["across_identities"]),
    }


def _partners(windows: Windows, seed: int) -> dict[str, Int[np.ndarray, "n"]]:
    """Whose motion each window gets in each of what is drawn; -1: nobody's."""
    return {
        "reconstruction": np.arange(len(windows.video)),
        "within_clip": pair_within(windows.clip, windows.start, windows.end, seed),
        "across_identities": pair_across(windows.identity, seed),
    }


def _measured(
    functions: Functions,
    encoded: Encoded,
    real: figures.Real,
    partner: Mapping[str, Int[np.ndarray, "n"]],
    kind: str,
    how: Measure,
) -> Section:
    """Samples of one kind, drawn and looked at."""
    size = how.batch_size
    content = np.flatnonzero(partner[kind] >= 0)
    pairs = Pairs(content, partner[kind][content])
    keys = clip_keys(how.seed, list(_DRAWN).index(kind), content)
    if kind == "within_clip" and functions.encode_from:
        encoded = _from_their_content(functions.encode_from, encoded, real.video, pairs, size)
    with progress_bar(_DRAWN[kind], len(content), how.show_progress) as advance:
        samples = draw_samples(functions, encoded, pairs, keys, size, advance)
        return figures.of_samples(samples, pairs, real, same_clip=kind != "across_identities")


def _transfer(found: Mapping[str, Section], partner: Mapping[str, Int[np.ndarray, "n"]]) -> Figures:
    """The transfers' part of the report."""
    kinds = ("within_clip", "across_identities")
    count = {kind: int(np.sum(partner[kind] >= 0)) for kind in kinds}
    return {
        **dict.fromkeys((*_JUDGED, "content_acc", "joint_acc", "leak_acc")),
        "num_pairs": sum(count.values()),
        "psnr": found["within_clip"]["psnr"],
        "ssim": found["within_clip"]["ssim"],
        **{kind: {"num_pairs": count[kind], **found[kind]} for kind in kinds},
    }


def _from_their_content(
    read: Callable[[Clips, Clips], Encoded],
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
    target_bits_per_frame: float | str | None,
    identity: Int[np.ndarray, "n"],
) -> sections.RateSection:
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
    codes = rearrange(np.asarray(encoded.codes), "c t n -> (c t) n")
    known = metrics.conditional_group_entropies(codes, np.repeat(identity, encoded.codes.shape[1]))
    section["entropy_given_identity_bits_per_frame"] = float(np.sum(known))
    frames = len(codes)
    distinct = int(section["distinct_codes"] or 0)
    if frames < _FRAMES_PER_TUPLE * distinct:
        section["joint_entropy_bits_per_frame"] = None
    return section
