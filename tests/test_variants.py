"""Every variant of every config is a model that can be built."""

import json

import jax
import ml_collections
import numpy as np
import pytest
from tiny import ROOT, load_module

from vdd import tasks
from vdd.errors import UserError
from vdd.method.disentangler import Disentangler

# Of all that can be trained: base.py names no data.
CONFIGS = sorted({path.stem for path in (ROOT / "configs").glob("*.py")} - {"base"})


def variants(name: str) -> list[str]:
    """What may stand after the colon of configs/NAME.py; the empty one too."""
    arts = ("", "lpc_") if name == "sprites" else ("",)
    sizes = ("", *load_module(name).SIZES)
    return [f"{art}{size}".removesuffix("_") for art in arts for size in sizes]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_variant_of_every_config_builds(name):
    for variant in variants(name):
        config = load_module(name).get_config(variant)
        config.lock()
        tasks.find(config.task).build(config)


def test_a_saved_config_is_of_the_same_model():
    built = set()
    for variant in variants("sprites"):
        config = load_module("sprites").get_config(variant)
        model = Disentangler.from_config(config.model)
        saved = json.loads(config.to_json_best_effort())
        again = Disentangler.from_config(ml_collections.FrozenConfigDict(saved).model)
        assert hash(again) == hash(model), "the model of config.json is not the config's"
        assert again == model
        if model not in built:
            video = jax.ShapeDtypeStruct((2, 8, *model.latents.size), np.uint8)
            training = tasks.find(config.task).build(config)
            jax.eval_shape(training.init, jax.random.key(0), {"video": video})
        built.add(model)


@pytest.mark.parametrize("name", CONFIGS)
def test_an_unknown_variant_is_told_with_the_known_ones(name):
    with pytest.raises((UserError, ValueError), match=r"nonsense.*smoke"):
        load_module(name).get_config("nonsense")
