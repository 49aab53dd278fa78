"""The examples of the data set: windows of decoded clips with what is known of them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from vdd.data.video_folder.clips import Clip
from vdd.data.video_folder.resampling import Window
from vdd.data.video_folder.splits import SPLITS
from vdd.data.video_folder.store import Outcome, Store


class Used(NamedTuple):
    """A clip that gives windows, its numbers in the data set, and its split."""

    clip: Clip
    outcome: Outcome
    number: int
    identity: int
    split: str


class Row(NamedTuple):
    """One window of one clip."""

    used: Used
    window: Window


class Windows:
    """Random access to examples, each read from the store when it is asked for.

    Args:
      store: where the frames are.
      rows: the windows.
      weights: folder of an autoencoder, whose latents take the place of pixels.
      advance: called with 1 for each example that is read.
    """

    def __init__(
        self,
        store: Store,
        rows: Sequence[Row],
        weights: str | None = None,
        advance: Callable[[int], None] | None = None,
    ):
        self._store = store
        self._rows = rows
        self._weights = weights
        self._advance = advance

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if self._advance is not None:
            self._advance(1)
        return self.example(index)

    def example(self, index: int) -> dict[str, Any]:
        """The same without a word to `advance`."""
        (clip, outcome, number, identity, _), window = self._rows[index]
        fps = self._store.settings.fps
        start, seconds = window.tick / fps, self._store.settings.frames * window.every / fps
        example = {
            "path": clip.path,
            "clip": number,
            "identity": identity,
            "fps": outcome.fps,
            "start": float(start),
            "end": float(start + seconds),
        }
        if self._weights is None:
            return {**example, "video": self._store.window(clip, window)}
        # Here, since it brings JAX with it.
        from vdd.data.video_folder import latents

        # Kept, as an encoder may take hours that an interruption should not cost.
        name = latents.fingerprint(self._weights)
        encode = partial(latents.encode, weights=self._weights)
        return {**example, "latents": self._store.derived(clip, window, name, encode)}


def number(usable: Mapping[Clip, Outcome], split_of: Mapping[str, str], by: str) -> list[Used]:
    """Gives clips and identities their numbers, in the order of their names.

    Args:
      usable: the clips with windows, and what came of them.
      split_of: the split of each group.
      by: what a group is, "identity", "clip" or, where folders name the splits, "folder".
    """
    identities = {name: i for i, name in enumerate(sorted({clip.identity for clip in usable}))}
    return [
        Used(clip, usable[clip], i, identities[clip.identity], split_of[group(clip, by)])
        for i, clip in enumerate(sorted(usable))
    ]


def group(clip: Clip, by: str) -> str:
    """What is never shared out among several splits."""
    return clip.identity if by == "identity" else clip.path


def rows_of_splits(used: Sequence[Used], seed: int) -> dict[str, list[Row]]:
    """Windows of each split that has any: train in a random order, the others clip by clip.

    Train is laid out at random since readers of record files shuffle within a window only.
    """
    rows: dict[str, list[Row]] = {}
    for split in SPLITS:
        own = [Row(one, w) for one in used if one.split == split for w in one.outcome.windows]
        if split == "train":
            order = np.random.default_rng(seed).permutation(len(own))
            own = [own[i] for i in order]
        if own:
            rows[split] = own
    return rows
