"""A collection of sheets as small as can be, and what its sheets are made of."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from vdd.data import universal_lpc as lpc
from vdd.data.universal_lpc import scripts

# Read here, since the tests unset it. The real sheets take half a minute to decode: once will do.
REAL_ART_DIR = os.environ.get(lpc.ART_DIR_VARIABLE)
GREY = (96, 96, 96, 255)
MODES = ("P", "LA", "RGBA")

# A collection as small as can be, with something held out in each slot where that can be.
NAMES = (
    *(f"body/{sex}/{skin}" for sex in ("male", "female") for skin in ("light", "dark", "orc")),
    *(f"body/{sex}/eyes/{colour}" for sex in ("male", "female") for colour in ("blue", "red")),
    *(f"legs/pants/{sex}/{kind}_pants" for sex in ("male", "female") for kind in ("red", "teal")),
    *(f"feet/shoes/{sex}/{kind}_shoes" for sex in ("male", "female") for kind in ("red", "maroon")),
    "torso/chain/mail_male",
    "torso/shirts/sleeveless/female/white_pirate",
    "torso/shirts/sleeveless/female/teal_pirate",
    "torso/back/cape/normal/female/cape_red",
    "torso/back/cape/normal/female/cape_blue",
    "behind_body/cape/normal/female/cape_red",
    "behind_body/cape/normal/female/cape_blue",
    *(f"hair/{sex}/{style}/red" for sex in ("male", "female") for style in ("pixie", "plain")),
    "facial/male/beard/red",
    "facial/male/frenchstache/red",
    "head/hoods/male/chain_hood_male",
    "head/caps/male/leather_cap_male",
    "hands/gloves/female/metal_gloves",
)  # fmt: skip
BESIDE = ("hair/male/pixie", "hair/male/plain/shadows-dark", "weapons/bow", "belt/cloth/male/white")


def sheet(seed: int, mode: str = "RGBA") -> Image.Image:
    """Blocks of 8 x 8 pixels: mostly holes, which have colours too, some opaque, a few between."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (168, 104, 4), np.uint8)
    if mode == "P":
        blocks = blocks[:5, :5].reshape(25, 4)[rng.integers(25, size=(168, 104))]
    kind = rng.random(blocks.shape[:2])
    blocks[..., 3] = np.where(kind < 0.95, np.where(kind < 0.8, 0, 255), blocks[..., 3])
    image = Image.fromarray(blocks.repeat(8, axis=0).repeat(8, axis=1))
    return image.quantize(255) if mode == "P" else image.convert(mode)


def save(folder: Path, name: str, image: Image.Image) -> None:
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, compress_level=1)


def cell_of(image: Image.Image, cell: int) -> Image.Image:
    """A cell of a sheet, found by its action and direction, as the layout has them."""
    motion = scripts.MOTION_OF_CELL[cell]
    left, top = 64 * (cell - lpc.MOTIONS[motion].first), 64 * int(motion)
    return image.convert("RGBA").crop((left, top, left + 64, top + 64))
