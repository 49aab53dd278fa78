"""The protocol of Universal LPC, on made-up characters: no art is needed."""

import json

import lpc_world as world
import numpy as np
import pytest

from vdd.evaluation.measure import Measure
from vdd.evaluation.universal_lpc import features, page, protocol


def cast():
    """Characters of which half wear something new, each in two clips."""
    people = [world.KNOWN, world.BEARDED, world.NEW, world.NEW_BEARD]
    return [*people, *people]


def figures(channels=3, quick=False, **wrong):
    clips = world.clips_of(cast(), channels=channels)

    def draw(parts, cells):
        return world.draw(parts, cells, channels)

    frames = world.clips_of(cast(), seed=1).video.reshape(-1, world.SIZE, world.SIZE, 3)
    truth = protocol.Truth(draw, world.WARDROBE, None if quick else features.fit(frames))
    how = Measure(3, "universal_lpc", "test_parts", batch_size=4, show_progress=False)
    return protocol.evaluate(world.model(channels=channels, **wrong), clips, truth, how, quick)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_model_that_knows_all_is_right(channels):
    report = figures(channels)
    for part in ("reconstruction", "transfer"):
        assert report[part]["pose_acc"] == 1.0
        assert report[part]["ssim"] == pytest.approx(1.0)
        assert report[part]["figure_psnr"] > 100.0
        assert report[part]["sharpness"] == pytest.approx(1.0)
        assert report[part]["laplacian_power"] == pytest.approx(1.0)
        assert report[part]["frechet"] == pytest.approx(0.0, abs=1e-3)
        assert report[part]["psnr"] is None  # infinite
        assert report[part].get("alpha_iou") == (1.0 if channels == 4 else None)
    assert report["parts"]["mean"] == report["parts"]["hair"] == 1.0
    assert report["parts"]["cape"] is None
    assert report["carried"] == {"carried": 1.0, "twin": 1.0, "floor": 0.0, "num_pairs": 4}
    assert report["codes"]["same_code"] == 1.0
    assert report["codes"]["information_bits"] == report["codes"]["cell_bits"]
    assert report["leakage"]["sex_chance"] == 1.0
    assert (report["num_clips"], report["split"], report["step"]) == (8, "test_parts", 3)
    assert report["bitrate"]["content_bits_per_clip"] == 7.0


def test_a_wrong_pose_is_no_wrong_look():
    def undress(parts):
        parts[world.AT["legs"]] += 1
        return parts

    pose, look = figures(play=lambda cells: (cells + 1) % 178), figures(show=undress)
    assert pose["transfer"]["pose_acc"] < 0.1
    assert pose["parts"]["legs"] == 1.0
    assert look["transfer"]["pose_acc"] == 1.0  # the nearest cell is still the right one
    assert look["transfer"]["figure_psnr"] < 40.0
    assert look["transfer"]["psnr"] > look["transfer"]["figure_psnr"]
    assert look["parts"]["legs"] == 0.0
    assert look["parts"]["hair"] == 1.0
    assert look["transfer"]["frechet"] > pose["transfer"]["frechet"] > 0


def test_a_look_while_training_is_at_pose_pixels_and_parts():
    report = figures(quick=True)
    assert set(report["transfer"]) == {"pose_acc", "psnr", "figure_psnr", "ssim"}
    assert report["parts"]["mean"] == 1.0
    assert not {"carried", "codes", "leakage"} & set(report)
    assert page.sections(report)


def test_the_page_shows_all_tables_and_the_report_is_json():
    report = figures(4)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    shown = "\n\n".join(page.sections(report))
    for line in (
        "| pose | 100.00 % | 100.00 % |",
        "| alpha, intersection over union | 100.00 % | 100.00 % |",
        "| Fréchet distance | 0.0 | 0.0 |",
        "| cape | – |",
        "| mean | 100.00 % |",
        "| floor: twins, nearer to the new character's truth | 0.00 % |",
        "| two people in one cell have one code | 100.00 % |",
    ):
        assert line in shown
    assert "| sex, from the clip's codes | 100.00 % | 100.00 % |" in shown
    known = dict(report, carried={**report["carried"], "num_pairs": 0})
    assert "New parts" not in "\n\n".join(page.sections(known))


@pytest.mark.parametrize("count", [2, 3, 50])
def test_everybody_gets_the_motion_of_another(count):
    partner = protocol.partners(count, seed=1)
    assert sorted(partner) == list(range(count))
    assert not np.any(partner == np.arange(count))
