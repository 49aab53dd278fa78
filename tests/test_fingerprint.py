import jax.numpy as jnp
import numpy as np
import pytest

from vdd import fingerprint

RNG = np.random.default_rng(0)
CODEWORDS = RNG.normal(size=(1, 8, 4)).astype(np.float32)


def params(codewords=CODEWORDS, scale=1.0, **book):
    code = {"prior_scale": np.float32([scale]), "kernel": RNG.normal(size=(3, 3))}
    return {"quantizer": {"codebook": {"codewords": codewords, **book}}, "content_code": code}


def test_a_run_and_its_export_are_one_and_what_only_reads_the_codes_does_not_count():
    rounded = CODEWORDS.astype(jnp.bfloat16).astype("f4")
    assert np.any(rounded != CODEWORDS)
    found = fingerprint.of_model(params())
    assert found == fingerprint.of_model(params(rounded))
    assert len(found) == 8


@pytest.mark.parametrize(
    "other", [{"codewords": -CODEWORDS}, {"scale": 2.0}, {"aliases": np.arange(8, dtype=np.int32)}]
)
def test_other_codes_or_another_content_code_are_another_model(other):
    assert fingerprint.of_model(params(**other)) != fingerprint.of_model(params())


def test_the_way_back_from_a_basis_is_told_in_half_precision_and_of_files_alone():
    kernel = RNG.normal(size=(3, 3)).astype(np.float32)
    half = kernel.astype(jnp.bfloat16).astype("f4")
    assert np.any(half != kernel)

    def with_back(kernel):
        bias = np.zeros(3, np.float32)
        return {**params(), "content": {"back": {"kernel": kernel, "bias": bias}}}

    found = fingerprint.of_files(with_back(kernel))
    assert found == fingerprint.of_files(with_back(half))
    assert found != fingerprint.of_files(with_back(2 * kernel))
    assert found != fingerprint.of_files(params())
    assert fingerprint.of_model(with_back(kernel)) == fingerprint.of_model(params())
    assert fingerprint.of_files(params()) == fingerprint.of_model(params())


def test_a_model_without_a_content_code_is_told_by_its_codebook():
    plain = {"quantizer": params()["quantizer"]}
    assert fingerprint.of_model(plain) == fingerprint.digest(
        {}, {"codewords": CODEWORDS.astype(jnp.bfloat16).astype("f4")}
    )
