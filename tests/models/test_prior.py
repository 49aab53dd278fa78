from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import perturbed

from vdd.models.prior import MotionPrior

BATCH, FRAMES, GROUPS, CODES, WINDOW = 2, 9, 3, 5, 5
PRIOR = MotionPrior(
    num_groups=GROUPS, num_codes=CODES, width=16, time_layers=2, group_layers=1, num_heads=2,
    mlp_dim=24, window=WINDOW,
)  # fmt: skip


def random_codes(seed=0, groups=GROUPS):
    rng = np.random.default_rng(seed)
    return rng.integers(0, CODES, (BATCH, FRAMES, groups), np.int32)


def with_params(prior):
    codes = random_codes(groups=prior.num_groups)
    shapes = jax.eval_shape(prior.init, jax.random.key(0), codes)
    return perturbed(shapes["params"])


PARAMS = with_params(PRIOR)


@jax.jit
def logits_of(codes):
    return PRIOR.apply({"params": PARAMS}, codes)


def cached_logits(prior, params, codes):
    """The logits of known codes, one frame and one group after the other."""
    variables = {"params": params}

    def group(carry, at):
        state, cache = carry
        j, before = at
        logits, cache = prior.apply(variables, state, cache, j, before, method=prior.group_step)
        return (state, cache), logits

    def frame(cache, at):
        t, before, now = at
        state, cache = prior.apply(variables, cache, t, before, method=prior.advance)
        shifted = jnp.roll(now, 1, axis=1).T
        groups = prior.empty_group_cache(len(now))
        _, logits = jax.lax.scan(group, (state, groups), (jnp.arange(len(shifted)), shifted))
        return cache, logits

    frames = jnp.moveaxis(codes, 1, 0)
    before = jnp.roll(frames, 1, axis=0)  # frame 0 gets a wrong one: it must not look
    cache = prior.empty_cache(len(codes))
    _, logits = jax.lax.scan(frame, cache, (jnp.arange(len(frames)), before, frames))
    return jnp.transpose(logits, (2, 0, 1, 3))


def test_each_code_sees_those_before_it_within_the_window_and_no_other():
    """By gradients through every embedding, of every logit in turn."""
    codes = random_codes()
    base = jax.nn.one_hot(codes, CODES)

    def through(soft):
        """The logits as a function of soft codes: tables looked up are linear in them."""
        nudged = dict(PARAMS)
        position = jnp.arange(BATCH * FRAMES * GROUPS).reshape(codes.shape)
        # Every code gets a codeword of its own, row `position` of longer tables.
        rows = soft.reshape(-1, CODES)
        nudged["frame_embedding"] = jnp.einsum("pk,nkd->npd", rows, PARAMS["frame_embedding"])
        nudged["group_embedding"] = jnp.einsum("pk,nkd->npd", rows, PARAMS["group_embedding"])
        nudged["head"] = jnp.repeat(PARAMS["head"][..., :1], len(rows), axis=2)
        prior = PRIOR.clone(num_codes=len(rows))
        logits: Any = prior.apply({"params": nudged}, position)
        return logits[..., 0]

    reached = jax.jit(jax.jacrev(lambda soft: through(soft)[0]))(base)
    reached = np.any(reached != 0, axis=-1)  # [t j, b s i]
    assert not reached[:, :, 1].any(), "clips see each other"
    seen = reached[:, :, 0]
    t, j, s, i = np.indices(seen.shape)
    reach = (PRIOR.span - 1) * PRIOR.time_layers + 1
    assert reach == WINDOW
    expected = ((s < t) & (s >= t - WINDOW)) | ((s == t) & (i < j))
    np.testing.assert_array_equal(seen, expected)


def test_what_lies_before_the_window_changes_nothing():
    codes = random_codes()
    other = codes.copy()
    other[:, 0] = (other[:, 0] + 1) % CODES
    a, b = logits_of(codes), logits_of(other)
    np.testing.assert_array_equal(a[:, WINDOW + 1 :], b[:, WINDOW + 1 :])
    assert (np.abs(a - b)[:, 1 : WINDOW + 1].max(axis=(0, 2, 3)) > 1e-4).all()


def test_caches_give_the_logits_of_all_at_once_also_past_the_window():
    codes = random_codes()
    assert WINDOW < FRAMES
    whole = logits_of(codes)
    assert whole.shape == (BATCH, FRAMES, GROUPS, CODES)
    assert whole.dtype == jnp.float32
    cached = jax.jit(lambda codes: cached_logits(PRIOR, PARAMS, codes))(codes)
    np.testing.assert_allclose(cached, whole, atol=1e-5)


def test_one_group():
    prior = PRIOR.clone(num_groups=1)
    params = with_params(prior)
    assert "group_embedding" not in params
    codes = random_codes(groups=1)
    whole = jax.jit(prior.apply)({"params": params}, codes)
    cached = jax.jit(lambda codes: cached_logits(prior, params, codes))(codes)
    np.testing.assert_allclose(cached, whole, atol=1e-5)


def test_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match="num_heads=3: it must divide width"):
        PRIOR.clone(num_heads=3)
    with pytest.raises(ValueError, match="window=0: it must be at least 1"):
        PRIOR.clone(window=0)
