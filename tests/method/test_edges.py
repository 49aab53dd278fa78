"""The term that asks for edges in their places."""

import jax.numpy as jnp
import numpy as np

from vdd.method import losses


def edges(error) -> float:
    return float(losses.edges(losses.Evidence(codes=None, drive=None, error=jnp.asarray(error))))


def test_an_error_that_is_the_same_everywhere_moves_no_edge():
    assert edges(np.full((2, 3, 4, 4, 3), 0.7, np.float32)) == 0.0


def test_it_is_the_error_of_the_differences_down_and_across():
    rng = np.random.default_rng(0)
    error = rng.normal(size=(2, 3, 4, 5, 3)).astype(np.float32)
    expected = np.mean(np.diff(error, axis=2) ** 2) + np.mean(np.diff(error, axis=3) ** 2)
    np.testing.assert_allclose(edges(error), expected, rtol=1e-5)


def test_an_edge_in_the_wrong_place_costs_more_than_a_soft_one_of_equal_squared_error():
    true = np.zeros((1, 1, 2, 24, 1), np.float32)
    true[..., 12:, :] = 1.0
    shifted = np.zeros_like(true)
    shifted[..., 13:, :] = 1.0
    ramp = np.clip((np.arange(24) - 5.5) / 12, 0, 1)  # from 0 to 1 in twelve pixels
    moved, softened = shifted - true, ramp[:, None].astype(np.float32) - true
    softened *= np.linalg.norm(moved) / np.linalg.norm(softened)  # by less than a hundredth
    np.testing.assert_allclose(
        softened + true, np.broadcast_to(ramp[:, None], true.shape), atol=0.01
    )
    np.testing.assert_allclose(np.mean(softened**2), np.mean(moved**2), rtol=1e-6)
    assert edges(moved) > 2 * edges(softened)
