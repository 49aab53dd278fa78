"""A clip by its number: who plays, what is played, on what ground."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8

from vdd.config import Config
from vdd.data.universal_lpc.art import Art
from vdd.data.universal_lpc.characters import SPLITS, draw_character
from vdd.data.universal_lpc.compositing import NOTHING, composite
from vdd.data.universal_lpc.recolouring import recoloured
from vdd.data.universal_lpc.scripts import script
from vdd.data.universal_lpc.sheets import SIZE, Drawing
from vdd.data.universal_lpc.wardrobe import SLOTS
from vdd.errors import UserError

GREY = (96, 96, 96, 255)
SEED = 0  # of the clips of which there is a fixed number
COUNTS = {"validation": 1000, "test": 1000, "test_parts": 1000}
FIELDS = ("video", "cell", "parts")


class Settings(NamedTuple):
    """What clips look like."""

    frames: int
    channels: int  # 3: over a flat colour; 4: over nothing, straight alpha
    background: str  # of three channels: "grey" (96), or in training "random", a colour a clip
    recolour: float = 0.0  # fraction of training clips whose character has new colours, by part

    @classmethod
    def from_config(cls, config: Config, split: str) -> "Settings":
        """Of `config.data`. Clips of all splits but train stand on grey, in their own colours.

        Raises:
          UserError: a value that there is not.
        """
        for key, values in (("channels", (3, 4)), ("background", ("grey", "random"))):
            if config[key] not in values:
                known = " or ".join(map(str, values))
                raise UserError(f"--config.data.{key}={config[key]}: take {known}.")
        if config.frames < 1:
            raise UserError(f"--config.data.frames={config.frames}: a clip has at least one.")
        if config.channels == 4 and config.background != "grey":
            raise UserError(
                f"--config.data.background={config.background}: clips of --config.data.channels=4 "
                "have none."
            )
        if not 0.0 <= config.recolour <= 1.0:
            raise UserError(f"--config.data.recolour={config.recolour}: a fraction is from 0 to 1.")
        if split == "train":
            return cls(config.frames, config.channels, config.background, config.recolour)
        return cls(config.frames, config.channels, "grey")


class Clip(NamedTuple):
    """A character of the collection at play; the labels serve evaluation only."""

    video: UInt8[np.ndarray, "t h w c"]
    cell: Int32[np.ndarray, "t"]  # which of the 178 cells a frame shows
    parts: Int32[np.ndarray, "s"]  # for each of `SLOTS` the number of the part, -1 for none


class Clips(NamedTuple):
    """Clips in memory, n of them; as `Clip` otherwise."""

    video: UInt8[np.ndarray, "n t h w c"]
    cell: Int32[np.ndarray, "n t"]
    parts: Int32[np.ndarray, "n s"]


def draw_clip(art: Art, settings: Settings, seed: int, split: str, number: int) -> Clip:
    """A clip: a function of the art, the settings, the seed, the split and its number.

    Raises:
      UserError: as `characters.draw_character`.
    """
    at = (seed, SPLITS.index(split), number)
    parts = draw_character(art.wardrobe, seed, split, number)
    cell = script(np.random.default_rng((*at, 1)), settings.frames)
    ground = GREY
    if settings.background == "random":
        ground = (*np.random.default_rng((*at, 2)).integers(256, size=3).tolist(), 255)
    layers = art.layers(parts)
    if settings.recolour:
        rng = np.random.default_rng((*at, 3))
        if rng.random() < settings.recolour:
            layers = recoloured(layers, art.parts(parts), rng)
    video = _draw(layers, cell, ground if settings.channels == 3 else None)
    return Clip(video, cell, parts)


def play(
    art: Art,
    parts: Int32[np.ndarray, "s"],
    cell: Int32[np.ndarray, "t"],
    ground: tuple[int, int, int, int] | None = GREY,
) -> UInt8[np.ndarray, "t h w c"]:
    """Draws a character in some cells: over a flat colour, RGB, or over nothing (None), RGBA."""
    return _draw(art.layers(parts), cell, ground)


def _draw(
    layers: Sequence[Drawing], cell: np.ndarray, ground: tuple[int, int, int, int] | None
) -> np.ndarray:
    video = composite(layers, cell, NOTHING if ground is None else ground)
    return video if ground is None else np.ascontiguousarray(video[..., :3])


def draw_clips(art: Art, settings: Settings, split: str, count: int, seed: int = SEED) -> Clips:
    """Clips number 0, 1, 2 ... of a split, in memory.

    Raises:
      UserError: as `draw_clip`.
    """
    clips = Clips(
        np.empty((count, settings.frames, SIZE, SIZE, settings.channels), np.uint8),
        np.empty((count, settings.frames), np.int32),
        np.empty((count, len(SLOTS)), np.int32),
    )
    for number in range(count):
        for array, value in zip(clips, draw_clip(art, settings, seed, split, number)):
            array[number] = value
    return clips
