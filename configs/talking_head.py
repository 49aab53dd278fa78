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

from typing import Any

import ml_collections
from ml_collections import config_dict

PLAIN = ("base", "pod", "small", "tiny", "smoke")
SIZES = (*PLAIN, *(f"{size}_temporal" for size in PLAIN if size != "small"))


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    variant = variant or "base"
    if variant not in SIZES:
        raise ValueError(f"no variant {variant!r}: take one of {', '.join(SIZES)}")
    size = variant.removesuffix("_temporal")
    config = _base()
    if size == "pod":
        _for_pod(config)
    if size in ("small", "tiny", "smoke"):
        _shrink(config)
    if size == "small":
        _refer(config)
    if size == "smoke":
        _shrink_further(config)
    if size != variant:
        _along_time(config, size)
    return config


def _base() -> Any:
    config = ml_collections.ConfigDict()
    config.task, config.seed = "disentangler", 0
    config.data = dict(
        source="grain", dataset="video_folder", data_dir=config_dict.placeholder(str),
        frames=50, latents=True, augment="none",
    )  # fmt: skip
    config.model = dict(
        dtype="bfloat16",
        latents=dict(kind="autoencoder", autoencoder="tiny", patch=1, size=(256, 256, 3),
                     dtype="bfloat16", encoder=config_dict.placeholder(str),
                     decoder=config_dict.placeholder(str), weights=config_dict.placeholder(str)),
        encoder=dict(stem=(128, 256), width=512, num_layers=12, num_heads=8, mlp_dim=2048,
                     num_content_tokens=32, remat=True),
        content=dict(dim=64),
        quantizer=dict(kind="straight_through", num_groups=64, num_codes=32, code_dim=8,
                       alpha=2.0),
        denoiser=dict(
            prediction="gated", sigma_data=0.3, horizon=3.0,
            readout=dict(width=1024, num_layers=2, tiles=8, tile_width=256),
            network=dict(kind="unet", channels=(256, 384, 512), num_blocks=2, embedding=768,
                         num_heads=8, attention_levels=(1, 2), content_map=16, temporal=False,
                         remat=True),
        ),
    )  # fmt: skip
    config.objective = dict(
        split="halves", mean_frames=25, noisy_segments=64, noisy_frames=25,
        sigma_mean=-1.2, sigma_std=1.4, highest_snr=25.0,
        null_content=0.1, reread_clips=0,
        weights=dict(codebook=0.25, commitment=0.0625, reread_commitment=0.0,
                     static_motion=0.0, edges=0.0),
    )  # fmt: skip
    config.rates = dict(
        target_bits_per_frame=160.0, motion_weight=0.04, motion_speed=5e-6,
        target_bits_per_clip=4000.0, content_price=1e-8, content_price_range=(1e-8, 1e-4),
        content_speed=0.01,
    )  # fmt: skip
    config.revival = dict(usage_decay=0.99, below=0.02, rate=0.005)
    config.optimizer = dict(
        learning_rate=2e-4, final_learning_rate=1e-5, warmup_steps=1000, b1=0.9, b2=0.99,
        clip_norm=1.0,
    )  # fmt: skip
    config.train = dict(
        batch_size=32, num_steps=200_000, accumulate=1,
        ema_decay=0.9999, log_every=50, checkpoint_every=2000, eval_every=2000,
        sample_every=10_000, keep=2, keep_every=0, mesh=dict(data=-1, fsdp=1),
        init_from=config_dict.placeholder(str),  # a run whose parameters are taken over
    )  # fmt: skip
    config.eval = dict(
        split="test", num_clips=512, quick_windows=16, batch_size=8, seed=0, faces=False,
        sampler=dict(name="mean", steps=0, sigma_min=0.02, sigma_max=5.0, rho=7.0),
        sharp=dict(name="heun", steps=8),  # what of the sampler is otherwise
    )  # fmt: skip
    return config


def _for_pod(config: Any) -> None:
    """The paper's network, a DiT, at its width; four chips share parameters, all of them clips."""
    config.model.denoiser.network = dict(
        kind="dit", patch=2, width=768, depth=12, num_heads=12, mlp_ratio=4,
        content_tokens=True, content_map=0, temporal=False, remat=True,
    )  # fmt: skip
    config.objective.noisy_segments = 512
    config.train.update(batch_size=256, mesh=dict(data=-1, fsdp=4))


def _shrink(config: Any) -> None:
    config.model.dtype = "float32"
    config.model.encoder.update(
        stem=(64, 128), width=192, num_layers=3, num_heads=4, mlp_dim=512,
        num_content_tokens=8, remat=False,
    )  # fmt: skip
    config.model.quantizer.update(num_groups=8, num_codes=16, code_dim=4)
    config.model.denoiser.readout.update(width=512, tiles=4, tile_width=128)
    config.model.denoiser.network.update(
        channels=(64, 128, 192), num_blocks=1, embedding=256, num_heads=4, content_map=4,
        remat=False,
    )  # fmt: skip
    config.model.latents.update(size=(128, 128, 3), dtype="float32")
    config.data.update(source="in_memory", frames=24)
    # A few people and half an hour of training do not fill 160 bits with motion, and what is left
    # over says who it is. So there are a tenth of the bits, and a price on what stays the same in a
    # segment. For that segments have to show the same poses: random frames of a second.
    config.objective.update(
        split="subsets", mean_frames=4, noisy_segments=8, noisy_frames=1, null_content=0.0,
    )  # fmt: skip
    config.objective.weights.static_motion = 0.05
    config.rates.update(
        target_bits_per_frame=16.0, motion_weight=0.004, motion_speed=2e-6,
        target_bits_per_clip=2000.0,
    )  # fmt: skip
    config.optimizer.update(learning_rate=1e-3, final_learning_rate=2e-5, warmup_steps=100)
    config.train.update(
        batch_size=16, num_steps=1900, ema_decay=0.995,
        log_every=20, checkpoint_every=250, eval_every=950, sample_every=950,
    )  # fmt: skip
    config.eval.update(quick_windows=8)
    config.eval.sampler.update(sigma_max=3.0)


def _refer(config: Any) -> None:
    """Content is a frame that is referred to and warped: strangers cannot be drawn from memory.

    Beside a path that copies, motion comes to life as it is measured from where a clip rests. The
    grid of levels helps, and so do frames from anywhere in a window.
    """
    config.data.update(latents=False, frames=20, augment="view")
    config.model.update(relative_motion=True, motion_window=10)
    config.model.latents = dict(patch=8, size=(128, 128, 3))
    config.model.content = dict(kind="reference", dim=192, side=16)
    config.model.quantizer = dict(kind="grid", num_groups=14, num_codes=7, alpha=4.0)
    config.model.denoiser.readout = dict(
        kind="warp", width=64, num_flows=24, num_blocks=2, motion_channels=16, patch=8,
    )  # fmt: skip
    config.model.denoiser.network.update(channels=(32, 64, 96), embedding=192, content_map=0)
    config.objective.update(mean_frames=4, noisy_segments=2, noisy_frames=1)
    # Of edges 1 was measured, 3 not by itself; eyes, which it was meant for, do not follow for it.
    config.objective.weights.update(codebook=0.0, commitment=0.0, static_motion=0.0, edges=3.0)
    config.rates.update(
        target_bits_per_frame=39.0, motion_weight=0.0, motion_speed=0.0,
        target_bits_per_clip=32000.0, content_price=1e-8, content_price_range=(1e-8, 3e-7),
    )  # fmt: skip
    config.revival.rate = 0.0
    config.optimizer.learning_rate = 2e-3
    config.train.update(
        batch_size=8, num_steps=5500, ema_decay=0.999, log_every=50, checkpoint_every=1000,
        eval_every=2000, sample_every=4000,
    )  # fmt: skip
    config.eval.update(split="validation", num_clips=0, quick_windows=32)


def _shrink_further(config: Any) -> None:
    config.data.update(latents=False, frames=16)
    config.objective.update(split="halves", noisy_segments=4)
    config.model.latents = dict(patch=4, size=(64, 64, 3))
    config.model.encoder.update(stem=(8, 16), width=32, num_layers=1, num_heads=2, mlp_dim=64)
    config.model.quantizer.update(num_groups=8, num_codes=8)
    config.model.denoiser.readout.update(width=64, tile_width=16)
    config.model.denoiser.network.update(
        channels=(8, 16), embedding=32, num_heads=2, attention_levels=(1,)
    )
    config.objective.update(mean_frames=8, noisy_frames=8, null_content=0.1)
    config.rates.motion_weight = 0.04
    config.train.update(batch_size=4, num_steps=14, log_every=5)
    config.train.update(checkpoint_every=10, eval_every=14, sample_every=14)
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
