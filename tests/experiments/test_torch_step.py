"""The training step in PyTorch, which is timed, is the one in JAX: losses, gradients, state."""

import dataclasses
import importlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from tiny import ROOT

from vdd.method import step

pytestmark = pytest.mark.experiment
STEPS = 3

Arrays = dict[str, np.ndarray]  # by the names that parameters have in PyTorch


class Side(NamedTuple):
    """What the steps of one of the twins gave."""

    metrics: list[dict[str, Any]]  # of each step
    moment: Arrays  # Adam's first one after one step: a tenth of the clipped gradient
    params: Arrays  # after all steps, as what follows
    average: Arrays
    usage: np.ndarray
    prices: list[float]  # motion, log of content


class Twins(NamedTuple):
    """Both, and the parameters that they began with."""

    jax: Side
    torch: Side
    begun: Arrays


@pytest.fixture(scope="module")
def twins() -> Twins:
    """Steps on the smoke config, with the same numbers drawn; all terms of the loss weigh in."""
    torch = pytest.importorskip("torch", reason="parity needs PyTorch: see CONTRIBUTING.md")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "experiments")
        names = ("torch_step", "torch_draws", "torch_parameters")
        twin, draws, parameters = (importlib.import_module(name) for name in names)
    config = tiny.load_module("sprites").get_config("smoke")
    config.optimizer.warmup_steps, config.revival.rate = 0, 0.5
    config.model.denoiser.readout.num_layers = 2  # as `lpc` has it
    config.objective.null_content, config.objective.weights.static_motion = 0.2, 0.1
    recipe = step.Recipe.from_config(config)
    video = np.random.default_rng(0).integers(0, 256, (8, 8, 64, 64, 3), np.uint8)
    begun = _begun(recipe, {"video": video})
    other = twin.Step(recipe, begun)

    def named(tree) -> Arrays:
        return {k: x.numpy() for k, x in parameters.tensors(other.model, tree).items()}

    run, states, metrics, torch_metrics, moments = jax.jit(step.build(recipe).step), [], [], [], []
    state = begun
    for i in range(STEPS):
        state, found = run(state, {"video": video})
        states.append(state)
        metrics.append(jax.device_get(found))
        found = other(torch.tensor(video), draws.jax_draws(recipe, 8, 8, i))
        torch_metrics.append({name: float(x) for name, x in found.items()})
        parts = other.model.named_parameters()
        moments.append({k: other.adam.state[x]["exp_avg"].numpy().copy() for k, x in parts})
    (adam,) = (x for x in states[0].opt_state[1] if hasattr(x, "mu"))
    prices = [float(x) for x in (state.multipliers.motion, state.multipliers.log_content)]
    ours = Side(
        metrics, named(adam.mu), named(step.trained(state.params)),
        named(step.trained(state.ema_params)), np.asarray(state.usage), prices,
    )  # fmt: skip
    prices = [other.motion_price.item(), other.log_content_price.item()]
    trained, average = (
        {k: x.detach().numpy() for k, x in model.named_parameters()}
        for model in (other.model, other.average_model)
    )
    theirs = Side(torch_metrics, moments[0], trained, average, other.usage.numpy(), prices)
    return Twins(ours, theirs, named(step.trained(begun.params)))


def _begun(recipe: step.Recipe, batch: dict[str, np.ndarray]) -> step.TrainState:
    """No parameter is zero, nor is the price of motion; half of the codewords are not in use."""
    state = jax.jit(step.build(recipe).init)(jax.random.key(0), batch)
    params = {**tiny.perturbed(state.params), "latents": state.params["latents"]}
    used = np.random.default_rng(0).random(state.usage.shape) < 0.5
    prices = dataclasses.replace(state.multipliers, motion=jnp.float32(0.03))
    average = jax.tree.map(lambda x: 0.5 * x, params)
    return dataclasses.replace(
        state, params=params, ema_params={**average, "latents": params["latents"]},
        usage=state.usage * used, multipliers=prices,
    )  # fmt: skip


def _size(arrays: Arrays) -> float:
    return float(np.sqrt(sum(np.sum(np.square(x, dtype=np.float64)) for x in arrays.values())))


def _less(one: Arrays, other: Arrays) -> Arrays:
    assert one.keys() == other.keys()
    return {name: x - other[name] for name, x in one.items()}


def test_losses_are_the_same(twins):
    ours, theirs = twins.jax.metrics[0], twins.torch.metrics[0]
    assert theirs.keys() == ours.keys()
    for name, value in ours.items():
        # Of three ranges of noise one may be empty.
        assert value != 0 or name in ("denoise_low", "denoise_middle", "denoise_high"), name
        assert theirs[name] == pytest.approx(float(value), rel=1e-4), name


def test_gradients_are_the_same(twins):
    ours, theirs = twins.jax.moment, twins.torch.moment
    whole = _size(ours)
    assert _size(_less(theirs, ours)) < 1e-4 * whole
    for name, wrong in _less(theirs, ours).items():
        # A key's bias has no gradient but for rounding: softmax does not see it.
        assert np.linalg.norm(wrong) < 1e-3 * np.linalg.norm(ours[name]) + 1e-7 * whole, name
        assert np.linalg.norm(ours[name]) > 1e-7 * whole or name.endswith("k.bias"), name


def test_the_steps_after_it_are_the_same(twins):
    ours, theirs = twins.jax, twins.torch
    for i in range(1, STEPS):
        for name, value in ours.metrics[i].items():
            assert theirs.metrics[i][name] == pytest.approx(float(value), rel=2e-3), (i, name)
    for one, other in ((ours.params, theirs.params), (ours.average, theirs.average)):
        moved = _size(_less(one, twins.begun))
        assert moved > 0
        assert _size(_less(other, one)) < 1e-2 * moved
    np.testing.assert_allclose(theirs.usage, ours.usage, rtol=1e-4)
    assert theirs.prices == pytest.approx(ours.prices, rel=1e-4)
    assert ours.metrics[0]["codes_in_use"] > 80  # of 160: some were moved
