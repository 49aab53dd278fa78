"""Made-up characters of 16 x 16 pixels, of the slots of Universal LPC, and models that know all."""

from collections.abc import Callable

import numpy as np

from vdd.data.universal_lpc import MOTIONS, NUM_CELLS, SLOTS, Clips, Wardrobe
from vdd.data.universal_lpc.scripts import MOTION_OF_CELL, script
from vdd.data.universal_lpc.wardrobe import part_of
from vdd.evaluation.inference import Encoded, Functions

SIZE, GREY = 16, 96
NAMES = (
    *(f"body/{sex}/{skin}" for sex in ("male", "female") for skin in ("light", "dark", "orc")),
    *(f"body/{sex}/eyes/{colour}" for sex in ("male", "female") for colour in ("blue", "red")),
    *(f"legs/pants/{sex}/{kind}_pants" for sex in ("male", "female") for kind in ("red", "teal")),
    *(f"feet/shoes/{sex}/{kind}" for sex in ("male", "female") for kind in ("brown", "black")),
    *(f"torso/shirts/{sex}/{kind}_shirt" for sex in ("male", "female") for kind in ("a", "teal")),
    *(f"hair/male/{style}" for style in ("plain/red", "plain/blue", "bob/red", "pixie/red")),
    *(f"hair/female/{style}" for style in ("plain/red", "pixie/red")),
    *(f"facial/male/{style}/red" for style in ("beard", "frenchstache")),
)
WARDROBE = Wardrobe([part for name in NAMES if (part := part_of(name))])
AT = {slot: i for i, slot in enumerate(SLOTS)}
FROM_BEHIND = np.array([MOTIONS[motion].direction == "up" for motion in MOTION_OF_CELL])


def dressed(*names: str) -> np.ndarray:
    """Who wears these."""
    character = np.full(len(SLOTS), -1, np.int32)
    for slot, parts in WARDROBE.parts.items():
        for number, part in enumerate(parts):
            if part.name in names:
                character[AT[slot]] = number
    assert (character >= 0).sum() == len(names), names
    return character


MAN = ("body/male/light", "body/male/eyes/blue", "legs/pants/male/red_pants",
       "feet/shoes/male/brown", "torso/shirts/male/a_shirt")  # fmt: skip
KNOWN = dressed(*MAN, "hair/male/plain/red")
BEARDED = dressed(*MAN, "hair/male/plain/blue", "facial/male/beard/red")
NEW = dressed(*MAN, "hair/male/pixie/red")
NEW_BEARD = dressed(*MAN, "hair/male/plain/red", "facial/male/frenchstache/red")


def draw(parts, cells, channels: int = 3) -> np.ndarray:
    """A block of a colour for each part, and two white pixels that tell the cell.

    What is on the face is not seen from behind.
    """
    video = np.zeros((len(cells), SIZE, SIZE, 4), np.uint8)
    for frame, cell in zip(video, np.asarray(cells)):
        frame[0, cell % SIZE] = frame[SIZE - 1, cell // SIZE] = 255
        for slot, number in zip(SLOTS, parts):
            if number >= 0 and not (slot == "facial" and FROM_BEHIND[cell]):
                frame[_block(slot)] = [200, 30 + 26 * number, 10 + 20 * AT[slot], 255]
    if channels == 4:
        return video
    return np.where(video[..., 3:] > 0, video[..., :3], np.uint8(GREY))


def _block(slot: str) -> tuple[slice, slice]:
    row, column = 2 + 4 * (AT[slot] // 4), 1 + 4 * (AT[slot] % 4)
    return slice(row, row + 3), slice(column, column + 3)


def read(video: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The parts and the cells of a clip of three channels, as `draw` drew it."""
    cells = video[:, 0, :, 2].argmax(1) + SIZE * video[:, SIZE - 1, :, 2].argmax(1)
    parts = np.full(len(SLOTS), -1, np.int32)
    for slot, at in AT.items():
        shown = video[(slice(None), *_block(slot))][:, 1, 1].astype(int)
        worn = shown[shown[:, 0] == 200]
        if len(worn):
            parts[at] = (worn[0, 1] - 30) // 26
    return parts, cells.astype(np.int32)


def clips_of(characters, frames: int = 6, seed: int = 0, channels: int = 3) -> Clips:
    """A clip for each character."""
    rng = np.random.default_rng(seed)
    cells = [script(rng, frames) for _ in characters]
    video = [draw(*one, channels) for one in zip(characters, cells)]
    return Clips(np.stack(video), np.stack(cells), np.stack(characters).astype(np.int32))


def model(
    show: Callable[[np.ndarray], np.ndarray] = lambda parts: parts,
    play: Callable[[np.ndarray], np.ndarray] = lambda cells: cells,
    channels: int = 3,
) -> Functions:
    """Content is what is worn, motion the cell; `show` and `play` are where it errs."""

    def encode(video):
        flat = np.where(video[..., 3:] > 0, video[..., :3], GREY) if channels == 4 else video
        found = [read(clip) for clip in np.asarray(flat)]
        parts, cells = (np.stack(x) for x in zip(*found))
        motion = cells[..., None].astype(np.float32)
        content = parts[:, None].astype(np.float32)
        return Encoded(content, motion, cells[..., None], np.full(len(parts), 7.0))

    def sample(keys, content, motion):
        made = zip(np.asarray(content)[:, 0].astype(int), np.asarray(motion)[..., 0].astype(int))
        return np.stack([draw(show(parts.copy()), play(cells), channels) for parts, cells in made])

    return Functions(encode, sample, num_codewords=NUM_CELLS)
