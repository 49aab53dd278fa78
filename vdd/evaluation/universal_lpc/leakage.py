"""What a linear probe reads in codes and content that ought not to be there.

Swaps tell what the decoder uses; probes tell what the representation holds. A probe learns from
three quarters of the clips and is tested on the last one, in turn, so that every clip is tested
once. No character is in both.
"""

from collections.abc import Mapping

import numpy as np
from einops import rearrange
from jaxtyping import Int, Num

from vdd.data.universal_lpc import DIRECTIONS, MOTIONS, SLOTS, Clips, Wardrobe
from vdd.data.universal_lpc.scripts import MOTION_OF_CELL
from vdd.evaluation.inference import Encoded
from vdd.evaluation.probes import Labelled, ProbeSettings, one_hot, probe_accuracy
from vdd.evaluation.universal_lpc.parts import sex_of
from vdd.values import Figures

_FOLDS = 4
_LINEAR = ProbeSettings(hidden=0)
_ACTIONS = tuple(dict.fromkeys(motion.action for motion in MOTIONS))


def section(
    encoded: Encoded, clips: Clips, wardrobe: Wardrobe, num_codewords: int | None, seed: int
) -> Figures:
    """Fractions of what probes name rightly, each beside its chance, that of the largest class.

    Returns:
      `FACTOR_from_codes` for the looks of a clip's character: skin, hairstyle (whatever the colour;
      no hair is one), torso (the garment) and sex, read in how often the clip has each code
      (without codes, in its mean motion). `direction_from_content` and `action_from_content` of
      each of its frames, read in its content; content that tells all about its clip names the
      clip's most frequent ones, which is `FACTOR_in_clip`. None where there are fewer than four
      characters.
    """
    person = np.unique(clips.parts, axis=0, return_inverse=True)[1].ravel()
    if num_codewords is None:
        motion = np.asarray(encoded.motion).mean(1)
    else:
        motion = one_hot(np.asarray(encoded.codes), num_codewords).mean(1)
    motion, content = (
        rearrange(x, "n ... -> n (...)") for x in (motion, np.asarray(encoded.content))
    )
    frames = clips.cell.shape[1]
    shown, worn = _motions(clips.cell), _looks(clips.parts, wardrobe)
    each_frame = {name: label.ravel() for name, label in shown.items()}
    return {
        **_read("codes", motion, worn, person, seed),
        **_read("content", content.repeat(frames, 0), each_frame, person.repeat(frames), seed),
        **{f"{name}_in_clip": _within(label) for name, label in shown.items()},
    }


def _looks(parts: Int[np.ndarray, "n s"], wardrobe: Wardrobe) -> dict[str, Int[np.ndarray, "n"]]:
    """Labels of what is to be read of a character."""

    def of(slot: str, folder: int) -> Int[np.ndarray, "n"]:
        """The name of the part, or a word of it; its own class where nothing is worn."""
        kinds = [part.name.split("/")[folder] for part in wardrobe.parts[slot]]
        worn = parts[:, tuple(SLOTS).index(slot)]
        return _numbered([kinds[number] if number >= 0 else "" for number in worn])

    return {
        "skin": of("body", -1),  # body/male/light
        "hairstyle": of("hair", -2),  # hair/male/pixie/black
        "torso": parts[:, tuple(SLOTS).index("torso")].astype(np.int64),
        "sex": _numbered([sex_of(wardrobe, character) for character in parts]),
    }


def _motions(cell: Int[np.ndarray, "n t"]) -> dict[str, Int[np.ndarray, "n t"]]:
    """Labels of what a frame shows."""
    direction = np.array([DIRECTIONS.index(motion.direction) for motion in MOTIONS])
    action = np.array([_ACTIONS.index(motion.action) for motion in MOTIONS])
    return {"direction": direction[MOTION_OF_CELL[cell]], "action": action[MOTION_OF_CELL[cell]]}


def _numbered(names: list[str]) -> Int[np.ndarray, "n"]:
    return np.unique(names, return_inverse=True)[1].ravel()


def _read(
    source: str,
    features: Num[np.ndarray, "m x"],
    factors: Mapping[str, Int[np.ndarray, "m"]],
    person: Int[np.ndarray, "m"],
    seed: int,
) -> dict[str, float | None]:
    """`FACTOR_from_SOURCE`, and `FACTOR_chance`."""
    labels = np.stack(list(factors.values()), axis=1)
    accuracies = _cross_validated(features, labels, person, seed)
    found = {}
    for name, accuracy, label in zip(factors, accuracies, labels.T):
        found[f"{name}_from_{source}"] = accuracy
        found[f"{name}_chance"] = float(np.bincount(label).max() / len(label))
    return found


def _cross_validated(
    features: Num[np.ndarray, "m x"],
    labels: Int[np.ndarray, "m f"],
    person: Int[np.ndarray, "m"],
    seed: int,
) -> list[float] | list[None]:
    """Accuracy for each factor, over examples tested by probes that knew none of their person."""
    people = person.max() + 1
    if people < _FOLDS:
        return [None] * labels.shape[1]
    fold = (np.random.default_rng(seed).permutation(people) % _FOLDS)[person]
    right = np.zeros(labels.shape[1])
    for test in (fold == number for number in range(_FOLDS)):
        known, asked = (Labelled(features[rows], labels[rows]) for rows in (~test, test))
        classes = int(labels.max()) + 1
        accuracy = probe_accuracy(known, asked, person[~test], classes, _LINEAR)
        right += accuracy * np.count_nonzero(test)
    return (right / len(person)).tolist()


def _within(label: Int[np.ndarray, "n t"]) -> float:
    """Mean over clips of the fraction of frames that show the clip's most frequent label."""
    counts = (label[..., None] == np.arange(label.max() + 1)).sum(1)
    return float(np.mean(counts.max(1) / label.shape[1]))
