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

from typing import Any

import ml_collections
from ml_collections import config_dict

SIZES = ("base", "full", "smoke")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    size = variant or "base"
    if size not in SIZES:
        raise ValueError(f"no variant {variant!r}: take one of {', '.join(SIZES)}")
    config: Any = ml_collections.ConfigDict()
    config.task, config.seed = "disentangler", 0
    config.data = dict(
        source="in_memory", dataset="universal_lpc", frames=48, channels=4, background="grey",
        recolour=0.7,  # of the clips: looks should not be known by their palettes
        num_clips=4000,  # of train, where they are written down (source=tfdata, grain)
        augment="none", workers=0,
        art_dir=config_dict.placeholder(str), data_dir=config_dict.placeholder(str),
    )  # fmt: skip
    config.model = dict(
        dtype="float32", motion_window=16,
        latents=dict(patch=4, size=(64, 64, 4)),
        encoder=dict(stem=(48, 96), width=192, num_layers=3, num_heads=4, mlp_dim=512,
                     num_content_tokens=2),
        content=dict(kind="map", dim=16, side=8, channels=(64, 96)),
        quantizer=dict(kind="grid", num_groups=6, num_codes=3, alpha=4.0),
        denoiser=dict(
            prediction="gated", sigma_data=0.2, horizon=2.0,
            readout=dict(kind="convolutions", channels=(128, 96), num_blocks=2,
                         motion_channels=16),
            network=dict(kind="unet", channels=(32, 64, 96), num_blocks=1, embedding=192,
                         num_heads=4, attention_levels=(), content_map=0, temporal=False),
        ),
    )  # fmt: skip
    config.objective = dict(
        split="apart", mean_frames=2, noisy_segments=4, noisy_frames=1,
        sigma_mean=-1.5, sigma_std=1.4, highest_snr=25.0,
        null_content=0.02, reread_clips=0,
        weights=dict(codebook=0.0, commitment=0.0, reread_commitment=0.0, static_motion=0.0),
    )  # fmt: skip
    # The grid keeps motion at its rate by itself; content pays one price from the first step on.
    config.rates = dict(
        target_bits_per_frame=9.5, motion_weight=0.0, motion_speed=0.0,
        target_bits_per_clip=600.0, content_price=1e-6, content_price_range=(1e-6, 1e-6),
        content_speed=0.0,
    )  # fmt: skip
    config.revival = dict(usage_decay=0.99, below=0.0, rate=0.0)
    config.optimizer = dict(
        learning_rate=1e-3, final_learning_rate=2e-5, warmup_steps=200, b1=0.9, b2=0.99,
        clip_norm=1.0,
    )  # fmt: skip
    config.train = dict(
        batch_size=8, num_steps=100_000, accumulate=1, ema_decay=0.999,
        log_every=50, checkpoint_every=1000, eval_every=2500, sample_every=5000,
        keep=2, keep_every=0, mesh=dict(data=-1, fsdp=1),
        init_from=config_dict.placeholder(str),  # a run whose parameters are taken over
    )  # fmt: skip
    config.eval = dict(
        split="validation", num_clips=0, quick_pairs=64, batch_size=16, seed=0,
        sampler=dict(name="mean", steps=0, sigma_min=0.02, sigma_max=3.0, rho=7.0),
        sharp=dict(name="euler", steps=8),  # what of the sampler is otherwise
    )  # fmt: skip
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
