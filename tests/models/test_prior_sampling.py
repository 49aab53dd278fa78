from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import perturbed

from vdd.models.prior import MotionPrior
from vdd.models.prior_sampling import sample_codes, truncated

PRIOR = MotionPrior(
    num_groups=2, num_codes=4, width=16, time_layers=2, group_layers=1, num_heads=2, mlp_dim=16,
    window=3,
)  # fmt: skip
CLIPS, FRAMES = 3, 7
KEYS = jax.random.split(jax.random.key(0), CLIPS)
ZEROS = np.zeros((1, FRAMES, 2), np.int32)
PARAMS = perturbed(jax.eval_shape(PRIOR.init, jax.random.key(0), ZEROS)["params"])
START = np.random.default_rng(0).integers(0, 4, (CLIPS, 2, 2), np.int32)

compiled = jax.jit(partial(sample_codes, PRIOR, PARAMS), static_argnums=1)
logits_of = jax.jit(partial(PRIOR.apply, {"params": PARAMS}))


def sample(keys, start, temperature=1.0):
    return np.asarray(compiled(keys, FRAMES, start, temperature, 1.0))


def test_the_likeliest_codes_are_those_that_all_logits_at_once_name():
    codes = sample(KEYS, START, temperature=0.0)
    np.testing.assert_array_equal(codes[:, :2], START)
    logits = logits_of(codes)
    np.testing.assert_array_equal(codes[:, 2:], jnp.argmax(logits, -1)[:, 2:])
    assert len(np.unique(codes[:, 2:], axis=0)) > 1, "the start decides nothing: a weak test"


def test_codes_are_drawn_as_often_as_the_logits_say():
    count = 4000
    codes = np.asarray(compiled(jax.random.split(jax.random.key(1), count), 2))
    joint = np.zeros((4,) * 4)
    np.add.at(joint, tuple(codes.reshape(count, 4).T), 1 / count)
    every = np.indices((4,) * 4).reshape(4, -1).T.reshape(-1, 2, 2).astype(np.int32)
    log_p = jax.nn.log_softmax(logits_of(every), -1)
    log_p = jnp.take_along_axis(log_p, every[..., None], -1).sum((1, 2, 3))
    expected = np.exp(np.asarray(log_p)).reshape(joint.shape)
    assert expected.sum() == pytest.approx(1.0, abs=1e-5)
    # Five standard deviations of each count.
    assert (np.abs(joint - expected) < 5 * np.sqrt(expected / count) + 1e-3).all()


def test_a_clip_does_not_depend_on_the_others_and_its_key_decides():
    codes = sample(KEYS, START)
    np.testing.assert_array_equal(sample(KEYS[::-1], START[::-1])[::-1], codes)
    assert not np.array_equal(sample(KEYS[::-1], START), codes)


def test_only_the_likeliest_codes_are_left():
    probability = np.array([[0.1, 0.5, 0.05, 0.35], [0.25, 0.25, 0.3, 0.2]], np.float32)
    for top_p, kept in (
        (1.0, [[1, 1, 1, 1], [1, 1, 1, 1]]),
        (0.79, [[0, 1, 0, 1], [1, 1, 1, 0]]),
        (0.6, [[0, 1, 0, 1], [1, 1, 1, 0]]),
        (0.1, [[0, 1, 0, 0], [0, 0, 1, 0]]),
        (0.0, [[0, 1, 0, 0], [0, 0, 1, 0]]),
    ):
        left = np.isfinite(truncated(jnp.log(probability), top_p))
        np.testing.assert_array_equal(left, np.array(kept, bool), err_msg=f"top_p {top_p}")


def test_at_1_no_code_is_left_out_however_many_and_unlikely():
    logits = np.random.default_rng(0).normal(0, 3, (8, 1024)).astype(np.float32)
    for top_p in (1.0, jnp.float32(1)):
        np.testing.assert_array_equal(truncated(jnp.asarray(logits), top_p), logits)
    assert not np.isfinite(truncated(jnp.asarray(logits), 0.999)).all()
