import numpy as np
import pytest

from vdd.data.codes import crops
from vdd.errors import UserError

CLIPS, LENGTH = 5, 6
# The code tells its clip and its frame.
CODES = np.arange(CLIPS * LENGTH, dtype=np.int32).reshape(CLIPS, LENGTH, 1) * np.ones(2, np.int32)
SETTINGS = {"frames": 9, "start_share": 0.5, "loop": True}


def take(iterator, count):
    return [next(iterator) for _ in range(count)]


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])


def test_a_crop_goes_round_its_clip_and_its_first_frame_is_scored_at_the_beginning_alone():
    batch = next(crops(CODES, 64, 0, **SETTINGS))
    clip, frame = np.divmod(batch["codes"][..., 0], LENGTH)
    np.testing.assert_array_equal(np.diff(frame, axis=1) % LENGTH, 1)
    np.testing.assert_array_equal(clip, clip[:, :1].repeat(9, 1))
    np.testing.assert_array_equal(batch["scored"][:, 0], frame[:, 0] == 0)
    assert batch["scored"][:, 1:].all()
    assert 0.4 < np.mean(frame[:, 0] == 0) < 0.8
    assert set(frame[:, 0]) == set(range(LENGTH))


def test_without_loop_a_crop_ends_with_its_clip():
    batch = next(crops(CODES, 64, 0, frames=4, start_share=0.0, loop=False))
    frame = batch["codes"][..., 0] % LENGTH
    assert set(frame[:, 0]) == {0, 1, 2}
    np.testing.assert_array_equal(np.diff(frame, axis=1), 1)
    with pytest.raises(UserError, match="clips have 6 frames"):
        crops(CODES, 64, 0, frames=7, start_share=0.0, loop=False)


def test_a_resumed_iterator_goes_on_exactly_and_the_seed_decides():
    def new(seed=3):
        return crops(CODES, 4, seed, **SETTINGS)

    whole, begun = new(), new()
    expected = take(whole, 5)
    take(begun, 2)
    resumed = new()
    resumed.set_state(begun.get_state())
    assert_same(take(resumed, 3), expected[2:])
    assert not np.array_equal(next(new(seed=4))["codes"], expected[0]["codes"])


def test_processes_share_the_global_batch():
    whole = take(crops(CODES, 8, 0, **SETTINGS), 2)
    halves = [
        take(crops(CODES, 8, 0, **SETTINGS, process_index=i, process_count=2), 2) for i in (0, 1)
    ]
    joined = [
        {key: np.concatenate([a[key], b[key]]) for key in a} for a, b in zip(*halves, strict=True)
    ]
    assert_same(joined, whole)
