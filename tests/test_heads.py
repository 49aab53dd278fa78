"""The model of faces for research that lies in `experiments/heads`."""

import numpy as np
import pytest
from tiny import ROOT

import vdd

FOLDER = ROOT / "experiments" / "heads"


@pytest.fixture(scope="module")
def run():
    return vdd.load(FOLDER)


def test_it_is_small_and_says_what_it_is_for():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 20e6
    card = (FOLDER / "README.md").read_text()
    assert "license: other" in card
    assert "For research only" in card


def test_a_photo_stands_still_at_rest_and_moves_by_codes(run):
    across = np.linspace(0, 255, run.model.latents.size[0])
    rows, columns = np.meshgrid(across, across, indexing="ij")
    photo = np.stack([rows, columns, 255 - rows / 2 - columns / 2], -1).astype(np.uint8)
    read = run.encode(photo[None, None])
    rest = (run.model.quantizer.codebook.num_codes - 1) // 2
    np.testing.assert_array_equal(read.codes, rest)  # of one frame, its own pose
    moved = np.array([rest, rest, 0, 2 * rest])[None, :, None].repeat(read.codes.shape[2], -1)
    video = run.decode(read.content, moved)[0].astype(int)
    np.testing.assert_array_equal(video[0], video[1])
    assert np.abs(video[0] - photo).mean() < 10
    assert np.abs(video[2] - video[3]).mean() > 2
