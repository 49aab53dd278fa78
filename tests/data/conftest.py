"""Random sheets in the layout of the LPC art, and the real art where the machine has it."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vdd.data import sprites
from vdd.data.sprites import ART_DIR_VARIABLE, lpc

# Read here, since some tests unset the variable.
LPC_ART_DIR = os.environ.get(ART_DIR_VARIABLE)


def random_sheet(seed: int) -> Image.Image:
    """Blocks of 8x8 pixels of random colour: mostly holes, some opaque, a few of random alpha."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (168, 104, 4), np.uint8)
    kind = rng.random(blocks.shape[:2])
    blocks[..., 3] = np.where(kind < 0.97, np.where(kind < 0.8, 0, 255), blocks[..., 3])
    return Image.fromarray(blocks.repeat(8, axis=0).repeat(8, axis=1))


@pytest.fixture(scope="session")
def random_art_dir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sheets")
    for seed, name in enumerate(lpc.SHEETS):
        (folder / name).parent.mkdir(exist_ok=True)
        random_sheet(seed).save(folder / name, compress_level=1)
    return folder


@pytest.fixture(scope="session")
def random_arrays(random_art_dir) -> sprites.SpritesArrays:
    return sprites.load_arrays("lpc", "test", random_art_dir)


@pytest.fixture(scope="session")
def lpc_art_dir() -> Path:
    if not LPC_ART_DIR:
        pytest.skip(f"needs the LPC art: set {ART_DIR_VARIABLE} to its folder of sheets")
    return Path(LPC_ART_DIR)


@pytest.fixture
def three(tmp_path) -> Path:
    """A folder of three clips."""
    import videos

    for i in range(3):
        videos.encode(tmp_path / "three" / f"{i}.mp4", videos.counted(23, first=100 * i))
    return tmp_path / "three"
