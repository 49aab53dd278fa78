"""How well, and how fast, does the read-out of the mean draw when it is told everything?

    python experiments/readout.py [--art lpc] [--steps 1200] [--sizes 512:4:128:2,...] [--tiny]

The true factors of Sprites go in (a random vector for each pose, a sum of one for each attribute),
frames come out: no encoder, no bottleneck. A size is width:tiles:tile_width:layers; PSNR is that of
2000 frames of unseen characters, at four points of the training; milliseconds are those of a step.
"""

import argparse
import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vdd import markdown
from vdd.data.sprites import SpritesArrays, load_arrays
from vdd.evaluation.report import machine
from vdd.memory import keep_freed_memory
from vdd.models.latents import PixelLatents
from vdd.models.readout import TileReadout
from vdd.pixels import to_float

LATENTS = PixelLatents(patch=4, size=(64, 64, 3))
SIZES = "512:4:128:2,512:8:64:2,512:8:96:2,512:4:256:2,1024:4:256:2,1024:4:256:1"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--art", default="builtin", choices=("builtin", "lpc"))
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--sizes", default=SIZES, help="width:tiles:tile_width:layers, ...")
    parser.add_argument("--tiny", action="store_true", help="one small size, 4 steps, for tests")
    options = parser.parse_args(arguments)
    sizes, steps = options.sizes.split(","), options.steps
    if options.tiny:
        sizes, steps = ["16:4:8:2"], 4
    keep_freed_memory()
    train_clips, held_out = (load_arrays(options.art, split) for split in ("fit", "validation"))
    print(*machine().values(), sep=", ")
    print(f"{steps} steps of 128 frames of {options.art}")
    quarters = "PSNR after 1/4, 1/2, 3/4, all"
    names = ("width", "layers", "tiles", "tile width", "parameters", quarters, "ms a step")
    print(markdown.table(names))
    for size in sizes:
        width, tiles, tile_width, layers = map(int, size.split(":"))
        readout = TileReadout(width, layers, tiles, tile_width, LATENTS.shape)
        count, quality, seconds = train(readout, train_clips, held_out, steps)
        shown = ", ".join(f"{x:.1f}" for x in quality)
        told = (f"{count / 1e6:.2f} M", shown, f"{1e3 * seconds:.0f}")
        print(markdown.row((width, layers, f"{tiles}x{tiles}", tile_width, *told)), flush=True)


def train(
    readout: TileReadout, train_clips: SpritesArrays, held_out: SpritesArrays, steps: int
) -> tuple[int, list[float], float]:
    """Parameters of a read-out, its PSNR on unseen characters as it learns, and seconds a step."""
    batches = frames_of(train_clips, 128, seed=0)
    unseen = next(frames_of(held_out, 2000, seed=1))
    pixels = LATENTS.measure(jnp.asarray(train_clips.video[::20]))
    content, motion, _ = next(batches)
    params = jax.jit(readout.init)(jax.random.key(0), content, motion)
    schedule = optax.warmup_cosine_decay_schedule(0.0, 1.5e-3, steps // 10, steps, 2e-5)
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule, b2=0.99))
    state = tx.init(params)

    def error(params, content, motion, frames):
        latents = LATENTS.apply({"params": pixels}, to_float(frames), method=LATENTS.encode)
        drawn = readout.apply(params, content, motion)
        return jnp.mean(jnp.square(jnp.asarray(drawn) - jnp.asarray(latents)))

    def psnr(error):  # latents are pixels times 0.5 / std, and pixels go from -1 to 1
        return float(10.0 * jnp.log10(4.0 / (error * (pixels["std"] / 0.5) ** 2)))

    @jax.jit
    def step(params, state, batch):
        updates, state = tx.update(jax.grad(error)(params, *batch), state, params)
        return optax.apply_updates(params, updates), state

    measure, quality, seconds = jax.jit(error), [], []
    for i in range(steps):
        batch, start = next(batches), time.perf_counter()
        params, state = jax.block_until_ready(step(params, state, batch))
        seconds.append(time.perf_counter() - start)
        if i + 1 in [quarter * steps // 4 for quarter in (1, 2, 3, 4)]:
            quality.append(psnr(measure(params, *unseen)))
    size = sum(x.size for x in jax.tree.leaves(params))
    return size, quality, float(np.median(seconds))


def frames_of(
    clips: SpritesArrays, count: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Random frames: what is seen [b 1 128], its pose [b 1 16], the frame [b 1 h w 3]."""
    names = np.random.default_rng(0)
    attributes = names.normal(size=(4, 6, 128)).astype(np.float32) / 2.0
    poses = names.normal(size=(9, 8, 16)).astype(np.float32)
    rng = np.random.default_rng(seed)
    while True:
        row, frame = rng.integers(0, len(clips.motion), count), rng.integers(0, 8, count)
        content = sum(attributes[j, clips.attributes[row, j]] for j in range(4))
        motion = poses[clips.motion[row], frame]
        yield np.asarray(content)[:, None], motion[:, None], clips.video[row, frame][:, None]


if __name__ == "__main__":
    main()
