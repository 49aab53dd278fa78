"""Bitrate-controlled diffusion on Universal LPC: characters that no training clip showed.

    export VDD_UNIVERSAL_LPC=SHEETS
    python -m vdd.main --config=configs/universal_lpc.py --workdir=runs/universal_lpc

Sizes, after a colon: none (2 CPU cores, many hours; it resumes), `full` (a GPU, minutes), `smoke`
(for tests).

Content is a map that lies where the figure lies, and codes are levels of a grid: on endless
characters, of whom there is nothing to remember, tokens and a learned codebook fall behind.
Segments are a third of a clip each, with a third left out between them, so that no action is in
both. `full` has been trained (experiments/notebook/universal_lpc.md); the base size has not.
"""

# pyright: reportAttributeAccessIssue=false
# A ConfigDict makes what is set ConfigDicts of its own.

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ml_collections.config_dict import placeholder

base = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("base.py"))))
SIZES = ("base", "full", "smoke")


def get_config(variant: str = "") -> Any:
    size = variant or "base"
    if size not in SIZES:
        raise ValueError(f"no variant {variant!r}: take one of {', '.join(SIZES)}")
    config = base.get_config()
    _characters(config)
    if size == "full":
        config.data.workers = 12
        config.model.encoder.update(width=256, num_layers=4, mlp_dim=1024)
        config.model.denoiser.readout.update(channels=(192, 128), num_blocks=3)
        config.objective.update(mean_frames=4, noisy_segments=16)
        config.train.update(batch_size=32, num_steps=20_000)
    if size == "smoke":
        config.model.encoder.update(stem=(8, 16), width=32, num_layers=1, num_heads=2, mlp_dim=64)
        config.model.content.channels = (8, 8)
        config.model.denoiser.readout.update(channels=(8, 8), num_blocks=1, motion_channels=2)
        config.model.denoiser.network.update(channels=(8, 16), embedding=32, num_heads=2)
        config.data.update(frames=12, num_clips=16)
        config.model.motion_window = 4
        config.train.update(batch_size=4, num_steps=10, log_every=5, checkpoint_every=5)
        config.train.update(eval_every=10, sample_every=10)
        config.optimizer.warmup_steps = 2
        config.eval.update(num_clips=8, quick_pairs=4, batch_size=4)
    return config


def _characters(config: Any) -> None:
    config.data.update(
        dataset="universal_lpc", frames=48, channels=4, background="grey",
        recolour=0.7,  # of the clips: looks should not be known by their palettes
        num_clips=4000,  # of train, where they are written down (source=tfdata, grain)
        workers=0, art_dir=placeholder(str),
    )  # fmt: skip
    config.model.motion_window = 16
    config.model.latents.size = (64, 64, 4)
    config.model.encoder.num_content_tokens = 2
    config.model.content = dict(kind="map", dim=16, side=8, channels=(64, 96))
    # The grid keeps motion at its rate by itself; content pays one price from the first step on.
    base.grid(config, groups=6, levels=3)
    config.rates.update(
        target_bits_per_frame=9.5, target_bits_per_clip=600.0, content_price_range=(1e-6, 1e-6),
        content_speed=0.0,
    )  # fmt: skip
    config.revival.below = 0.0
    config.model.denoiser.update(sigma_data=0.2, horizon=2.0)
    config.model.denoiser.readout = dict(
        kind="convolutions", channels=(128, 96), num_blocks=2, motion_channels=16
    )
    config.model.denoiser.network.update(
        channels=(32, 64, 96), embedding=192, attention_levels=(), content_map=0
    )
    config.objective.update(split="apart", noisy_segments=4, sigma_mean=-1.5)
    config.optimizer.update(learning_rate=1e-3, warmup_steps=200)
    config.train.update(
        batch_size=8, num_steps=100_000, ema_decay=0.999, log_every=50, checkpoint_every=1000,
        eval_every=2500, sample_every=5000,
    )  # fmt: skip
    config.eval.update(quick_pairs=64, batch_size=16)
