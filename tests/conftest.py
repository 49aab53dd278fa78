"""Set-up of all tests: one CPU device, strict shapes, compiled programs kept between runs."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import pytest
from beartype import BeartypeConf, BeartypeHintOverrides, beartype
from beartype.roar import BeartypeDecorHintPep3119Exception
from etils import epath
from jax.typing import DTypeLike
from jaxtyping import install_import_hook
from ml_collections import ConfigDict

ROOT = Path(__file__).resolve().parents[1]

_JAX = {
    "jax_platforms": "cpu",
    "jax_compilation_cache_dir": str(ROOT / ".pytest_cache" / "jax"),
    "jax_persistent_cache_min_compile_time_secs": 0.5,
}
for _name, _value in _JAX.items():
    # The environment wins, and hands the setting on to the processes that tests start.
    if os.environ.setdefault(_name.upper(), str(_value)) == str(_value):
        jax.config.update(_name, _value)
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# An int will do where a float is asked for, and jnp.float32 where a dtype is.
_BEARTYPE = BeartypeConf(
    is_pep484_tower=True, hint_overrides=BeartypeHintOverrides({np.dtype: DTypeLike})
)


def check_types(function):
    """Check a function's arguments and result at every call."""
    try:
        return beartype(function, conf=_BEARTYPE)
    except BeartypeDecorHintPep3119Exception:  # a protocol cannot be checked at run time
        return function


# Annotated types, shapes and dtypes are checked; the import hook wants the checker by name.
sys.modules["vdd_typechecker"] = ModuleType("vdd_typechecker")
sys.modules["vdd_typechecker"].__dict__["check_types"] = check_types
install_import_hook(
    ["vdd.data", "vdd.diffusion", "vdd.evaluation", "vdd.training"],
    "vdd_typechecker.check_types",
)
jax.config.update("jax_numpy_rank_promotion", "raise")


def load_module(name: str) -> ModuleType:
    """The module of configs/NAME.py."""
    spec = importlib.util.spec_from_file_location(f"configs_{name}", ROOT / f"configs/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_config(name: str, variant: str) -> ConfigDict:
    """The variant of configs/NAME.py."""
    return load_module(name).get_config(variant)


@pytest.fixture(scope="session")
def lpc_art() -> Path:
    """The folder of LPC sheets."""
    if not os.environ.get("VDD_SPRITES_ART"):
        pytest.skip("needs the LPC art: set VDD_SPRITES_ART to its folder of sheets")
    return Path(os.environ["VDD_SPRITES_ART"])


@pytest.fixture
def tiny_config() -> ConfigDict:
    """The Sprites config with every part as small as it goes: compiles in seconds."""
    return shrink(load_config("sprites", "quick"))


def shrink(config: ConfigDict) -> ConfigDict:
    """Make every part of the model as small as it goes."""
    config.model.encoder.update(stem=(4, 8), width=16, num_layers=1, num_heads=2, mlp_dim=16)
    config.model.coarse.width = 16
    config.model.denoiser.update(channels=(8, 8), embedding=16, num_heads=2, attention_levels=(1,))
    config.train.batch_size = 8
    config.eval.sampler.steps = 2
    return config


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Path:
    """A run directory with two checkpoints of random parameters, at steps 3 and 7."""
    from vdd.models.disentangler import Disentangler
    from vdd.training import checkpoints, workdir

    config = shrink(load_config("sprites", "quick"))
    model = Disentangler.from_config(config.model)
    video = jax.ShapeDtypeStruct((1, 2, *model.latents.size), np.uint8)
    shapes = jax.eval_shape(model.init, jax.random.key(0), video)["params"]
    path = epath.Path(tmp_path_factory.mktemp("runs") / "tiny")
    workdir.claim(path, config)
    with checkpoints.Checkpoints(path) as saved:
        for step in (3, 7):
            saved.save(step, {"ema_params": random_like(shapes, step)}, {})
    return Path(path)


def random_like(shapes, seed: int):
    """Arrays of these shapes with small random values."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: rng.normal(0, 0.1, x.shape).astype(x.dtype), shapes)
