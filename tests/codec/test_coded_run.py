"""Video to a file and back: models with a content code and without, with a prior and without."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from vdd import apply, priors
from vdd.codec.coded_run import CodedRun
from vdd.errors import UserError
from vdd.method.content import ContentCode
from vdd.models.prior import MotionPrior
from vdd.run import Run

CODE = ContentCode(num_numbers=3, width=8, shape=(2, 4), reach=2, num_modes=3)


@functools.cache
def plain_run() -> Run:
    model, params = tiny.get_model()
    return Run(tiny.get_config(), model, params, 1)


@functools.cache
def short_run() -> Run:
    """A run with a content code, and with two of its eight codewords merged into others."""
    run = plain_run()
    shapes = jax.eval_shape(CODE.init, jax.random.key(0), jnp.zeros((1, 2, 4)))["params"]
    book = run.model.quantizer.codebook
    quantizer = run.model.quantizer.clone(codebook=book.clone(merged=True))
    aliases = jnp.array([[0, 1, 2, 3, 4, 5, 0, 2], [1, 1, 2, 3, 4, 5, 6, 3]])
    codewords = run.params["quantizer"]["codebook"]["codewords"]
    params = {
        **run.params,
        "quantizer": {"codebook": {"codewords": codewords, "aliases": aliases}},
        "content_code": tiny.perturbed(shapes, seed=9),
    }
    model = run.model.clone(quantizer=quantizer, content_code=CODE)
    return dataclasses.replace(run, model=model, params=params)


@functools.cache
def prior() -> priors.PriorRun:
    model = MotionPrior(2, 8, 16, 1, 1, 2, 16, window=3)
    codes = jax.ShapeDtypeStruct((1, 2, 2), jnp.int32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), codes)["params"]
    source = priors.Source("tiny", 1, "", 2, 8)
    return priors.PriorRun(None, model, tiny.perturbed(shapes, seed=9), 1, source)


def frames(count=9):
    return tiny.random_video(1, count, seed=3)[0]


@pytest.mark.parametrize("chunk_frames", [4, 256])
@pytest.mark.parametrize("given", [None, prior])
def test_codes_and_content_are_those_of_the_model(given, chunk_frames):
    coded_run = CodedRun.create(short_run(), given and given())
    coded = coded_run.take_apart(frames())
    decoded = coded_run.from_bytes(coded_run.to_bytes(coded, 25.0, chunk_frames))
    np.testing.assert_array_equal(decoded.codes, coded.codes)
    assert decoded.content is not None
    numbers = coded_run.content.decode(decoded.content)
    np.testing.assert_array_equal(numbers, coded.numbers)
    run = short_run()
    encoding = jax.jit(apply.encode, static_argnums=0)(run.model, run.params, frames()[None])
    np.testing.assert_array_equal(decoded.codes, encoding.codes[0])
    np.testing.assert_allclose(coded_run.tokens(numbers), encoding.content, atol=1e-5)
    assert len(np.unique(coded.numbers)) > 1


def test_content_bits_are_those_of_the_content_code():
    run = short_run()
    model = CodedRun.create(run, None).content
    numbers = np.random.default_rng(0).integers(-2, 3, (40, 3))
    told = CODE.apply(
        {"params": run.params["content_code"]}, numbers.astype(float), method=CODE.bits
    )
    for row, bits in zip(numbers, np.asarray(told)):
        code = model.encode(row)
        # The tables give what lies beyond the reach to the numbers within: never more bits.
        assert bits - 3.0 < code.bits < bits + 2.1
        np.testing.assert_array_equal(model.decode(code.data), row)


def test_tokens_without_a_content_code_are_sent_in_steps():
    coded_run = CodedRun.create(plain_run(), None)
    numbers = coded_run.take_apart(frames()).numbers
    run = plain_run()
    exact = jax.jit(apply.encode, static_argnums=0)(run.model, run.params, frames()[None]).content
    inside = np.clip(exact, -8, 8)
    np.testing.assert_allclose(coded_run.tokens(numbers), inside, atol=1 / 32 + 1e-6)
    code = coded_run.content.encode(numbers)
    np.testing.assert_array_equal(coded_run.content.decode(code.data), numbers)
    ideal = np.square(numbers / 16).sum() / 2 / np.log(2) + 8 * np.log2(16 * np.sqrt(2 * np.pi))
    assert ideal <= code.bits < ideal + 2.1


def test_codewords_that_stand_for_others_take_no_bits():
    model = CodedRun.create(short_run(), None).motion
    first = model.start(1).frequencies()[0]
    assert first[[6, 7]].tolist() == [1, 1]
    assert first[:6].min() > 2_000_000


def test_only_the_model_that_wrote_a_file_reads_it():
    coded_run = CodedRun.create(short_run(), None)
    with_prior = CodedRun.create(short_run(), prior())
    coded = coded_run.take_apart(frames())
    data, predicted = coded_run.to_bytes(coded, 8.0), with_prior.to_bytes(coded, 8.0)
    changed = dataclasses.replace(prior(), params=jax.tree.map(lambda x: 1.01 * x, prior().params))
    for reader, file, words in (
        (CodedRun.create(plain_run(), None), data, "another model"),
        (with_prior, data, "with no prior, not with the prior"),
        (coded_run, predicted, "with the prior .* not with no prior"),
        (CodedRun.create(short_run(), changed), predicted, "with the prior .* not with the prior"),
    ):
        with pytest.raises(UserError, match=words):
            reader.from_bytes(file)
