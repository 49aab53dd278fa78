import jax
import numpy as np
import pytest
from tiny import call

from vdd.models.readout import TileReadout

CONTENT, MOTION = np.ones((2, 3, 4), np.float32), np.ones((2, 5, 6), np.float32)


def readout(tiles: int) -> TileReadout:
    return TileReadout(width=8, num_layers=2, tiles=tiles, tile_width=3, shape=(4, 6, 2))


def test_each_tile_is_drawn_by_a_matrix_of_its_own_in_its_place():
    drawer = readout(2)
    params = jax.jit(drawer.init)(jax.random.key(0), CONTENT, MOTION)["params"]
    params = jax.tree.map(np.asarray, params)
    assert params["out_kernel"].shape == (4, 3, 2 * 3 * 2)

    def drawn(name, tile, place, value):
        changed = params[name].copy()
        changed[tile, place] = value
        return np.asarray(call(drawer, {**params, name: changed}, None, CONTENT, MOTION))

    plain = np.asarray(call(drawer, params, None, CONTENT, MOTION))
    assert plain.shape == (2, 5, 4, 6, 2)
    for tile in range(4):
        # One number of a tile's bias is one channel of one place of the frame.
        place = (1 * 3 + 2) * 2 + 1  # row 1, column 2, channel 1 of the tile
        moved = drawn("out_bias", tile, place, params["out_bias"][tile, place] + 1.0)
        difference = moved - plain
        expected = np.zeros((4, 6, 2))
        expected[2 * (tile // 2) + 1, 3 * (tile % 2) + 2, 1] = 1.0
        np.testing.assert_allclose(
            difference, np.broadcast_to(expected, difference.shape), atol=1e-6
        )
        changed = np.any(drawn("out_kernel", tile, slice(None), 0.0) != plain, axis=(0, 1, 4))
        rows, columns = np.nonzero(changed)
        assert set(rows // 2) == {tile // 2}
        assert set(columns // 3) == {tile % 2}


def test_tiles_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="4x6 cannot be cut in 3x3"):
        readout(3)
    with pytest.raises(ValueError, match="tiles=0: it must be at least 1"):
        readout(0)
