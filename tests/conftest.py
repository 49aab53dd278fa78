"""Set-up of all tests: one CPU device, strict shapes, compiled programs kept between runs."""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import pytest
import tiny
from beartype import BeartypeConf, FrozenDict, beartype
from beartype.roar import BeartypeDecorHintPep3119Exception
from etils import epath
from jax.typing import DTypeLike
from jaxtyping import install_import_hook
from mistakes import CONFIG, FORKS, mistake_cases

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
# Most of the time of most tests goes into compiling: this leaves a third of it. Read when JAX first
# computes. XLA knows no mercy for flags that it does not have: other versions lack the last two.
_QUICK = [
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_parallel_codegen_split_count=1",
]
if jax.__version__.startswith("0.10."):
    _QUICK += [
        "--xla_cpu_use_fusion_emitters=false",
        "--xla_cpu_opt_preset=CPU_OPT_PRESET_FAST_COMPILE",
    ]
os.environ.setdefault("XLA_FLAGS", " ".join(_QUICK))

# An int will do where a float is asked for, and jnp.float32 where a dtype is.
_BEARTYPE = BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict({np.dtype: DTypeLike}))


def check_types(function):
    """Check a function's arguments and result at every call."""
    try:
        return beartype(function, conf=_BEARTYPE)
    except BeartypeDecorHintPep3119Exception:  # a protocol cannot be checked at run time
        return function


# Annotated types, shapes and dtypes are checked in the modules of pure functions: a module of
# arrays as leaves (the train state, say) also holds shapes without values at times. The import hook
# wants the checker by name.
CHECKED = (
    "vdd.apply",
    "vdd.data",
    "vdd.diffusion",
    "vdd.evaluation",
    "vdd.method.cross_driving",
    "vdd.method.objective",
)
sys.modules["vdd_typechecker"] = ModuleType("vdd_typechecker")
sys.modules["vdd_typechecker"].__dict__["check_types"] = check_types
_finder = install_import_hook(CHECKED, "vdd_typechecker.check_types").hook
_checked = _finder.should_instrument
# The built-in art is drawn by 80,000 calls of small functions: checks would take three times as
# long as the drawing. What the parts become is checked, in `part_frames`.
_finder.should_instrument = lambda name: (
    _checked(name) and not name.startswith("vdd.data.sprites.builtin.")
)
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files come first: of two processes, neither ought to wait for the other's."""
    longest = (
        "end_to_end", "real_step", "browser", "campaigns", "mistakes", "main", "objective",
        "objective_parts", "one_recipe", "torch_step", "video_end_to_end", "own_data", "baselines",
        "apply", "init_from",
        "autoencoder_training", "autoencoder_latents", "content_code", "tiny_forms", "cli",
        "priors", "processes", "memory", "sharded_dit", "pipeline", "step", "sheet", "run",
        "autoencoder", "judge", "sight", "lpc_drawing",
    )  # fmt: skip
    rank = {f"test_{name}.py": i for i, name in enumerate(longest)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


def _keep_what_is_there() -> None:
    """What survives is not gone through again: in a process of many tests that took minutes."""
    gc.collect()
    gc.freeze()


def pytest_collection_finish() -> None:
    gc.set_threshold(20_000, 20, 20)
    _keep_what_is_there()


@pytest.fixture(scope="module", autouse=True)
def compiled_programs_stay() -> Iterator[None]:
    yield
    _keep_what_is_there()


@pytest.fixture(scope="module")
def few_characters() -> Iterator[None]:
    """As `tiny.few_characters`, for all tests of a module."""

    with tiny.few_characters():
        yield


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Path:
    """A run directory with two checkpoints of random parameters, at steps 3 and 7."""

    from vdd.training import checkpoints, workdir

    path = epath.Path(tmp_path_factory.mktemp("runs") / "tiny")
    workdir.claim(path, tiny.get_config())
    _, params = tiny.get_model()
    with checkpoints.Checkpoints(path) as saved:
        for step in (3, 7):
            saved.save(step, {"ema_params": tiny.perturbed(params, seed=step)}, {})
    return Path(path)


@pytest.fixture(scope="session")
def lpc_run(tmp_path_factory) -> Path:
    """A run directory of a tiny model of Universal LPC, as `tiny.save_lpc_run`."""

    return tiny.save_lpc_run(tmp_path_factory.mktemp("runs") / "lpc", 3)


@pytest.fixture(scope="session")
def lpc_alpha_run(tmp_path_factory) -> Path:
    """The same of a model of four channels."""

    return tiny.save_lpc_run(tmp_path_factory.mktemp("runs") / "lpc_alpha", 4)


@pytest.fixture
def clips(tmp_path) -> tuple[str, str]:
    """A content clip of the tiny model's own size and a longer, larger motion clip."""
    from vdd.data import video_io

    rng = np.random.default_rng(0)
    content = rng.integers(0, 256, (2, 16, 16, 3), np.uint8)
    motion = rng.integers(0, 256, (5, 90, 120, 3), np.uint8)
    return (
        str(video_io.write_clip(tmp_path / "content.npy", content)),
        str(video_io.write_clip(tmp_path / "motion.gif", motion, fps=20)),
    )


@pytest.fixture(scope="module")
def mistakes(tmp_path_factory, tiny_run):
    """All of these, and what came of each."""
    tmp = tmp_path_factory.mktemp("mistakes")
    (tmp / "broken.py").write_text("def get_config(:\n")
    (tmp / "empty.py").write_text("")
    (tmp / "bytes.py").write_bytes(bytes(range(256)))
    (tmp / "number.py").write_text("def get_config():\n    return 3\n")
    (tmp / "alone.py").write_text(CONFIG.read_text())
    (tmp / "theirs").mkdir()
    (tmp / "theirs" / "config.json").write_text('{"model": "theirs"}')
    cases = mistake_cases(tmp, tiny_run)
    done = subprocess.run(
        [sys.executable, "-c", FORKS, json.dumps([case[0] for case in cases.values()])],
        capture_output=True,
        text=True,
        check=True,
    )
    results = json.loads(done.stdout)
    # Of all these mistakes, none was told after something had been written.
    made = ["alone.py", "broken.py", "bytes.py", "config.json", "empty.py", "number.py", "theirs"]
    found = [path for path in tmp.rglob("*") if "__pycache__" not in path.parts]
    assert sorted(path.name for path in found) == made
    assert (tmp / "theirs" / "config.json").read_text() == '{"model": "theirs"}'
    return {
        name: (*case, *result) for (name, case), result in zip(cases.items(), results, strict=True)
    }
