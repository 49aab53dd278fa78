import numpy as np
import pytest

from vdd import eight_bits


@pytest.fixture
def params():
    rng = np.random.default_rng(0)
    large = rng.normal(size=(3, 200, 128)).astype(np.float32) * np.geomspace(1e-3, 10, 128)
    return {
        "dense": {"kernel": large.astype(np.float32), "bias": np.ones(128, np.float32)},
        "book": rng.normal(size=(64, 64, 32)).astype(np.float32),
    }


def test_what_comes_back_is_within_half_a_step_of_each_column(params):
    packed = eight_bits.pack(params)
    assert packed["dense"]["kernel"]["int8"].dtype == np.int8
    back = eight_bits.unpack(packed)
    step = np.abs(params["dense"]["kernel"]).max(axis=1, keepdims=True) / 127
    off = np.abs(back["dense"]["kernel"] - params["dense"]["kernel"])
    assert np.all(off <= 0.5001 * step)
    assert back["dense"]["kernel"].dtype == np.float32


def test_what_is_small_or_no_kernel_stays_exact(params):
    back = eight_bits.unpack(eight_bits.pack(params))
    np.testing.assert_array_equal(back["book"], params["book"])
    np.testing.assert_array_equal(back["dense"]["bias"], params["dense"]["bias"])
    coded = {"content": {"back": params["dense"]}}  # files are read by it
    assert eight_bits.pack(coded)["content"]["back"] is params["dense"]


def test_packing_what_was_unpacked_changes_nothing(params):
    """So the export of an export is the same model."""
    once = eight_bits.unpack(eight_bits.pack(params))
    twice = eight_bits.unpack(eight_bits.pack(once))
    np.testing.assert_array_equal(once["dense"]["kernel"], twice["dense"]["kernel"])


def test_what_has_sixteen_bits_already_stays_as_it_is(params):
    kernel = params["dense"]["kernel"]
    half = (kernel.view(np.uint32) & 0xFFFF0000).view(np.float32)
    assert eight_bits.pack({"kernel": half})["kernel"] is half
    half[0, 0, 0] = kernel[0, 0, 0]
    assert eight_bits.is_packed(eight_bits.pack({"kernel": half})["kernel"])


def test_a_column_of_zeros_stays_one():
    x = np.zeros((512, 256), np.float32)
    np.testing.assert_array_equal(eight_bits.unpack(eight_bits.pack({"kernel": x}))["kernel"], x)
