"""A model of a few thousand parameters on 16 x 16 videos: compiles in a second or two."""

import contextlib
import dataclasses
import functools
import importlib.util
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from unittest import mock

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from etils import epath
from orbax.checkpoint import v1 as ocp

from vdd.data import sprites, video_io
from vdd.data.sprites import benchmark
from vdd.method.disentangler import Disentangler

ROOT = Path(__file__).resolve().parents[1]
SIZE = (16, 16, 3)


def load_module(name: str) -> ModuleType:
    """The module of configs/NAME.py."""
    spec = importlib.util.spec_from_file_location(f"configs_{name}", ROOT / f"configs/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def get_config(changes: dict | None = None) -> ml_collections.ConfigDict:
    """The Sprites config, shrunken; `changes` are by dotted key, as on the command line."""
    config = load_module("sprites").get_config()
    config.model.content.dim, config.model.motion_window = 4, 0
    config.model.latents.size = SIZE
    config.model.encoder.update(stem=(8,), width=16, num_layers=1, num_heads=2, mlp_dim=16)
    config.model.encoder.num_content_tokens = 2
    config.model.quantizer.update(num_groups=2, num_codes=8, code_dim=4)
    config.rates.target_bits_per_frame = 5.0
    config.model.denoiser.sight = 8
    config.model.denoiser.readout.update(width=16, tiles=2, tile_width=8)
    # Most of the time of tests goes into compiling: one level has all layers but the resampling.
    config.model.denoiser.network.update(
        channels=(8,), embedding=16, num_heads=2, attention_levels=(0,), content_map=2
    )
    config.objective.update(noisy_segments=2, reread_clips=2)
    config.train.update(batch_size=4, num_steps=40)
    config.optimizer.warmup_steps = 2
    with config.unlocked():
        config.update_from_flattened_dict(changes or {})
    return config


def get_model(
    changes: dict | None = None, frames: int = 2, seed: int = 0
) -> tuple[Disentangler, dict]:
    """A model of the tiny config, and parameters without a zero among them."""
    model = Disentangler.from_config(get_config(changes).model)
    shape = jax.ShapeDtypeStruct((1, frames, *SIZE), jnp.uint8)
    shapes = jax.eval_shape(model.init, jax.random.key(0), shape)["params"]
    return model, perturbed(shapes, seed)


@functools.partial(jax.jit, static_argnums=(0, 2))
def call(module, params, method, *inputs):
    """A method of a module in one program: without one, every operation would be compiled alone."""
    return module.apply({"params": params}, *inputs, method=method)


def save_run(path: Path, config: ml_collections.ConfigDict, steps=(3, 7)) -> Path:
    """A run directory of a model of random parameters, with a checkpoint at each of the steps."""
    from vdd.training import checkpoints, workdir

    model = Disentangler.from_config(config.model)
    shape = jax.ShapeDtypeStruct((1, 4, *config.model.latents.size), jnp.uint8)
    shapes = jax.eval_shape(model.init, jax.random.key(0), shape)["params"]
    workdir.claim(epath.Path(path), config)
    with checkpoints.Checkpoints(epath.Path(path)) as saved:
        for step in steps:
            saved.save(step, {"ema_params": perturbed(shapes, seed=step)}, {})
    return Path(path)


def has_sound(path: epath.PathLike) -> bool:
    """Whether a clip file holds sound."""
    with video_io.open_clip(path) as clip:
        return clip.sound is not None


def save_lpc_run(path: Path, channels: int) -> Path:
    """The same of a model of Universal LPC, at steps 3 and 7."""
    config = load_module("universal_lpc").get_config("smoke")
    config.data.channels, config.model.latents.size = channels, (64, 64, channels)
    return save_run(path, config)


def perturbed(shapes, seed: int = 0):
    """Arrays of these shapes around 0 (vectors around 1), of the size that a network has them.

    Each depends on its own path alone, so that other parts of a model do not change it.
    """

    def draw(path, x):
        rng = np.random.default_rng((seed, zlib.crc32(jax.tree_util.keystr(path).encode())))
        fan_in = np.prod(x.shape[:-1]) if len(x.shape) > 1 else 10.0
        drawn = rng.normal(float(len(x.shape) < 2), fan_in**-0.5, x.shape)
        return jnp.asarray(drawn.astype(x.dtype))  # jnp would compile a conversion of each shape

    return jax.tree_util.tree_map_with_path(draw, shapes)


def state_of(workdir, step):
    """All arrays of a checkpoint, on the host: sums of others are compiled for every shape."""
    path = workdir / "checkpoints" / str(step)
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shapes = ocp.metadata(path, "state").metadata
    abstract = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), shapes
    )
    return jax.device_get(ocp.load(path, abstract, checkpointable_name="state"))


def order_of_writing(folder: Path) -> list[str]:
    """The names of what was written below a folder of ours, the last one last."""
    lines = (folder / ".vdd.sha256").read_text().splitlines()
    return [line.partition("  ")[2] for line in lines]


def normal(seed: int, *shape: int) -> jax.Array:
    """float32 of this shape; drawn on the host, since `jax.random` is compiled for every shape."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def random_video(clips: int, frames: int, seed: int = 0) -> np.ndarray:
    """uint8 [clips frames 16 16 3]."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (clips, frames, *SIZE), dtype=np.uint8)


_few_rendered = functools.cache(sprites._rendered.__wrapped__)  # for all modules of a process


@contextlib.contextmanager
def few_characters() -> Iterator[None]:
    """Sprites have 81 characters in place of 1296, in all splits: of the first three variants.

    To draw the built-in art as a whole takes its time, since the types of every call are checked.
    For the same reason a judge's name in the cache tells nothing of the art here. Nor does a judge
    fill up its batches with three times as many clips as there are, and it begins in one program.
    """
    from vdd.evaluation import judge, judge_training

    init = jax.jit(judge_training.JudgeNet.init, static_argnums=0)
    usual, usual_judge = benchmark.split_characters, judge.load_or_train

    def few(*args):
        characters = usual(*args)
        return characters[(characters < 3).all(axis=1)]

    def fingerprint(art, art_dir, settings):
        return f"{settings.steps}_{settings.seed}"

    def load_or_train(*given, **options):
        return dataclasses.replace(usual_judge(*given, **options), batch_size=16)

    with contextlib.ExitStack() as stack:
        for place, name, instead in (
            (benchmark, "split_characters", few),
            (judge, "fingerprint", fingerprint),
            (judge, "load_or_train", load_or_train),
            (judge_training.JudgeNet, "init", init),
            (sprites, "_rendered", _few_rendered),
        ):
            stack.enter_context(mock.patch.object(place, name, instead))
        yield
