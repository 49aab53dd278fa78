"""Arrays whose rows lie in memory compressed."""

import functools

import numpy as np
import pytest
from ml_collections import ConfigDict

from vdd.data import in_memory, packed, pipeline, sprites
from vdd.data.sprites import SpritesArrays


def flat_colours(clips=20):
    """Clips of squares, one colour a clip: [n t h w c], no two alike."""
    colours = np.arange(clips * 3, dtype=np.uint8).reshape(clips, 1, 1, 1, 3)
    return np.broadcast_to(colours, (clips, 4, 16, 16, 3)).copy()


def noise(clips=20):
    return np.random.default_rng(0).integers(0, 256, (clips, 4, 16, 16, 3), np.uint8)


@pytest.mark.parametrize("make", [flat_colours, noise])
def test_rows_are_what_they_were(make):
    clips, rows = make(), np.array([3, 19, 0, 3])
    taken = packed.Packed(clips)[rows]
    np.testing.assert_array_equal(taken, clips[rows])
    assert taken.dtype == clips.dtype
    assert taken.flags.writeable  # as of any array that is taken from another


def test_only_what_gets_much_smaller_is_packed():
    labels = np.zeros((20, 4), np.int32)
    found = packed.pack({"video": flat_colours(), "latents": noise(), "attributes": labels})
    assert isinstance(found["video"], packed.Packed)
    assert len(found["video"]) == 20
    assert found["attributes"] is labels
    np.testing.assert_array_equal(found["latents"], noise())
    assert isinstance(found["latents"], np.ndarray)


def test_batches_are_the_same_packed_or_not():
    arrays = {"video": flat_colours(), "motion": np.arange(20, dtype=np.int32)}
    plain, small = (
        in_memory.in_memory(x, batch_size=8, seed=3) for x in (arrays, packed.pack(arrays))
    )
    for _ in range(5):
        one, other = next(plain), next(small)
        assert one.keys() == other.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], other[key])
    plain.close()
    small.close()


def test_clips_of_a_training_lie_packed_and_nowhere_else(monkeypatch):
    config = ConfigDict({"source": "in_memory", "dataset": "sprites", "art": "builtin"})
    config.update({"art_dir": None, "data_dir": None, "augment": "none", "permutation_seed": 423})
    given = {}

    def spy(arrays, *_, **__):
        given.update(arrays)

    few = SpritesArrays(flat_colours(4), np.arange(4), np.zeros((4, 4), np.int64))
    drawn = functools.lru_cache(lambda *_: few)
    monkeypatch.setattr(sprites, "_rendered", drawn)
    monkeypatch.setattr(pipeline, "in_memory", spy)
    pipeline.load_source(config, "validation", 2, 0)
    assert isinstance(given["video"], packed.Packed)
    assert drawn.cache_info().currsize == 0
