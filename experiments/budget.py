"""What would a training take? Operations, days of a device, and what hours of video come to.

    python experiments/budget.py [--config configs/talking_head.py:base] [--mfu 0.4]
        [--frames N] [--video LRS3=438,VoxCeleb2=2442] [--tiny]

A training may be two runs: of VARIANT, and of VARIANT_temporal where the file has that one too.
Operations are counted from shapes (`vdd.training.flops`), of each run by itself; nothing is run,
though an autoencoder's files ($VDD_WEIGHTS) are read for its sizes. Days of a device are those
operations at a share `--mfu` of the peak that the vendor states (`vdd.training.hardware`): an
assumption, no measurement. Of each set of videos: its frames at 25 a second, cut into windows of
the config's frames, each frame in one; how often the training shows a window; what windows take on
disk, as pixels (bytes, as they are prepared) and as latents (float16); and the operations of the
autoencoder that makes latents of them, at the same share.
"""

import argparse
import contextlib
from typing import Any

import jax
import jax.numpy as jnp
from memory import batch_of
from throughput import load_config

from vdd import markdown
from vdd.evaluation.report import machine
from vdd.method import step
from vdd.method.disentangler import Disentangler
from vdd.training.flops import count_flops
from vdd.training.hardware import ACCELERATOR_PEAKS

# Hours, as the papers of these sets have them: arXiv 1809.00496, 1806.05622, Zhang et al. (CVPR
# 2021); CelebV-HQ's are as arXiv 2410.07151 has them.
VIDEO = "LRS3=438,VoxCeleb2=2442,HDTF=15.8,CelebV-HQ=68"
DEVICES = ("A100", "H100", "TPU v4", "TPU v5p")
FPS = 25


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", default="configs/talking_head.py:base", help="FILE[:variant]")
    parser.add_argument("--mfu", type=float, default=0.4, help="share of the peak that is reached")
    parser.add_argument("--frames", type=int, help="of a window (the config's)")
    parser.add_argument("--video", default=VIDEO, help="NAME=HOURS, with commas")
    parser.add_argument("--tiny", action="store_true", help="the smoke config, for tests")
    options = parser.parse_args(arguments)
    if options.tiny:
        options.config = "configs/talking_head.py:smoke"
    runs = runs_of(options.config)
    for config in runs.values():
        config.data.frames = options.frames or config.data.get("frames", 8)
        config.lock()
    print(*machine().values(), sep=", ")
    total = print_operations(runs)
    peaks = dict(ACCELERATOR_PEAKS)
    days = [(name, f"{total / (options.mfu * peaks[name]) / 86400:.3g}") for name in DEVICES]
    print()
    print(markdown.table(("device", f"days of one, at {options.mfu:g} of its peak"), days))
    print_videos(runs, options.video, options.mfu * peaks[DEVICES[0]])


def runs_of(name: str) -> dict[str, Any]:
    """The configs of a training's runs, by name: the one named, and the one along time after it."""
    file, _, variant = name.partition(":")
    runs, second = {name: load_config(name)}, f"{file}:{variant or 'base'}_temporal"
    with contextlib.suppress(ValueError):  # there is no such variant
        runs[second] = load_config(second)
    return runs


def print_operations(runs: dict[str, Any]) -> float:
    """A table of the operations of each run; their sum."""
    total, rows = 0.0, []
    for name, config in runs.items():
        each, train = step_flops(config), config.train
        whole = each * train.num_steps
        total += whole
        cells = train.num_steps, train.batch_size, f"{each / 1e12:.3g}", f"{whole / 1e18:.3g}"
        rows.append((name, *cells))
    each = "operations a step, TFLOP"
    print(markdown.table(("run", "steps", "windows a step", each, "in all, EFLOP"), rows))
    return total


def print_videos(runs: dict[str, Any], video: str, speed: float) -> None:
    """A table of what sets of videos come to, NAME=HOURS each; `speed`: operations a second."""
    config = next(iter(runs.values()))
    seen = sum(config.train.num_steps * config.train.batch_size for config in runs.values())
    frame = frame_flops(config)
    rows = []
    for name, hours in (pair.split("=") for pair in video.split(",")):
        frames = float(hours) * 3600 * FPS
        windows = frames / config.data.frames
        pixels, latents = (frames * size / 1e9 for size in frame_bytes(config))
        sizes = f"{pixels:.0f}", f"{latents:.0f}", f"{frames * frame / speed / 3600:.3g}"
        rows.append((name, hours, f"{windows:.0f}", f"{seen / windows:.3g}", *sizes))
    names = ("videos", "hours", "windows", "each is shown, times", "pixels, GB", "latents, GB")
    print()
    print(markdown.table((*names, f"latents: hours of one {DEVICES[0]}"), rows))


def step_flops(config: Any) -> float:
    """Operations of one training step."""
    training = step.build(step.Recipe.from_config(config))
    batch = batch_of(config, config.train.batch_size, config.data.frames)
    return count_flops(training.step, shapes_of(config), batch)


def frame_flops(config: Any) -> float:
    """Operations of turning one frame of pixels into latents."""
    model, params = Disentangler.from_config(config.model), shapes_of(config).params
    video = jax.ShapeDtypeStruct((1, 1, *config.model.latents.size), jnp.uint8)

    def to_latents(params: Any, video: Any) -> Any:
        return model.apply({"params": params}, video, method=Disentangler.to_latents)

    return count_flops(to_latents, params, video)


def frame_bytes(config: Any) -> tuple[int, int]:
    """What a frame takes as pixels of one byte, and as latents of two."""
    height, width, channels = config.model.latents.size
    h, w, c = Disentangler.from_config(config.model).latents.shape
    return height * width * channels, h * w * c * 2


def shapes_of(config: Any) -> Any:
    """The shapes of the training state."""
    batch = batch_of(config, 1, config.data.frames)
    training = step.build(step.Recipe.from_config(config))
    return jax.eval_shape(training.init, jax.random.key(0), batch)


if __name__ == "__main__":
    main()
