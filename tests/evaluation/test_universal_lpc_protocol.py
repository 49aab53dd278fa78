"""The protocol of Universal LPC, on characters of one colour a part: no art is needed."""

import numpy as np
import pytest

from vdd.data.universal_lpc import NUM_CELLS, Clips
from vdd.evaluation.inference import Encoded, Functions
from vdd.evaluation.universal_lpc import page, protocol

SIZE = 16


def draw(parts, cells):
    """A bar that stands where the cell says, in the colour of the part, on grey."""
    video = np.full((len(cells), SIZE, SIZE, 3), 96, np.uint8)
    for frame, cell in zip(video, np.asarray(cells)):
        frame[cell % SIZE, :, :] = [255, 40 * int(parts[0]), 0]
        frame[:, cell // SIZE, :] = [0, 255, 0]
    return video


def clips(count=6, frames=5):
    rng = np.random.default_rng(0)
    parts = np.arange(count, dtype=np.int32)[:, None]
    cell = rng.integers(0, NUM_CELLS, (count, frames)).astype(np.int32)
    return Clips(np.stack([draw(p, c) for p, c in zip(parts, cell)]), cell, parts)


def functions(wrong_pose=0, wrong_look=0):
    """A model that knows everything: content is the part, motion the cell."""
    known = clips()

    def encode(video):
        rows = [int(np.flatnonzero((known.video == one).all((1, 2, 3, 4)))[0]) for one in video]
        content = known.parts[rows][:, None].astype(np.float32)
        motion = known.cell[rows][..., None].astype(np.float32)
        return Encoded(content, motion, motion.astype(np.int32), np.full(len(rows), 7.0))

    def sample(keys, content, motion):
        return np.stack(
            [
                draw(c[0].astype(int) + wrong_look, m[:, 0].astype(int) + wrong_pose)
                for c, m in zip(np.asarray(content), np.asarray(motion))
            ]
        )

    return Functions(encode, sample, num_codewords=NUM_CELLS)


def figures(**wrong):
    return protocol.evaluate(
        functions(**wrong), clips(), draw, step=3, split="validation", batch_size=4,
        show_progress=False,
    )  # fmt: skip


def test_a_model_that_knows_all_is_right():
    report = figures()
    for part in ("reconstruction", "transfer"):
        assert report[part]["pose_acc"] == 1.0
        assert report[part]["ssim"] == pytest.approx(1.0)
        assert report[part]["figure_psnr"] > 100.0
    assert (report["num_clips"], report["split"], report["step"]) == (6, "validation", 3)
    assert report["bitrate"]["content_bits_per_clip"] == 7.0
    assert any("100.00 %" in section for section in page.sections(report))


def test_a_wrong_pose_is_no_wrong_look():
    pose, look = figures(wrong_pose=1), figures(wrong_look=1)
    assert pose["transfer"]["pose_acc"] < 0.1
    assert look["transfer"]["pose_acc"] == 1.0  # the nearest cell is still the right one
    assert look["transfer"]["figure_psnr"] < 40.0
    assert look["transfer"]["psnr"] > look["transfer"]["figure_psnr"]


def test_cells_that_are_nearly_equal_count_as_one():
    sheet = np.zeros((3, 4, 4, 3), np.uint8)
    sheet[1, 0, 0] = 1  # hardly another cell
    sheet[2] = 200
    right = protocol.poses_right(sheet[[1, 2, 2]], sheet, np.array([0, 2, 1]))
    np.testing.assert_array_equal(right, [True, True, False])


@pytest.mark.parametrize("count", [2, 3, 50])
def test_everybody_gets_the_motion_of_another(count):
    partner = protocol.partners(count, seed=1)
    assert sorted(partner) == list(range(count))
    assert not np.any(partner == np.arange(count))
