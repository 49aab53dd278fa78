import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from objectives import OBJECTIVE, PRICES, RATES, batch_of, loss
from tiny import get_config, get_model, random_video

from vdd.errors import UserError
from vdd.method.disentangler import Disentangler
from vdd.method.rates import Multipliers


def test_total_is_the_weighted_sum_of_its_parts(model_and_params):
    model, params = model_and_params
    rates = dataclasses.replace(RATES, target_bits_per_frame=2.0, motion_weight=0.02)
    prices = Multipliers(jnp.float32(0.05), jnp.log(jnp.float32(0.002)))
    changes = {"prices": prices, "rates": rates, "reread_clips": 2}
    batch = batch_of(random_video(8, 8))
    terms = jax.jit(lambda params: loss(model, params, batch, **changes))(params)
    m = {name: float(value) for name, value in terms.metrics.items()}
    expected = (
        m["denoise_infinite"] + m["denoise_finite"]
        + 0.11 * m["codebook"] + 0.13 * m["commitment"]
        + 0.17 * m["reread_commitment"] + 0.19 * m["static_motion"]
        + 0.02 * (m["bits_per_frame"] - 2.0) ** 2 + 0.05 * (m["bits_per_frame"] - 2.0)
        + 0.002 * m["content_bits_per_clip"]
    )  # fmt: skip
    assert float(terms.total) == pytest.approx(expected, rel=1e-5)
    assert m["loss"] == float(terms.total)
    assert m["denoise"] == pytest.approx(m["denoise_infinite"] + m["denoise_finite"], rel=1e-5)
    ranges = {"denoise_low", "denoise_middle", "denoise_high"}
    assert {name for name, value in m.items() if value == 0.0} <= ranges


def test_the_finite_loss_is_told_by_ranges_of_noise(model_and_params):
    """Sixteen levels about sigma_data: in each range there is one, and they add up."""
    model, params = model_and_params
    changes = {"noisy_segments": 16, "sigma_mean": float(np.log(0.1)), "sigma_std": 1.0}
    batch = batch_of(random_video(8, 4))
    m = jax.jit(lambda params: loss(model, params, batch, **changes).metrics)(params)
    parts = [float(m[f"denoise_{name}"]) for name in ("low", "middle", "high")]
    assert min(parts) > 0.0
    assert min(parts) < float(m["denoise_finite"]) < max(parts)


def test_counts_that_do_not_divide_a_step_are_refused():
    fits = dataclasses.replace(OBJECTIVE, noisy_segments=8, reread_clips=4)
    sliced = fits.for_batches(8, accumulate=2)
    assert (sliced.noisy_segments, sliced.reread_clips) == (4, 2)
    for changes, told in (
        ({"noisy_segments": 3}, "noisy_segments=3 does not divide the 16 segments of a step"),
        ({"noisy_segments": 0}, "noisy_segments=0"),
        ({"noisy_segments": 32}, "noisy_segments=32"),
        ({"reread_clips": 16}, "reread_clips=16 does not divide the 8 clips of a step"),
        ({"reread_clips": 1}, "reread_clips=1: a swap takes two clips"),
    ):
        with pytest.raises(UserError, match=told):
            dataclasses.replace(fits, **changes).for_batches(8)
    with pytest.raises(UserError, match=r"noisy_segments=1 .* in 2 slices"):
        dataclasses.replace(fits, noisy_segments=1).for_batches(8, accumulate=2)
    with pytest.raises(UserError, match=r"reread_clips=2: a swap takes two clips, of each slice"):
        dataclasses.replace(fits, reread_clips=2).for_batches(8, accumulate=2)
    for frames in (0, 3):
        with pytest.raises(ValueError, match=f"noisy_frames={frames}"):
            dataclasses.replace(fits, mean_frames=2, noisy_frames=frames)


def test_an_unknown_term_is_refused():
    with pytest.raises(ValueError, match="there is no term sharpness"):
        dataclasses.replace(OBJECTIVE, weights={"sharpness": 1.0})


def test_a_term_that_has_no_weight_is_told_and_not_paid_for(model_and_params):
    batch = batch_of(random_video(2, 4))
    both = {"codebook": 1.0, "commitment": 1.0}

    @jax.jit
    def terms():
        return [loss(*model_and_params, batch, weights=w) for w in (both, {"codebook": 1.0})]

    paid, unpaid = terms()
    commitment = float(unpaid.metrics["commitment"])
    assert commitment > 0.0
    assert float(paid.total - unpaid.total) == pytest.approx(commitment, rel=1e-4)


def test_what_cannot_be_trained_is_refused(model_and_params):
    """As the training is built, before anything is traced."""
    model, _ = model_and_params
    fits = dataclasses.replace(OBJECTIVE, mean_frames=2, noisy_frames=1)
    fits.check(model, 4)
    with pytest.raises(UserError, match="mean_frames=2, but segments have 1 frames"):
        fits.check(model, 3)
    with pytest.raises(UserError, match="at least 2 frames"):
        fits.check(model, 1)
    for window in (0, 3):
        fits.check(model.copy(motion_window=window), 6)
    for window in (2, 6):
        with pytest.raises(UserError, match=f"motion_window={window}, but .* segments of 3 frames"):
            fits.check(model.copy(motion_window=window), 6)
    temporal = Disentangler.from_config(get_config({"model.denoiser.network.temporal": True}).model)
    dataclasses.replace(fits, noisy_frames=2).check(temporal, 4)
    with pytest.raises(UserError, match=r"objective\.noisy_frames to 2"):
        fits.check(temporal, 4)


@pytest.mark.parametrize("sight", [0, 8])
def test_what_is_refined_does_not_bend_the_mean(sight):
    """But by what is seen, a read-out that is told of it learns to draw that."""
    model, params = get_model({"model.denoiser.sight": sight})

    @jax.jit
    @jax.grad
    def gradient_of(denoiser):
        changed = {**params, "denoiser": denoiser}
        return loss(model, changed, batch_of(random_video(2, 4))).metrics["denoise_finite"]

    gradient = gradient_of(params["denoiser"])
    assert any(x.any() for x in jax.tree.leaves(gradient["readout"])) == (sight > 0)
    assert any(x.any() for x in jax.tree.leaves(gradient.get("sight", {}))) == (sight > 0)
    assert any(x.any() for x in jax.tree.leaves(gradient["network"]))


def test_prices_are_not_trained(model_and_params):
    model, params = model_and_params
    batch = batch_of(random_video(2, 4))
    gradient = jax.jit(jax.grad(lambda p: loss(model, params, batch, prices=p).total))(PRICES)
    assert not gradient.motion.any()
    assert not gradient.log_content.any()


def test_content_that_is_withheld_teaches_motion_nothing(model_and_params):
    model, params = model_and_params

    def learned(share):
        def total(head):
            changed = {**params, "motion_head": head}
            objective = {"null_content": share, "reread_clips": 0}
            terms = loss(model, changed, batch_of(random_video(4, 4)), **objective)
            return terms.metrics["denoise"]

        gradient = jax.jit(jax.grad(total))(params["motion_head"])
        return sum(jnp.abs(x).sum() for x in jax.tree.leaves(gradient))

    assert learned(1.0) == 0.0
    assert learned(0.0) > 0.0


def test_the_commitment_of_swaps_is_learned_by_the_encoder_alone(model_and_params):
    model, params = model_and_params
    batch = batch_of(random_video(4, 4))

    @jax.jit
    @jax.grad
    def gradient_of(params):
        return loss(model, params, batch, reread_clips=2).metrics["reread_commitment"]

    gradient = gradient_of(params)
    learners = {part for part in gradient if any(x.any() for x in jax.tree.leaves(gradient[part]))}
    assert learners == {"encoder", "motion_head"}


def test_what_motion_says_all_the_time_is_unlearned_by_the_encoder_alone(model_and_params):
    model, params = model_and_params
    batch = batch_of(random_video(4, 4))
    gradient = jax.jit(jax.grad(lambda p: loss(model, p, batch).metrics["static_motion"]))(params)
    learners = {part for part in gradient if any(x.any() for x in jax.tree.leaves(gradient[part]))}
    assert learners == {"encoder", "motion_head"}


def test_content_that_is_read_again_drives_what_is_rebuilt(model_and_params):
    model, params = model_and_params
    batch = batch_of(random_video(4, 4))
    names = ("reread_commitment", "denoise_infinite", "bits_per_frame")

    def told(count):
        metrics = loss(model, params, batch, reread_clips=count).metrics
        return {name: metrics[name] for name in names}  # for which no network is needed

    never, always = (jax.jit(told, static_argnums=0)(count) for count in (0, 2))
    assert never["reread_commitment"] == 0.0
    assert always["reread_commitment"] > 0.0
    assert always["denoise_infinite"] != never["denoise_infinite"]
    np.testing.assert_allclose(always["bits_per_frame"], never["bits_per_frame"], rtol=1e-5)


def test_without_a_read_out_the_network_is_trained_at_infinite_noise_too():
    model, params = get_model({"model.denoiser.readout": None})
    batch = batch_of(random_video(2, 4))

    @jax.jit
    @jax.grad
    def gradient_of(params):
        return loss(model, params, batch).metrics["denoise_infinite"]

    gradient = gradient_of(params)
    learners = {part for part in gradient if any(x.any() for x in jax.tree.leaves(gradient[part]))}
    assert {"denoiser", "encoder", "content", "motion_head"} <= learners


def test_gumbel_draws_codes_anew_at_each_step():
    model, params = get_model({"model.quantizer.kind": "gumbel_softmax"})
    batch = batch_of(random_video(2, 8))

    @jax.jit
    def codes(rng):
        return loss(model, params, batch, rng, split="same").codes.codes

    a, b = codes(0), codes(1)
    assert np.any(a != b)
