"""Bytes as version 2 of the format has them, written down: what changes one is another version.

A file that was written yesterday is read tomorrow. Should one of these fail, either the change is
undone, or `container.VERSION` and docs/bitstream.md change with it, and these with them.
"""

import hashlib
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from vdd.codec import basis, container, content, fixed_point
from vdd.codec.basis import BasisContent
from vdd.codec.entropy_model import Adaptive
from vdd.codec.exact_prior import ExactPrior
from vdd.codec.motion import decode_chunks, encode_chunks
from vdd.fingerprint import digest
from vdd.method.content import ContentCode
from vdd.models.prior import MotionPrior

PRIOR = MotionPrior(3, 8, 16, 2, 1, 2, 24, window=3)


def whole_numbers(seed, low, high, shape):
    """The same on every machine: `RandomState` is frozen, and there is no float in it."""
    return np.random.RandomState(seed).randint(low, high, shape, dtype=np.int64)


def prior_params():
    """Multiples of 2^-10 from -2 to 2, in the order of the names."""
    codes = jax.ShapeDtypeStruct((1, 2, PRIOR.num_groups), jnp.int32)
    shapes = jax.eval_shape(PRIOR.init, jax.random.key(0), codes)["params"]
    leaves, tree = jax.tree.flatten(shapes)
    drawn = [
        (whole_numbers(i, -(1 << 11), 1 << 11, leaf.shape) / 1024).astype(np.float32)
        for i, leaf in enumerate(leaves)
    ]
    return jax.tree.unflatten(tree, drawn)


def written(model, codes) -> str:
    return encode_chunks(model, [codes])[0].data.hex()


def read(model, text, frames):
    return decode_chunks(model, [bytes.fromhex(text)], [frames])[0]


def test_version():
    assert container.VERSION == 2


def test_a_chunk_that_is_coded_by_counting():
    sent = np.ones((2, 8), np.int64)
    sent[1, 5:] = 0
    codes = whole_numbers(0, 0, 5, (12, 2))
    text = "8268a138e8af3c4080"
    assert written(Adaptive(sent), codes) == text
    np.testing.assert_array_equal(read(Adaptive(sent), text, 12), codes)


def test_a_chunk_that_is_coded_by_a_prior():
    model = ExactPrior(PRIOR, prior_params(), b"a prior.")
    codes = whole_numbers(1, 0, 8, (6, 3))
    state, tables = model.start(1), []
    for code in codes.reshape(-1, 1):
        tables.append(state.frequencies()[0])
        state.push(code)
    digest = hashlib.sha256(np.stack(tables).astype("<i8").tobytes()).hexdigest()
    assert digest == "2130ccaf00b9e6dce068a07886b70155392e06272dee7d9056deb5a89463cd58"
    text = "c5be384d270b9227d72348eac44330a6eac998"
    assert written(model, codes) == text
    np.testing.assert_array_equal(read(model, text, 6), codes)


def test_the_content_of_a_content_code():
    code = ContentCode(num_numbers=5, width=8, shape=(2, 4), reach=6, num_modes=3)
    names = ("prior_mean", "prior_log_scale", "prior_logit")
    params = {
        name: (whole_numbers(i, -256, 256, (5, 3)) / 1024).astype(np.float32)
        for i, name in enumerate(names)
    }
    model = content.model_of_code(code, params)
    digest = hashlib.sha256(np.stack(model.frequencies).astype("<i8").tobytes()).hexdigest()
    assert digest == "fcff5dffda22861fa55edd42e257d6c71eec95008d56e75aa3b7548ac2c4f76e"
    numbers = np.array([0, -6, 3, 6, -1])
    assert model.encode(numbers).data.hex() == "829e4c"
    np.testing.assert_array_equal(model.decode(bytes.fromhex("829e4c")), numbers)


def test_the_content_of_tokens_in_steps():
    model = content.model_of_tokens(6)
    numbers = np.array([0, -128, 17, 40, -5, 1])
    assert model.encode(numbers).data.hex() == "7cced00581838c"
    np.testing.assert_array_equal(model.decode(bytes.fromhex("7cced00581838c")), numbers)


def test_the_content_in_a_basis():
    model = BasisContent(places=6, channels=4, num_groups=3, num_codes=5)
    numbers = whole_numbers(2, -9, 10, (4, 6)) * np.array([[0], [1], [28], [1]])
    numbers[3, 1:] = 0
    whole = np.concatenate([[0, 31, 63, 7], [4, 0, 2], numbers.reshape(-1)])
    digest = hashlib.sha256(np.stack(basis.scale_tables()).astype("<i8").tobytes()).hexdigest()
    assert digest == "aff054774cc1e6743e9f4f0ccba51fa3610ffec7414fa10ea34526013b608953"
    text = "05da11875c6af678d26fda2bb45f67fa40"
    assert model.encode(whole).data.hex() == text
    np.testing.assert_array_equal(model.decode(bytes.fromhex(text)), whole)


def test_fingerprints():
    params = {"b": {"scale": np.array([1.5], np.float32)}, "a": np.array([[1, 2]], np.int32)}
    text = b'{"num_codes": 8, "width": 16}' + b"a int32 [1, 2]" + bytes([1, 0, 0, 0, 2, 0, 0, 0])
    text += b"b/scale float32 [1]" + bytes.fromhex("0000c03f")
    found = digest({"width": 16, "num_codes": 8}, params)
    assert found == hashlib.sha256(text).digest()[:8]
    assert found.hex() == "80ae9716c8ac8908"


@pytest.mark.parametrize("places", [1, 7])
def test_attention_is_exact_at_its_limits_and_beyond(places):
    """Against Python's whole numbers, with inputs as large as they may be and larger."""
    size = 4
    far = 1 << 40
    query, keys, values = (
        whole_numbers(seed, -far, far, (places, size)) for seed in (places, 11, 12)
    )
    keys[::2] >>= 30  # logits that are near to one another, and some that are not
    small = whole_numbers(13, -(1 << 18), 1 << 18, (places, size))
    bias = whole_numbers(14, -(1 << 16), 1 << 16, (places,))
    values[0] = far  # all weights on one side: the sum comes up to the limit
    query_limit = math.isqrt((1 << 53) // size) - 1
    value_limit = (1 << 53) // (places << 20) - 1
    for row, key in ((query[0], keys), (small[0], small), (small[0], small * 0)):
        q, k = np.clip(row, -query_limit, query_limit), np.clip(key, -query_limit, query_limit)
        v = np.clip(values, -value_limit, value_limit)
        wanted = reference.attend(*(array.tolist() for array in (q, k, v, bias)))
        floats = [x.astype(np.float64) for x in (row, key, values, bias)]
        found = fixed_point.attend(
            fixed_point.clip_query(floats[0][None, None]),
            fixed_point.clip_query(floats[1][None, :, None]),
            fixed_point.clip_value(floats[2], places)[None, :, None],
            floats[3][:, None],
        )
        assert found[0, 0].astype(int).tolist() == wanted
