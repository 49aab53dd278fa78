"""Heads that the package draws."""

import numpy as np

from vdd.data import drawn_faces


def test_heads_begin_at_rest_move_and_are_not_alike():
    clips = np.stack([drawn_faces.clip(seed, side=32) for seed in range(drawn_faces.COUNT)])
    assert clips.shape == (drawn_faces.COUNT, drawn_faces.FRAMES, 32, 32, 3)
    assert clips.dtype == np.uint8
    assert len(np.unique(clips[:, 0], axis=0)) == drawn_faces.COUNT
    moved = np.abs(clips[:, 1:].astype(int) - clips[:, :1]).mean((1, 2, 3, 4))
    assert moved.min() > 1
    rest = drawn_faces.picture(3, drawn_faces.Pose(), 32)
    np.testing.assert_array_equal(clips[3, 0], rest)


def test_a_head_that_turns_takes_its_face_along():
    rest, left, right = (
        drawn_faces.picture(0, drawn_faces.Pose(turn=turn), 64).astype(int) for turn in (0, -1, 1)
    )
    for turned, half in ((left, np.s_[:, :32]), (right, np.s_[:, 32:])):
        dark = lambda frame, half=half: (frame[half].sum(-1) < 200).sum()  # noqa: E731  # pupils
        assert dark(turned) > dark(rest)
