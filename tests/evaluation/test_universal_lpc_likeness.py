"""How near a clip is to the cells of a sheet that it ought to show."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from vdd.evaluation.universal_lpc.likeness import likeness


def sheet(count=12, size=24, seed=0):
    """Cells with a figure of noise in the middle, on grey."""
    cells = np.full((count, size, size, 3), 96, np.uint8)
    shape = (count, size - 12, size - 12, 3)
    cells[:, 6:-6, 6:-6] = np.random.default_rng(seed).integers(0, 256, shape)
    return cells


def uint8(video):
    return np.clip(np.round(video), 0, 255).astype(np.uint8)


def test_cells_that_are_nearly_equal_count_as_one():
    cells = sheet(3)
    cells[1] = cells[0]
    cells[1, 0, 0] += 1  # hardly another cell
    right = [
        likeness(cells[[shown]], cells, np.array([asked]))["pose_acc"]
        for shown, asked in ((1, 0), (2, 2), (2, 1))
    ]
    assert right == [1, 1, 0]


def test_figures_are_those_of_the_formulas():
    cells, asked = sheet(), np.array([3, 5])
    video = cells[asked].copy()
    video[:, 6:-6, 6:-6] = 255 - video[:, 6:-6, 6:-6]
    error = np.square(video[:, 6:-6, 6:-6].astype(float) - cells[asked][:, 6:-6, 6:-6]).mean()
    found = likeness(video, cells, asked)
    assert found["figure_psnr"] == pytest.approx(10 * np.log10(255**2 / error), abs=0.01)
    assert found["psnr"] == pytest.approx(found["figure_psnr"] + 10 * np.log10(4), abs=0.01)


def test_blur_is_not_sharp_and_noise_has_power_but_adds_no_detail():
    cells, asked = sheet(), np.arange(4)
    truth = cells[asked].astype(float)
    blurred = likeness(uint8(gaussian_filter(truth, (0, 1, 1, 0))), cells, asked)
    noise = np.random.default_rng(1).normal(0, 30, truth.shape)
    noisy = likeness(uint8(truth + noise), cells, asked)
    assert blurred["laplacian_power"] < 0.2
    assert blurred["sharpness"] < 0.3
    assert noisy["laplacian_power"] > 1.05
    assert noisy["sharpness"] < 1.05
    assert blurred["pose_acc"] == noisy["pose_acc"] == 1.0


def test_a_sharp_frame_of_another_pose_is_sharp():
    cells = sheet()
    found = likeness(cells[[1, 2]], cells, np.array([3, 4]))
    assert found["sharpness"] == pytest.approx(1.0)
    assert found["pose_acc"] == 0


def test_what_lies_over_nothing_is_held_against_the_truth_over_grey():
    cells, asked = sheet(), np.array([0, 7])
    inside = np.pad(np.full((12, 12), 255, np.uint8), 6)
    alpha = np.broadcast_to(inside[None, :, :, None], (12, 24, 24, 1))
    both = np.concatenate([cells, alpha], -1)
    video = both[asked].copy()
    video[:, :6] = [9, 99, 199, 0]  # colours of what is not there
    found = likeness(video, both, asked)
    assert found["alpha_iou"] == 1.0
    assert found["ssim"] == pytest.approx(1.0)
    video[:, 6:12, :, 3] = 0  # half of the figure
    assert likeness(video, both, asked)["alpha_iou"] == 0.5
    assert "sharpness" not in likeness(video, both, asked, sharp=False)
