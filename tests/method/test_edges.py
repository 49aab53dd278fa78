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


def test_an_edge_in_the_wrong_place_costs_more_than_a_soft_one():
    true = np.zeros((1, 1, 2, 12, 1), np.float32)
    true[..., 6:, :] = 1.0
    shifted, soft = np.roll(true, 2, axis=3), true.copy()
    shifted[..., :2, :] = 0.0
    soft[..., 4:8, 0] = np.linspace(0.2, 0.8, 4)
    assert edges(shifted - true) > 2 * edges(soft - true)
