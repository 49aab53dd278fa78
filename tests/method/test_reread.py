import jax
import jax.numpy as jnp
import numpy as np

from vdd.method import driving, losses, rates
from vdd.method.content import Content
from vdd.method.disentangler import Disentangler
from vdd.method.quantizer import Codes
from vdd.models.encoder import Features


def reread(content, quantized, own=0):
    """Content read again by a model whose pictures are content + motion, and the loss term."""

    def apply(method, *args):
        if method is Disentangler.mean:
            return args[0] + args[1]
        if method is Disentangler.encode_in_training:
            return Features(2.0 * args[0], args[0]), {}
        if method is Disentangler.quantize:
            vectors = args[0][..., None]
            return Codes(args[0].astype(int), args[0], vectors, vectors, jnp.inf * vectors)
        assert method is Disentangler.compress
        assert args[1] is not None  # content is drawn
        return Content(args[0], jnp.zeros(len(args[0])))

    codewords = 10.0 * quantized[..., None]
    rng = jax.random.key(0)
    again, found = driving._reread(
        apply, rng, content, quantized, codewords, quantized.astype(int), own
    )
    codes = Codes(*(quantized,) * len(Codes._fields))  # of the segments: no part of the term
    drive = driving.Drive(content, quantized, found)
    return again, losses.reread_commitment(losses.Evidence(codes, drive, error=None))


def test_content_is_read_again_from_a_swap_with_another_clip():
    content, quantized = 10.0 * jnp.arange(1, 7).reshape(6, 1, 1), jnp.arange(6.0).reshape(6, 1, 1)
    again, _ = reread(content, quantized)
    other = np.ravel(again / 2.0 - content)
    np.testing.assert_array_equal(np.sort(other), np.arange(6))
    assert np.all(other != np.arange(6))


def test_the_motion_of_a_swap_is_drawn_to_the_codewords_it_was_drawn_from():
    content, quantized = 10.0 * jnp.arange(1, 7).reshape(6, 1, 1), jnp.arange(6.0).reshape(6, 1, 1)
    again, miss = reread(content, quantized)
    other = np.ravel(again / 2.0 - content)  # the motion that the swap was drawn in
    told, drawn = np.ravel(content) + other, 10.0 * other
    np.testing.assert_allclose(miss, np.mean((told - drawn) ** 2), rtol=1e-6)


def test_a_swap_is_read_but_not_changed_by_it():
    def total(content, quantized):
        again, miss = reread(content, quantized)
        return again.sum() + miss

    ones = jnp.ones((4, 1, 1))
    assert not any(np.any(x) for x in jax.grad(total, argnums=(0, 1))(ones, ones))


def test_what_swaps_lose_is_told_beside_what_a_clip_loses_with_its_own_content():
    def apply(method, *args):  # a picture shows its content, and its motion if these go together
        if method is Disentangler.mean:
            return jnp.where(args[0] == args[1], args[1], -1.0)
        if method is Disentangler.encode_in_training:
            return Features(args[0], args[0]), {}
        if method is Disentangler.quantize:
            vectors = args[0][..., None]
            return Codes(args[0].astype(int), args[0], vectors, vectors, vectors)
        return Content(args[0], jnp.zeros(len(args[0])))

    clips = jnp.arange(8.0).reshape(8, 1, 1)
    _, found = driving._reread(apply, jax.random.key(0), clips, clips, clips, clips.astype(int), 2)
    np.testing.assert_array_equal(found.own, np.arange(8) < 2)
    np.testing.assert_array_equal(found.kept, found.own)
    assert float(rates.lost_in_swaps(found.kept, found.own)) == 1.0
    assert float(rates.lost_in_swaps(jnp.ones(8), found.own)) == 0.0
