"""Universal LPC: characters of a real collection of pixel art at play, 64x64, 178 poses.

Whatever a swap should show can be drawn: `play` draws any character in any cells. The sheets are
CC-BY-SA 3.0 / GPL 3.0 and no part of this package; `load_art` reads them from a folder.
"""

from vdd.data.universal_lpc.art import Art, load_art
from vdd.data.universal_lpc.characters import SPLITS, draw_character, split_of
from vdd.data.universal_lpc.clips import Clip, Clips, Settings, draw_clip, draw_clips, play
from vdd.data.universal_lpc.sheets import (
    ART_DIR_VARIABLE,
    DIRECTIONS,
    MOTIONS,
    NUM_CELLS,
    SIZE,
    find_art_dir,
)
from vdd.data.universal_lpc.wardrobe import SLOTS, Wardrobe

__all__ = [
    "ART_DIR_VARIABLE",
    "DIRECTIONS",
    "MOTIONS",
    "NUM_CELLS",
    "SIZE",
    "SLOTS",
    "SPLITS",
    "Art",
    "Clip",
    "Clips",
    "Settings",
    "Wardrobe",
    "draw_character",
    "draw_clip",
    "draw_clips",
    "find_art_dir",
    "load_art",
    "play",
    "split_of",
]
