import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from tiny import normal

from vdd.errors import SettingError, UserError
from vdd.method import rates
from vdd.method.rates import Multipliers, Rates

entropy_bits_per_frame = jax.jit(rates.entropy_bits_per_frame)


def one_hot(codes, k):
    return (np.asarray(codes)[..., None] == np.arange(k)).astype(np.float32)


def test_entropy_of_uniform_and_of_constant_codes():
    uniform = np.stack([np.full((2, 3, 8), 1 / 8), one_hot(np.full((2, 3), 5), 8)], axis=2)
    np.testing.assert_allclose(entropy_bits_per_frame(uniform), [3.0, 0.0], atol=1e-5)


def test_entropy_is_that_of_the_histogram_over_clips_and_frames():
    codes = np.random.default_rng(0).integers(0, 3, (5, 7, 2))
    expected = [
        scipy.stats.entropy(np.bincount(codes[..., n].ravel(), minlength=4), base=2)
        for n in range(2)
    ]
    actual = entropy_bits_per_frame(one_hot(codes, 4))
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_bits_are_those_of_the_codes_and_move_as_the_soft_assignment_does():
    logits = normal(0, 6, 5, 2, 8)

    def bits(logits):
        assignment = jax.nn.softmax(logits)
        return rates.bits_per_frame(jnp.argmax(logits, -1), assignment)

    def soft(logits):
        return jnp.sum(rates.entropy_bits_per_frame(jax.nn.softmax(logits)))

    sent = np.asarray(logits).argmax(-1)
    histograms = [np.bincount(sent[..., n].ravel(), minlength=8) for n in range(2)]
    wanted = sum(
        scipy.stats.entropy(histogram, base=2)
        + (np.count_nonzero(histogram) - 1) / (2 * 30 * np.log(2))
        for histogram in histograms
    )
    (hard, by_hard), (even, by_soft) = (
        jax.jit(jax.value_and_grad(f))(logits) for f in (bits, soft)
    )
    assert float(hard) == pytest.approx(wanted, rel=1e-5)
    assert abs(float(even) - wanted) > 0.05
    np.testing.assert_allclose(by_hard, by_soft, rtol=1e-6)


def test_bits_of_a_small_batch_are_those_of_a_large_one():
    source = np.random.default_rng(0).dirichlet(np.full(64, 5.0))
    codes = np.random.default_rng(1).choice(64, p=source, size=(200, 64, 4, 1))
    of = jax.jit(rates.bits_per_frame)
    bits = [float(of(c, one_hot(c, 64))) for c in codes]
    assert np.mean(bits) == pytest.approx(scipy.stats.entropy(source, base=2), abs=0.03)


HELD = Rates(
    target_bits_per_frame=7.0, motion_weight=0.04, motion_speed=0.01, target_bits_per_clip=20.0,
    content_price=1e-4, content_price_range=(1e-5, 1e-2), content_speed=0.5,
)  # fmt: skip


def steered(motion_bits, content_bits, steps=1, pace=1.0):
    prices = HELD.start(2, 16)
    for _ in range(steps):
        prices = HELD.steer(prices, motion_bits, content_bits, pace=pace)
    return float(prices.motion), float(prices.content)


def test_prices_start_where_told():
    assert steered(9.0, 30.0, steps=0) == pytest.approx((0.0, 1e-4))


def test_a_rate_that_codes_cannot_have_is_refused():
    HELD.check(2, 16)
    with pytest.raises(UserError, match=r"=7 is more than 2 x 8 codes can hold \(6 bits\)"):
        HELD.check(2, 8)


@pytest.mark.parametrize(
    "change",
    [
        {"content_price": 0.0},
        {"content_price_range": (0.0, 1.0)},
        {"content_price": 1.0},
        {"target_bits_per_clip": 0.0},
        {"target_bits_per_frame": -5.0},
        {"target_bits_per_frame": "otto"},
        {"target_bits_per_frame": None},
        {"target_bits_per_frame": True},
        {"target_bits_per_frame": [6]},
    ],
)
def test_rates_that_cannot_be_held_are_refused(change):
    with pytest.raises(SettingError, match=f"^{next(iter(change))}"):
        dataclasses.replace(HELD, **change)


def test_the_price_of_motion_slows_down_with_the_learning_rate():
    motion, content = steered(9.0, 30.0, pace=0.25)
    assert (motion, content) == pytest.approx((0.02 / 4, steered(9.0, 30.0)[1]))


def test_a_rate_above_its_target_raises_its_price_and_below_lowers_it():
    motion, content = steered(9.0, 30.0)
    assert motion == pytest.approx(0.02)
    assert content == pytest.approx(1e-4 * np.exp(0.5 * 0.5))
    motion, content = steered(6.0, 10.0)
    assert motion == pytest.approx(-0.01)
    assert content == pytest.approx(1e-4 * np.exp(-0.5 * 0.5))
    assert steered(7.0, 20.0) == pytest.approx((0.0, 1e-4))


@pytest.mark.parametrize(("bits", "edge"), [(1e6, (1.0, 1e-2)), (0.0, (-1.0, 1e-5))])
def test_prices_stay_in_range(bits, edge):
    assert steered(bits, bits, steps=200, pace=100.0) == pytest.approx(edge)


def test_the_first_steps_do_not_wind_up_the_price_of_content():
    assert steered(7.0, 1e6)[1] == pytest.approx(1e-4 * np.exp(0.5))


@pytest.mark.parametrize("target", [1.0, 2.9])
def test_the_rate_loss_pulls_the_entropy_to_its_target(target):
    # Some codes are picked more.
    logits = np.asarray(normal(0, 2, 8, 1, 8)) - 0.7 * np.arange(8, dtype=np.float32)
    held = dataclasses.replace(HELD, target_bits_per_frame=target)

    def bits(logits):
        return rates.entropy_bits_per_frame(jax.nn.softmax(logits))[0]

    def descend(logits, _):
        gradient = jax.grad(lambda x: held.loss(bits(x), 0.0, held.start(1, 8)))(logits)
        return logits - 200.0 * gradient, None

    @jax.jit
    def both(logits):
        return bits(logits), bits(jax.lax.scan(descend, logits, length=200)[0])

    before, after = both(logits)
    assert abs(before - target) > 0.15
    assert abs(after - target) < 0.05


def test_prices_are_paid_but_not_learned():
    prices = Multipliers(jnp.float32(0.3), jnp.log(jnp.float32(0.002)))
    loss, gradients = jax.jit(jax.value_and_grad(HELD.loss, argnums=(0, 1, 2)))(
        jnp.float32(8.0), jnp.float32(50.0), prices
    )
    assert float(loss) == pytest.approx(0.04 + 0.3 + 0.1)
    by_motion, by_content, by_price = gradients
    assert float(by_motion) == pytest.approx(0.08 + 0.3)
    assert float(by_content) == pytest.approx(0.002)
    assert not any(map(float, jax.tree.leaves(by_price)))


def found(lost, motion_bits=6.0, steps=1000):
    """Multipliers after so many steps in which swaps lose a share of their codes."""
    held = dataclasses.replace(HELD, target_bits_per_frame=rates.AUTO)

    def steered(_, prices):
        return held.steer(prices, jnp.float32(motion_bits), jnp.float32(20.0), jnp.float32(lost))

    return jax.jit(lambda prices: jax.lax.fori_loop(0, steps, steered, prices))(held.start(2, 16))


def test_a_rate_that_is_to_be_found_begins_at_what_codes_can_hold():
    assert float(found(1.0, steps=0).target) == 8.0
    assert type(HELD.start(2, 16)) is Multipliers  # of one that is told the state says nothing


def test_bits_that_are_lost_in_swaps_are_taken_away_and_come_back_slowly():
    assert float(found(0.22).target) == pytest.approx(8.0 * np.exp(-0.2), rel=1e-3)
    assert float(found(0.02).target) == pytest.approx(8.0, rel=1e-3)
    assert float(found(0.0).target) == 8.0  # more than codes can hold is no target
    low = found(0.22).replace(target=jnp.float32(6.0))
    held = dataclasses.replace(HELD, target_bits_per_frame=rates.AUTO)
    assert 6.0 < float(held.steer(low, 6.0, 20.0, jnp.float32(0.0)).target) < 6.0 * 1.001


def test_the_price_is_never_negative_where_a_target_is_to_be_found():
    assert float(found(0.02, motion_bits=6.0, steps=10).motion) == 0.0
    assert float(found(0.02, motion_bits=9.0, steps=10).motion) > 0.0
