import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import call, normal

from vdd.method import losses
from vdd.method import quantizer as q
from vdd.models.layers import rms_normalize

GROUPS, CODES, DIM = 2, 6, 4
BOOK = q.Codebook(GROUPS, CODES, DIM)
STRAIGHT = q.StraightThroughQuantizer(BOOK, alpha=2.0)
GUMBEL = q.GumbelQuantizer(BOOK, alpha=2.0, temperature=0.7)
WORDS = normal(0, GROUPS, CODES, DIM)
MOTION = jnp.asarray(3.0 * np.asarray(normal(1, 3, 5, GROUPS * DIM)))


@functools.partial(jax.jit, static_argnames="module")
def quantize(motion, rng=None, words=WORDS, module=STRAIGHT):
    return module.apply({"params": {"codebook": {"codewords": words}}}, motion, rng)


def seen(codes):
    return losses.Evidence(codes, drive=None, error=None)


@jax.jit
def codebook(codes):
    return losses.codebook(seen(codes))


@jax.jit
def commitment(codes):
    return losses.commitment(seen(codes))


def split(motion):
    return rms_normalize(motion.reshape(*motion.shape[:-1], GROUPS, DIM))


@pytest.fixture(scope="module")
def reference():
    """The public quantiser of each group, on the codewords as we normalise them."""
    reason = "parity with PyTorch needs the bench extra: pip install -e .[bench]"
    torch = pytest.importorskip("torch", reason=reason)
    public = pytest.importorskip("vector_quantize_pytorch", reason=reason)
    groups = []
    for words in np.asarray(rms_normalize(WORDS)):
        group = public.VectorQuantize(dim=DIM, codebook_size=CODES, rotation_trick=False)
        group._codebook.embed.data.copy_(torch.tensor(words)[None])
        groups.append(group.train())

    def run(motion):
        vectors = torch.tensor(np.asarray(split(motion)), requires_grad=True)
        found = [g(vectors[..., n, :], freeze_codebook=True) for n, g in enumerate(groups)]
        quantized, codes, losses = zip(*found, strict=True)
        loss = torch.stack(losses).mean()  # ours is the mean over groups too
        loss.backward()
        assert vectors.grad is not None
        return (
            torch.cat(quantized, -1).detach().numpy(),
            torch.stack(codes, -1).numpy(),
            loss.item(),
            vectors.grad.numpy(),
        )

    return run


def test_same_as_public_quantiser(reference):
    quantized, codes, loss, by_vectors = reference(MOTION)
    ours = quantize(MOTION)
    np.testing.assert_array_equal(ours.codes, codes)
    np.testing.assert_allclose(ours.quantized, quantized, atol=1e-5)
    assert float(commitment(ours)) == pytest.approx(loss, rel=1e-5)
    gradient = jax.jit(jax.grad(lambda v: commitment(ours._replace(vectors=v))))(ours.vectors)
    np.testing.assert_allclose(gradient, by_vectors, atol=1e-6)


def test_nearest_codeword():
    vectors, words = np.asarray(split(MOTION)), np.asarray(rms_normalize(WORDS))
    distance = np.linalg.norm(vectors[..., None, :] - words[None, None], axis=-1)
    ours = quantize(MOTION)
    np.testing.assert_array_equal(ours.codes, distance.argmin(-1))
    soft = np.exp(-2.0 * distance)
    np.testing.assert_allclose(ours.assignment, soft / soft.sum(-1, keepdims=True), rtol=1e-4)


def test_scale_of_motion_and_codewords_does_not_matter():
    a, b = quantize(MOTION), quantize(7.0 * MOTION, words=10.0 * WORDS)
    np.testing.assert_allclose(a.quantized, b.quantized, atol=1e-3)
    np.testing.assert_allclose(a.assignment, b.assignment, atol=1e-3)


@pytest.mark.parametrize("module", [STRAIGHT, GUMBEL], ids=["straight_through", "gumbel"])
def test_quantising_twice_changes_nothing(module):
    once = quantize(MOTION, module=module)
    twice = quantize(once.quantized, module=module)
    np.testing.assert_array_equal(once.codes, twice.codes)
    np.testing.assert_allclose(once.quantized, twice.quantized, atol=1e-5)
    assert np.abs(once.quantized - MOTION).max() > 0.1


@pytest.mark.parametrize("rng", [None, jax.random.key(5)], ids=["nearest", "drawn"])
@pytest.mark.parametrize("module", [STRAIGHT, GUMBEL], ids=["straight_through", "gumbel"])
def test_lookup_is_what_was_quantised(module, rng):
    codes = quantize(MOTION, rng, module=module)
    found = call(BOOK, {"codewords": WORDS}, q.Codebook.lookup, codes.codes)
    np.testing.assert_allclose(found, codes.quantized, atol=1e-6)
    np.testing.assert_allclose(found, codes.codewords.reshape(found.shape), atol=1e-6)


def test_straight_through_gradient_is_identity_on_the_normalised_vectors():
    weight = normal(2, *MOTION.shape)
    through = jax.jit(jax.grad(lambda m: jnp.sum(weight * quantize(m).quantized)))(MOTION)
    identity = jax.jit(jax.grad(lambda m: jnp.sum(weight * split(m).reshape(m.shape))))(MOTION)
    np.testing.assert_allclose(through, identity, atol=1e-6)
    assert np.abs(identity).max() > 0.1


def test_codebook_loss_moves_codewords_and_commitment_loss_vectors():
    def gradients(loss):
        given = jax.grad(lambda m, w: loss(quantize(m, words=w)), argnums=(0, 1))
        return jax.device_get(jax.jit(given)(MOTION, WORDS))

    by_motion, by_words = gradients(codebook)
    assert not by_motion.any()
    assert by_words.any()
    # Only codewords that were chosen move.
    codes = np.asarray(quantize(MOTION).codes)
    chosen = (codes[..., None] == np.arange(CODES)).any((0, 1))
    np.testing.assert_array_equal(np.abs(by_words).max(-1) > 0, chosen)
    by_motion, by_words = gradients(commitment)
    assert by_motion.any()
    assert not by_words.any()


def test_losses_are_small_steps_towards_one_another():
    @jax.jit
    def apart(m, w):
        return commitment(quantize(m, words=w))

    by_words = jax.jit(jax.grad(lambda w: codebook(quantize(MOTION, words=w))))(WORDS)
    by_motion = jax.jit(jax.grad(lambda m: commitment(quantize(m))))(MOTION)
    motion, words, by_words, by_motion = jax.device_get((MOTION, WORDS, by_words, by_motion))
    assert apart(motion, words - 0.1 * by_words) < apart(motion, words)
    assert apart(motion - 0.1 * by_motion, words) < apart(motion, words)


def test_gumbel_without_rng_takes_the_nearest():
    np.testing.assert_array_equal(quantize(MOTION, module=GUMBEL).codes, quantize(MOTION).codes)


def test_gumbel_draws_by_the_assignment():
    first = np.asarray(MOTION)[:1, :1]
    one = quantize(np.tile(first, (4000, 1, 1)), jax.random.key(3), module=GUMBEL)
    one = jax.device_get(one)
    frequency = (one.codes[..., None] == np.arange(CODES)).mean((0, 1))
    np.testing.assert_allclose(frequency, one.assignment[0, 0], atol=0.03)

    @jax.jit
    def by_distance(motion):
        distance = q.pairwise_distances(split(motion), rms_normalize(WORDS))
        return jax.nn.softmax(-2.0 * distance)

    np.testing.assert_allclose(one.assignment[:1], by_distance(first), atol=1e-5)
    assert float(one.assignment[0, 0].min()) < 0.1 < float(one.assignment[0, 0].max())


@pytest.mark.parametrize("rng", [None, jax.random.key(4)], ids=["nearest", "drawn"])
def test_gumbel_gradients_reach_motion_and_all_codewords(rng):
    weight = normal(2, *MOTION.shape)

    def f(m, w):
        return jnp.sum(weight * quantize(m, rng, w, GUMBEL).quantized)

    by_motion, by_words = jax.jit(jax.grad(f, argnums=(0, 1)))(MOTION, WORDS)
    assert np.isfinite(by_motion).all()
    assert (np.abs(by_motion).max(-1) > 1e-6).all()
    assert (np.abs(by_words).max(-1) > 1e-6).all()


def test_gradients_are_finite_where_vectors_sit_on_codewords():
    motion = np.asarray(jax.jit(rms_normalize)(WORDS))[:, 0].reshape(1, 1, -1)

    def f(m, w):
        codes = quantize(m, words=w)
        return jnp.sum(codes.assignment**2) + codebook(codes)

    for gradient in jax.jit(jax.grad(f, argnums=(0, 1)))(motion, WORDS):
        assert np.isfinite(gradient).all()


@functools.partial(jax.jit, static_argnames=("threshold", "rate"))
def revive(usage, threshold=0.1, rate=1.0):
    key = jax.random.key(0)
    return q.Revival(0.99, threshold, rate).revive(key, WORDS, usage, split(MOTION))


def test_dead_codewords_move_onto_vectors_of_their_group():
    usage = jnp.full((GROUPS, CODES), 1.0 / CODES).at[0, 2].set(0.001).at[1, 4].set(0.016)
    book, updated = revive(usage)
    dead = np.zeros((GROUPS, CODES), bool)
    dead[0, 2] = dead[1, 4] = True
    np.testing.assert_array_equal(np.asarray(book)[~dead], np.asarray(WORDS)[~dead])
    np.testing.assert_allclose(updated, np.full((GROUPS, CODES), 1.0 / CODES), rtol=1e-6)
    for group, code in np.argwhere(dead):
        pool = np.asarray(split(MOTION))[:, :, group].reshape(-1, DIM)
        assert np.isclose(pool, np.asarray(book)[group, code], rtol=1e-5).all(-1).any()


def test_a_share_at_the_threshold_is_alive_and_rate_0_never_revives():
    usage = jnp.full((GROUPS, CODES), 1.0 / CODES).at[0, 2].set(0.0167)
    np.testing.assert_array_equal(revive(usage)[0], WORDS)
    for book, updated in (revive(0.0 * usage, rate=0.0), revive(0.0 * usage, threshold=0.0)):
        np.testing.assert_array_equal(book, WORDS)
        np.testing.assert_array_equal(updated, 0.0 * usage)


def test_dead_codewords_are_revived_at_the_rate():
    keys = jax.random.split(jax.random.key(0), 60)
    dead = jnp.zeros((GROUPS, CODES))

    @jax.jit
    @jax.vmap
    def books(key):
        return q.Revival(0.99, 0.1, 0.5).revive(key, WORDS, dead, split(MOTION), pace=0.5)[0]

    moved = np.mean(np.any(np.asarray(books(keys)) != np.asarray(WORDS)[None], axis=-1))
    assert 0.19 < moved < 0.31


@jax.jit
def static_motion(codes):
    return losses.static_motion(seen(codes))


def static_share(vectors):
    codes = quantize(MOTION)._replace(vectors=jnp.asarray(vectors))
    return float(static_motion(codes))


def test_motion_that_never_moves_is_static_and_motion_with_one_mean_is_not():
    rng = np.random.default_rng(0)
    who = np.repeat(rng.normal(size=(3, 1, GROUPS, DIM)), 5, axis=1)
    moves = rng.normal(size=(3, 5, GROUPS, DIM))
    moves -= moves.mean(axis=1, keepdims=True)
    assert static_share(who) == pytest.approx(1.0)
    assert static_share(moves) == pytest.approx(0.0, abs=1e-6)
    assert static_share(0.1 * (who + moves)) == pytest.approx(static_share(who + moves), rel=1e-5)
    assert 0.2 < static_share(who + moves) < 0.8
    # The variance within clips and that of their means add up, group by group.
    share = [
        np.var(x.mean(1), axis=0).sum() / np.var(x.reshape(-1, DIM), axis=0).sum()
        for x in np.moveaxis(who + moves, 2, 0)
    ]
    assert static_share(who + moves) == pytest.approx(np.mean(share), rel=1e-5)


@pytest.mark.parametrize("kind", [q.StraightThroughQuantizer, q.GumbelQuantizer])
def test_no_device_shortens_what_decides_on_a_codeword(kind):
    quantizer, motion = kind(q.Codebook(2, 5, 4), alpha=2.0), jnp.ones((1, 3, 8))
    params = jax.eval_shape(quantizer.init, jax.random.key(0), motion)
    program = str(jax.make_jaxpr(quantizer.apply)(params, motion))
    products = re.findall(r"dot_general\[.*?\]\s", program, re.DOTALL)
    assert products
    for product in products:
        assert product.count("Precision.HIGHEST") == 2  # of both factors
