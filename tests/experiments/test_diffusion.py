"""What swaps are measured by, on swaps of which it is known how good they are."""

import importlib

import numpy as np
import pytest
from tiny import ROOT

from vdd.data.sprites import SpritesArrays

CHARACTERS, MOTIONS = 3, 4


@pytest.fixture
def diffusion(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    return importlib.import_module("diffusion")


@pytest.fixture
def clips() -> SpritesArrays:
    """Random poses: each character in each motion, motion by motion."""
    video = np.random.default_rng(0).integers(
        0, 256, (MOTIONS * CHARACTERS, 8, 16, 16, 3), np.uint8
    )
    motion = np.repeat(np.arange(MOTIONS, dtype=np.int32), CHARACTERS)
    attributes = np.tile(np.eye(4, dtype=np.int32)[:CHARACTERS], (MOTIONS, 1))
    return SpritesArrays(video, motion, attributes)


class Referee:
    """Sees the mean colour of each clip."""

    def features(self, video):
        return video.mean(axis=(1, 2, 3))


def measure(diffusion, clips, rows):
    """The figures of the swaps when the clips in these rows are drawn for them."""
    swaps = diffusion.choose(clips, 0, 0)
    return diffusion.measure(clips.video[rows(swaps)], clips, swaps, Referee(), 0)


def test_swaps_are_those_of_the_evaluation(diffusion, clips):
    swaps, some = diffusion.choose(clips, 0, 0), diffusion.choose(clips, 5, 0)
    np.testing.assert_array_equal(swaps.content, np.arange(len(clips.motion)))
    np.testing.assert_array_equal(clips.motion[swaps.truth], clips.motion[swaps.motion])
    np.testing.assert_array_equal(clips.attributes[swaps.truth], clips.attributes[swaps.content])
    assert (swaps.motion != swaps.truth).all()
    np.testing.assert_array_equal(some.motion, swaps.motion[some.content])
    assert len(set(some.content)) == 5


def test_swaps_whose_truth_is_not_at_hand_are_left_out(diffusion, clips):
    fewer = SpritesArrays(*(part[:-1] for part in clips))
    swaps = diffusion.choose(fewer, 0, 0)
    assert len(swaps.content) == len(swaps.motion) == len(swaps.truth) < len(fewer.motion)
    np.testing.assert_array_equal(fewer.motion[swaps.truth], fewer.motion[swaps.motion])


def test_perfect_swaps_and_other_poses(diffusion, clips):
    perfect = measure(diffusion, clips, lambda swaps: swaps.truth)
    assert perfect["psnr"] is None  # infinite
    assert perfect["ssim"] == perfect["sharpness"] == pytest.approx(1)
    assert (perfect["frechet"], perfect["frechet_error"]) == pytest.approx((0, 0), abs=1e-6)
    # The content's own clip is another pose of the right character: as sharp, but not right.
    other = measure(diffusion, clips, lambda swaps: swaps.content)
    assert other["sharpness"] == pytest.approx(1)
    assert other["ssim"] < 0.5
    assert other["frechet_error"] > 0
    # And the motion's clip is of another character.
    assert measure(diffusion, clips, lambda swaps: swaps.motion)["sharpness"] < 0.5


def row(bits: float, steps: int, value: float | None, error: float = 0.1) -> dict:
    figures = dict.fromkeys(("frechet", "ssim", "sharpness"), value)
    return {"bits": bits, "steps": steps, "psnr": value, "frechet_error": error, **figures}


def test_runs_of_one_rate_are_seeds_of_each_other(diffusion):
    rows = [
        row(3, 1, 4.0, 0.1),
        row(2, 1, 1.0),
        row(3, 1, 6.0, 0.3),
        row(3, 0, 1.0),
        row(2, 1, 1.0),
    ]
    rows[1]["psnr"] = None
    cells = diffusion.means(rows)
    assert [(cell["bits"], cell["steps"], cell["runs"]) for cell in cells] == [
        (2, 1, 2), (3, 0, 1), (3, 1, 2),
    ]  # fmt: skip
    both = cells[2]
    assert both["frechet"] == both["psnr"] == 5
    assert both["frechet_spread"] == both["psnr_spread"] == pytest.approx(2**0.5)
    assert both["frechet_error"] == pytest.approx(0.2)
    assert cells[1]["psnr_spread"] is None
    # What was measured of one run of two is the mean, and has no spread.
    assert cells[0]["psnr"] == 1
    assert cells[0]["psnr_spread"] is None
    head, _, *lines = [line.strip("| ").split(" | ") for line in diffusion.page(cells).splitlines()]
    assert head[:6] == ["bits", "steps", "runs", "Fréchet distance", "error", "spread"]
    assert head[6:] == ["PSNR, dB", "spread", "SSIM", "spread", "sharpness", "spread"]
    assert lines[0] == ["2", "1", "2", "1.00", "0.10", "0.00", "1.00", "–", *["1.000", "0.000"] * 2]
    assert lines[2][:6] == ["3", "1", "2", "5.00", "0.20", "1.41"]


def test_the_contact_sheet_says_what_it_shows(diffusion):
    shades = {(bits, steps): 10 * bits + steps for bits in (3.0, 2.0) for steps in (4, 0)}
    frames = {key: np.full((2, 2, 3), shade, np.uint8) for key, shade in shades.items()}
    sheet = diffusion.contact_sheet(frames, np.full((2, 2, 3), 99, np.uint8))
    shown = [int(axis.images[0].get_array()[0, 0, 0]) for axis in sheet.axes]
    assert shown == [20, 24, 99, 30, 34, 99]
    titles = [axis.get_title() for axis in sheet.axes]
    assert titles == ["0 steps", "4 steps", "truth", "", "", ""]
    assert [axis.get_ylabel() for axis in sheet.axes] == ["2 bits", "", "", "3 bits", "", ""]


@pytest.mark.parametrize("arguments", [["--steps", "-1"], ["--steps", "x"], ["--out", "table.png"]])
def test_wrong_options_are_refused(diffusion, arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        diffusion.main(["run", *arguments])
    assert "error: " in capsys.readouterr().err.splitlines()[-1]


def test_a_run_that_is_none_is_told_in_one_line(diffusion, tmp_path, capsys):
    assert diffusion.main([str(tmp_path / "nothing")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("diffusion: ")
    assert "nothing" in line
