"""Clips with an alpha are measured over grey."""

import lpc_world as world
import numpy as np

from vdd.evaluation.universal_lpc.ground import alpha_iou, on_grey

CELLS = np.array([3, 40, 177])


def test_alpha_weighs_colour_and_grey():
    frame = np.array([[[[200, 0, 96, 0], [200, 0, 96, 255], [200, 0, 96, 128]]]], np.uint8)
    grey = on_grey(frame)[0, 0].tolist()
    # 200 * 128 / 255 + 96 * 127 / 255 = 148.2
    assert grey == [[96, 96, 96], [200, 0, 96], [148, 48, 96]]


def test_three_channels_pass_and_four_come_out_as_they_are_drawn_over_grey():
    over_grey = world.draw(world.BEARDED, CELLS)
    assert on_grey(over_grey) is over_grey
    np.testing.assert_array_equal(on_grey(world.draw(world.BEARDED, CELLS, 4)), over_grey)


def test_overlap_of_alpha():
    real, made = np.zeros((2, 1, 2, 4, 4), np.uint8)
    assert alpha_iou(real, made) == 1.0
    real[0, 0, :, 3], made[0, 0, 2:, 3], made[0, 1, :1, 3] = 128, 255, 255
    made[0, 1, 1:, 3] = 127
    assert alpha_iou(real, made) == 2 / 5
    assert alpha_iou(made, real) == 2 / 5
