"""Bitrate-controlled diffusion on a folder of real videos, 256 x 256, in an autoencoder's latents.

    python -m vdd.data.prepare --source CLIPS --out DATA --size 256 --fps 25 --latents
    python -m vdd.main --config=configs/talking_head.py:tiny --workdir=runs/heads \\
        --config.data.data_dir=DATA
    python -m vdd.main --config=configs/talking_head.py:tiny_temporal --workdir=runs/heads_time \\
        --config.data.data_dir=DATA --config.train.init_from=runs/heads

Sizes, after a colon: `base` (the default; one GPU of 80 GB), `pod` (a TPU v4 or v5 pod slice),
`small` (2 CPU cores, hours; it resumes; 128 x 128 pixels: prepare with --size 128 --fps 12.5
--frames 20 --stride 10 --every 1 2 3, without --latents; content is a frame that is referred to),
`tiny` (2 CPU cores, half an hour; 128 x 128: prepare with --size 128), `smoke` (64 x 64 pixels
without an autoencoder, for tests). They train without attention along time. `base_temporal`,
`pod_temporal`, `tiny_temporal` and `smoke_temporal` train with it, in a second run that begins with
the parameters of the first (`train.init_from`). As in the paper the second run has half as many
steps as the first (`tiny`: a sixth).

Motion is held at the paper's 160 bits a frame, 4 kbit/s at 25 frames a second (`tiny`: 16 bits). In
`small` nothing holds it: fourteen numbers of seven levels are at most 39.3 bits.
The weights of TAEF2, the tiny autoencoder, are looked for in `$VDD_WEIGHTS`.
"""

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ml_collections.config_dict import placeholder

base = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("base.py"))))
PLAIN = ("base", "pod", "small", "tiny", "smoke")
SIZES = (*PLAIN, *(f"{size}_temporal" for size in PLAIN if size != "small"))


def get_config(variant: str = "") -> Any:
    variant = variant or "base"
    if variant not in SIZES:
        raise ValueError(f"no variant {variant!r}: take one of {', '.join(SIZES)}")
    size = variant.removesuffix("_temporal")
    config = base.get_config()
    _videos(config)
    if size in ("base", "pod"):
        _for_gpu(config)
    if size == "pod":
        _for_pod(config)
    if size == "small":
        _refer(config)
    if size in ("tiny", "smoke"):
        _few_people(config)
    if size == "smoke":
        _shrink(config)
    if size != variant:
        _along_time(config, size)
    return config


def _videos(config: Any) -> None:
    """What faces demand, whatever the size."""
    config.data.update(dataset="video_folder", latents=False)
    config.model.latents.size = (128, 128, 3)
    config.model.encoder.update(stem=(64, 128), num_content_tokens=8, remat=False)
    config.model.content.dim = 64
    config.model.denoiser.update(sigma_data=0.3, horizon=3.0)
    config.model.denoiser.network.remat = False
    # Segments of a window show the same poses if they are random frames of it.
    config.objective.update(split="subsets", mean_frames=4, sigma_mean=-1.2, null_content=0.0)
    config.objective.weights.edges = 0.0
    config.rates.content_price = 1e-8
    config.eval.update(split="test", num_clips=512, quick_windows=8, batch_size=8, faces=False)
    config.eval.sharp.name = "heun"


def _for_gpu(config: Any) -> None:
    base.large(config)
    config.data.update(source="grain", frames=50)
    _in_latents(config, (256, 256, 3), "bfloat16")
    config.model.encoder.update(stem=(128, 256), num_content_tokens=32, remat=True)
    config.model.quantizer.update(num_groups=64, num_codes=32, code_dim=8)
    config.model.denoiser.readout.tiles = 8
    config.model.denoiser.network.update(
        channels=(256, 384, 512), embedding=768, num_heads=8, content_map=16, remat=True
    )
    config.objective.update(
        split="halves", mean_frames=25, noisy_segments=64, noisy_frames=25, null_content=0.1
    )
    config.rates.update(
        target_bits_per_frame=160.0, motion_speed=5e-6, target_bits_per_clip=4000.0,
        content_price_range=(1e-8, 1e-4),
    )  # fmt: skip
    config.optimizer.update(learning_rate=2e-4, final_learning_rate=1e-5, warmup_steps=1000)
    config.train.update(
        num_steps=200_000, ema_decay=0.9999, log_every=50, checkpoint_every=2000, eval_every=2000,
        sample_every=10_000,
    )  # fmt: skip
    config.eval.quick_windows = 16
    config.eval.sampler.sigma_max = 5.0


def _in_latents(config: Any, size: tuple[int, int, int], dtype: str) -> None:
    """Videos of this size are drawn in the latents of TAEF2, which preparation has cached."""
    config.data.latents = True
    config.model.latents = dict(
        kind="autoencoder", autoencoder="tiny", patch=1, size=size, dtype=dtype,
        encoder=placeholder(str), decoder=placeholder(str), weights=placeholder(str),
    )  # fmt: skip


def _for_pod(config: Any) -> None:
    """The paper's network, a DiT, at its width; four chips share parameters, all of them clips."""
    config.model.denoiser.network = dict(
        kind="dit", patch=2, width=768, depth=12, num_heads=12, mlp_ratio=4,
        content_tokens=True, content_map=0, temporal=False, remat=True,
    )  # fmt: skip
    config.objective.noisy_segments = 512
    config.train.update(batch_size=256, mesh=dict(data=-1, fsdp=4))


def _refer(config: Any) -> None:
    """Content is a frame that is referred to and warped: strangers cannot be drawn from memory.

    Beside a path that copies, motion comes to life as it is measured from where a clip rests. The
    grid of levels helps, and so do frames from anywhere in a window.
    """
    config.data.update(frames=20, augment="view")
    config.model.update(relative_motion=True, motion_window=10)
    config.model.latents.patch = 8
    config.model.content = dict(kind="reference", dim=192, side=16)
    base.grid(config, groups=14, levels=7)
    config.model.denoiser.readout = dict(
        kind="warp", width=64, num_flows=24, num_blocks=2, motion_channels=16, patch=8,
    )  # fmt: skip
    config.model.denoiser.network.update(channels=(32, 64, 96), embedding=192, content_map=0)
    config.objective.noisy_segments = 2
    # Of edges 1 was measured, 3 not by itself; eyes, which it was meant for, do not follow for it.
    config.objective.weights.edges = 3.0
    config.rates.update(
        target_bits_per_frame=39.0, target_bits_per_clip=32000.0, content_price_range=(1e-8, 3e-7)
    )
    config.optimizer.learning_rate = 2e-3
    config.train.update(
        batch_size=8, num_steps=5500, ema_decay=0.999, log_every=50, checkpoint_every=1000,
        eval_every=2000, sample_every=4000,
    )  # fmt: skip
    config.eval.update(split="validation", num_clips=0, quick_windows=32)


def _few_people(config: Any) -> None:
    config.data.frames = 24
    _in_latents(config, (128, 128, 3), "float32")
    config.model.quantizer.update(num_groups=8, num_codes=16, code_dim=4)
    config.model.denoiser.readout.update(width=512, num_layers=2, tile_width=128)
    config.model.denoiser.network.channels = (64, 128, 192)
    config.objective.noisy_segments = 8
    # A few people and half an hour of training do not fill 160 bits with motion, and what is left
    # over says who it is. So there are a tenth of the bits, and a price on what stays the same in a
    # segment.
    config.objective.weights.static_motion = 0.05
    config.rates.update(
        target_bits_per_frame=16.0, motion_weight=0.004, motion_speed=2e-6,
        target_bits_per_clip=2000.0, content_price_range=(1e-8, 1e-4),
    )  # fmt: skip
    config.optimizer.learning_rate = 1e-3
    config.train.update(
        batch_size=16, num_steps=1900, checkpoint_every=250, eval_every=950, sample_every=950
    )


def _shrink(config: Any) -> None:
    config.data.update(latents=False, frames=16)
    config.model.latents = dict(patch=4, size=(64, 64, 3))
    config.model.encoder.update(stem=(8, 16), width=32, num_layers=1, num_heads=2, mlp_dim=64)
    config.model.quantizer.num_codes = 8
    config.model.denoiser.readout.update(width=64, tile_width=16)
    config.model.denoiser.network.update(
        channels=(8, 16), embedding=32, num_heads=2, attention_levels=(1,)
    )
    config.objective.update(
        split="halves", mean_frames=8, noisy_segments=4, noisy_frames=8, null_content=0.1
    )
    config.rates.motion_weight = 0.04
    config.train.update(
        batch_size=4, num_steps=14, log_every=5, checkpoint_every=10, eval_every=14, sample_every=14
    )
    config.eval.update(num_clips=8, batch_size=4)


def _along_time(config: Any, size: str) -> None:
    """The second run. Its learning rate is that of one cosine over both runs, where it begins."""
    config.model.denoiser.network.temporal = True
    config.optimizer.learning_rate = 6e-5
    config.train.num_steps = 100_000
    if size == "tiny":
        # Attention along time needs every frame of a segment, so one segment a step is denoised.
        config.objective.update(mean_frames=12, noisy_frames=12, noisy_segments=1)
        config.optimizer.warmup_steps = 20
        config.train.update(num_steps=300, checkpoint_every=100, eval_every=150, sample_every=150)
    if size == "smoke":
        config.train.update(num_steps=6, checkpoint_every=3, eval_every=6, sample_every=6)
