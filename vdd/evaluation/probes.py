"""Probes: what a small network can read out of codes or content that ought not to be there.

Swaps tell what the decoder *uses*; probes tell what the representation *holds*. A probe is trained
on clips of the training and tested on those of characters that it never saw.
"""

import dataclasses
import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from einops import rearrange
from jaxtyping import Array, Bool, Float, Int, Num, UInt8

from vdd.evaluation.metrics import correct


@dataclasses.dataclass(frozen=True)
class ProbeSettings:
    """Size and training of a probe: an MLP with one hidden layer, or linear with none."""

    hidden: int = 256  # 0: none
    batch_size: int = 256
    checks: int = 30  # on the held-out examples
    steps_per_check: int = 32
    max_epochs: int = 1000  # few examples are not gone through more often; there are fewer checks
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    held_out: float = 0.1  # fraction of the train groups that choose among the checks
    seed: int = 0


class Labelled(NamedTuple):
    """Features and labels of n examples, f label factors each."""

    features: Num[np.ndarray, "n *shape"]
    labels: Int[np.ndarray, "n f"]


DEFAULT_SETTINGS = ProbeSettings()

# Standardised features are clipped here: a code used once in a thousand frames would else be 30.
_CLIP = 8.0


def one_hot(
    codes: Int[np.ndarray, "b t n"], num_codewords: int
) -> UInt8[np.ndarray, "b t n codewords"]:
    """Codes as features: one 1 for each code."""
    return (codes[..., None] == np.arange(num_codewords)).astype(np.uint8)


def probe_accuracy(
    train: Labelled,
    test: Labelled,
    groups: Int[np.ndarray, "n"],
    num_classes: int,
    settings: ProbeSettings = DEFAULT_SETTINGS,
) -> Float[np.ndarray, "f"]:
    """Test accuracy of a probe from features to each of f factors, all of `num_classes` classes.

    Each factor is tested where training was best for it on train examples that were held out; test
    labels choose nothing.

    Args:
      train: what the probe learns from.
      test: what it is tested on.
      groups: the group of each train example. Whole groups are held out (here: characters), since
        held-out clips of known characters would reward memory.
      num_classes: classes of every factor.
      settings: size and training.
    """
    order = np.random.default_rng(settings.seed)
    held = _held_out(groups, settings.held_out, order)
    fit_x, held_x, test_x = _standardise(train.features[~held], train.features[held], test.features)
    fit_y = train.labels[~held]
    num_factors = fit_y.shape[1]
    params = _init(settings, fit_x.shape[1], num_factors, num_classes)
    opt_state = _optimizer(settings).init(params)
    size = (settings.steps_per_check, settings.batch_size)
    checks = min(settings.checks, math.ceil(settings.max_epochs * len(fit_y) / math.prod(size)))

    best, chosen = np.full(num_factors, -np.inf), np.zeros(num_factors)
    for _ in range(checks):
        rows = order.integers(len(fit_y), size=size)
        params, opt_state = _fit(settings, params, opt_state, fit_x, jnp.asarray(fit_y), rows)
        held_accuracy, test_accuracy = (
            correct(np.asarray(_logits(params, x)).argmax(-1), y).mean(0)
            for x, y in ((held_x, train.labels[held]), (test_x, test.labels))
        )
        better = held_accuracy > best
        best = np.where(better, held_accuracy, best)
        chosen = np.where(better, test_accuracy, chosen)
    return chosen


def _held_out(
    groups: Int[np.ndarray, "n"], share: float, order: np.random.Generator
) -> Bool[np.ndarray, "n"]:
    """Marks the examples of a random `share` of the groups, at least one group."""
    names = np.unique(groups)
    chosen = order.permutation(names)[: max(1, round(share * len(names)))]
    return np.isin(groups, chosen)


def _standardise(fit: np.ndarray, *others: np.ndarray) -> tuple[Float[np.ndarray, "n x"], ...]:
    """Flattens each example and brings every feature to mean 0 and deviation 1 over `fit`."""
    flat = [
        rearrange(features, "n ... -> n (...)").astype(np.float32) for features in (fit, *others)
    ]
    mean, deviation = flat[0].mean(0), flat[0].std(0)
    scale = np.where(deviation > 0, deviation, 1)
    return tuple(np.clip((features - mean) / scale, -_CLIP, _CLIP) for features in flat)


Params = dict[str, Array]


def _init(settings: ProbeSettings, num_inputs: int, num_factors: int, num_classes: int) -> Params:
    draw = np.random.default_rng(settings.seed).standard_normal
    bias = jnp.zeros((1, num_factors, num_classes))
    if not settings.hidden:
        return {"out": jnp.zeros((num_inputs, num_factors, num_classes)), "out_bias": bias}
    hidden = draw((num_inputs, settings.hidden), np.float32) * (2 / num_inputs) ** 0.5
    out = draw((settings.hidden, num_factors, num_classes), np.float32) * settings.hidden**-0.5
    return {
        "hidden": jnp.asarray(hidden),
        "hidden_bias": jnp.zeros((1, settings.hidden)),
        "out": jnp.asarray(out),
        "out_bias": bias,
    }


@jax.jit
def _logits(params: Params, x: Float[Array, "n x"]) -> Float[Array, "n f classes"]:
    if "hidden" in params:
        x = jax.nn.relu(x @ params["hidden"] + params["hidden_bias"])
    return jnp.einsum("nh,hfc->nfc", x, params["out"]) + params["out_bias"]


def _optimizer(settings: ProbeSettings) -> optax.GradientTransformation:
    return optax.adamw(settings.learning_rate, weight_decay=settings.weight_decay)


@partial(jax.jit, static_argnums=0, donate_argnums=(1, 2))
def _fit(
    settings: ProbeSettings,
    params: Params,
    opt_state: optax.OptState,
    x: Float[Array, "n x"],
    y: Int[Array, "n f"],
    rows: Int[Array, "steps batch"],
) -> tuple[Params, optax.OptState]:
    """Some steps of training, each on a batch of `rows`."""

    def loss(params: Params, batch: Int[Array, "batch"]) -> Float[Array, ""]:
        logits = _logits(params, x[batch])
        return optax.softmax_cross_entropy_with_integer_labels(logits, y[batch]).sum(-1).mean()

    def step(state, batch):
        params, opt_state = state
        grads = jax.grad(loss)(params, batch)
        updates, opt_state = _optimizer(settings).update(grads, opt_state, params)
        params = jax.tree.map(jnp.add, params, updates)
        return (params, opt_state), None

    return jax.lax.scan(step, (params, opt_state), rows)[0]
