"""Codewords that say the same are merged, those that do not are not."""

import jax
import numpy as np
import tiny

from vdd import apply
from vdd.compression import merging
from vdd.compression.rereading import Readings


def test_confusion_counts_what_was_read_for_what_was_drawn():
    counts = merging.confusion(np.array([0, 0, 0, 2]), np.array([0, 1, 1, 2]), 3)
    np.testing.assert_array_equal(counts, [[1, 2, 0], [0, 0, 0], [0, 0, 1]])


def test_twins_are_merged_into_the_more_frequent():
    counts = np.array([[50, 50, 0, 0], [20, 20, 0, 0], [0, 5, 95, 0], [0, 0, 0, 9]])
    np.testing.assert_array_equal(merging.aliases(counts, 0.3), [0, 0, 2, 3])
    np.testing.assert_array_equal(merging.aliases(counts[::-1, ::-1], 0.3), [0, 1, 3, 3])


def test_confusion_one_way_is_enough():
    # A rare codeword is always read as a frequent one, which hardly ever is read as the rare one.
    counts = np.array([[990, 10], [9, 1]])
    np.testing.assert_array_equal(merging.aliases(counts, 0.3), [0, 0])
    np.testing.assert_array_equal(merging.aliases(counts, 0.95), [0, 1])


def test_small_confusions_do_not_chain():
    # 1 is a twin of 0. A third of 2 is read as 1: under the threshold, and so it stays.
    counts = np.array([[60, 40, 0], [50, 50, 0], [0, 33, 67]])
    np.testing.assert_array_equal(merging.aliases(counts, 0.35), [0, 0, 2])


def test_confusions_with_a_merged_set_add_up():
    # 0 is read as either of two twins in a third of the cases: as one of them in two thirds.
    counts = np.array([[34, 33, 33], [0, 40, 60], [0, 60, 40]])
    np.testing.assert_array_equal(merging.aliases(counts, 0.55), [0, 0, 0])


def test_codewords_never_drawn_stand_for_themselves():
    np.testing.assert_array_equal(merging.aliases(np.zeros((4, 4), int), 0.3), np.arange(4))


def test_a_merged_model_sends_only_codewords_that_stand_for_others():
    model, params = tiny.get_model()
    video = tiny.random_video(12, 4)
    encode = jax.jit(apply.encode, static_argnums=0)
    plain = encode(model, params, video)
    # In group 0 each code is read as the next lower even one; in group 1 as itself.
    drawn = np.repeat(np.arange(8), 3)[None, None, :, None].repeat(2, -1)
    read = drawn.copy()
    read[..., 0] -= drawn[..., 0] % 2
    content, codes = np.zeros((1, 2, 2, 4)), np.zeros((1, 4, 2), int)
    merged, changed = merging.merge_codewords(
        model, params, Readings(content, codes, drawn, read), merge_above=0.3
    )
    found = encode(merged, changed, video)
    before = np.asarray(plain.codes)
    expected = np.stack([before[..., 0] // 2 * 2, before[..., 1]], -1)
    np.testing.assert_array_equal(found.codes, expected)
    assert np.any(found.codes != before)
    look_up, quantize = (jax.jit(f, static_argnums=0) for f in (apply.lookup, apply.quantize))
    expected = look_up(merged, changed, found.codes)
    np.testing.assert_allclose(found.motion, expected, atol=1e-6)
    again = quantize(merged, changed, found.motion)
    np.testing.assert_array_equal(again.codes, found.codes)
    np.testing.assert_array_equal(found.content, plain.content)
    old = params["quantizer"]["codebook"]["codewords"]
    np.testing.assert_array_equal(changed["quantizer"]["codebook"]["codewords"], old)
    assert "aliases" not in params["quantizer"]["codebook"]
