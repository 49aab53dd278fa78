"""The range coder against one in plain integers, and the tables it is given."""

import math
from fractions import Fraction

import numpy as np
import pytest
import reference
from scipy import stats

from vdd.codec import range_coder, tables
from vdd.codec.range_coder import TOTAL, RangeDecoder, RangeEncoder, to_frequencies
from vdd.errors import UserError


def message(rng, length):
    """Symbols and tables, among them very likely and very unlikely ones."""
    symbols, given = [], []
    for _ in range(length):
        weights = rng.random(rng.integers(2, 200)) ** rng.integers(1, 60)
        table = to_frequencies(1 + np.floor(weights * 2**30).astype(np.int64))
        odds = table / TOTAL if rng.random() < 0.8 else np.full(len(table), 1 / len(table))
        symbols.append(int(rng.choice(len(table), p=odds)))
        given.append(table)
    return symbols, given


def encode(symbols, given):
    encoder = RangeEncoder()
    for symbol, table in zip(symbols, given):
        encoder.encode(int(table[:symbol].sum()), int(table[symbol]))
    return encoder.finish()


@pytest.mark.parametrize("length", [0, 1, 2, 7, 40])
def test_codes_are_those_of_the_specification_and_come_back(length):
    rng = np.random.default_rng(length)
    for _ in range(30):
        symbols, given = message(rng, length)
        code = encode(symbols, given)
        plain = [table.tolist() for table in given]
        assert code.data == reference.shortest(*reference.encode(symbols, plain))
        assert reference.decode(code.data, plain) == symbols
        decoder = RangeDecoder(code.data, length)
        assert [decoder.decode(table) for table in given] == symbols
        assert len(code.data) <= -(-code.bits // 8)


def test_bits_are_as_many_as_say_it_whatever_follows():
    rng = np.random.default_rng(1)
    for length in (1, 3, 20, 300):
        symbols, given = message(rng, length)
        plain = [table.tolist() for table in given]
        low, width, words = reference.encode(symbols, plain)
        size, bits = 64 + 32 * words, encode(symbols, given).bits
        first = [-(-low >> size - b) << size - b for b in (bits, bits - 1)]
        assert first[0] + (1 << size - bits) <= low + width
        assert first[1] + (1 << size - bits + 1) > low + width
        ideal = sum(-math.log2(table[symbol] / TOTAL) for symbol, table in zip(symbols, given))
        assert ideal <= bits <= ideal + 2 + 0.01 * length


def test_random_data_is_decoded_or_refused():
    rng = np.random.default_rng(2)
    refused, (_, given) = 0, message(rng, 20)
    for _ in range(300):
        decoder = RangeDecoder(rng.bytes(rng.integers(0, 40)), 20)
        try:
            assert all(0 <= decoder.decode(table) < len(table) for table in given)
        except UserError:
            refused += 1
    assert refused < 300


def test_what_no_encoder_writes_is_told():
    decoder = RangeDecoder(b"\xff" * 40, 1)
    with pytest.raises(UserError, match="damaged"):
        decoder.decode(np.array([1, TOTAL - 1]))


def test_frequencies_are_all_there_and_sum_up():
    rng = np.random.default_rng(3)
    weights = rng.integers(0, 2**38, (50, 7)) * (rng.random((50, 7)) < 0.5)
    weights[:, 3] = np.maximum(weights[:, 3], 1)
    made = to_frequencies(weights)
    assert made.min() == 1
    assert (made.sum(1) == TOTAL).all()
    share = Fraction(int(weights[0, 3]), int(weights[0].sum()))
    assert abs(made[0, 3] - share * TOTAL) <= 7
    np.testing.assert_array_equal(to_frequencies(weights[5]), made[5])


def test_tables_are_the_distributions_that_they_say():
    exponentials = tables.exponentials(tables.Decimal(1) / 64, 200, 2**30)
    np.testing.assert_allclose(exponentials, np.exp(-np.arange(200) / 64) * 2**30, atol=0.51)
    step, reach = 1 / 16, 128
    gaussian = tables.gaussian(tables.Decimal(step), reach)
    edges = (np.arange(-reach, reach + 2) - 0.5) * step
    exact = np.diff(stats.norm.cdf(edges))
    np.testing.assert_allclose(gaussian / TOTAL, exact, atol=3e-5)
    mean, unit, logit = np.array([-2.0, 1.5]), np.array([0.3, 1.2]), np.array([0.0, -1.0])
    mixture = tables.logistic_mixture(mean, unit, logit, 6)
    edges = np.arange(-6, 8) - 0.5
    share = np.exp(logit) / np.exp(logit).sum()
    mass = np.diff(stats.logistic.cdf((edges[:, None] - mean) * np.exp(unit)), axis=0) @ share
    np.testing.assert_allclose(mixture / TOTAL, mass / mass.sum(), atol=2e-6)
    assert range_coder.TOTAL == 2**24


def test_mixtures_of_any_parameters_are_tables_and_mirrored_ones_the_same():
    rng = np.random.default_rng(4)
    for unit_log, mean in ((16, 0.3), (1e5, 1e9), (-1e5, 0), (-1e5, 1e30), (3, 40), (0.5, 1e6)):
        means, logs = mean * rng.normal(size=3), unit_log * rng.uniform(0.5, 1, 3)
        for logit in (rng.normal(size=3), np.array([1e6, -1e6, 0])):
            table = tables.logistic_mixture(means, logs, logit, 5)
            assert table.sum() == TOTAL
            assert table.min() >= 1
            mirrored = tables.logistic_mixture(-means, logs, logit, 5)
            # The rest of the rounding goes to the first of the heaviest.
            np.testing.assert_allclose(table, mirrored[::-1], atol=11)
    # Far out, what is nearer is likelier: nothing is lost in a difference from 1.
    for mean in (-60.0, 60.0):
        table = tables.logistic_mixture(np.array([mean]), np.array([1.0]), np.array([0.0]), 2)
        odds = np.exp(-np.e * np.arange(5))
        order = table[::-1] if mean > 0 else table
        np.testing.assert_allclose(order, TOTAL * odds / odds.sum(), atol=5)
    fine = np.zeros(1)
    for broken in (np.full(1, np.nan), np.full(1, np.inf)):
        for given in ((broken, fine, fine), (fine, broken, fine), (fine, fine, broken)):
            with pytest.raises(UserError, match="not of finite numbers"):
                tables.logistic_mixture(*given, 2)


def test_ends_are_found_by_the_zeros_behind_them():
    for first in range(20):
        for last in range(first, 40):
            numbers = range(first, last + 1)
            roundest = max(numbers, key=lambda number: number & -number or 1 << 20)
            assert range_coder._roundest(first, last) == roundest
            whole = [
                i for i in range(6) if -(-first >> i) + 1 << i <= last + 1
            ]  # 2^i numbers from a multiple of 2^i on
            assert range_coder._widest(first, last + 1) == max(whole)
