"""Bitrate-controlled diffusion on Sprites.

    python -m vdd.main --config=configs/sprites.py --workdir=runs/sprites

Variants, after a colon: `quick` (20 minutes on 2 CPU cores), `full` (a GPU or TPU), `smoke` (one
minute, for tests) on the built-in art; `lpc`, `lpc_quick`, `lpc_full`, `lpc_smoke` on the art of
the public benchmark, whose sheets are found in `--config.data.art_dir`, else in `VDD_SPRITES_ART`.
"""

import ml_collections
from ml_collections import config_dict


def get_config(variant: str = "quick") -> ml_collections.ConfigDict:
    art, _, size = variant.rpartition("_") if "_" in variant else ("", "", variant)
    if variant in ("", "lpc"):
        art, size = variant, "quick"
    config = ml_collections.ConfigDict()
    config.seed = 0

    config.data = dict(
        source="in_memory", dataset="sprites", art=art or "builtin",
        art_dir=config_dict.placeholder(str), data_dir=config_dict.placeholder(str), augment="none",
    )
    config.model = dict(
        dtype="float32", content_dim=32, sigma_data=0.1,
        latents=dict(patch=4, size=(64, 64, 3)),
        encoder=dict(stem=(48, 96), width=192, num_layers=3, num_heads=4, mlp_dim=512,
                     num_content_tokens=4),
        quantizer=dict(kind="straight_through", num_groups=2, num_codes=32, code_dim=8, alpha=2.0),
        coarse=dict(width=1024, num_layers=2),
        denoiser=dict(channels=(32, 64, 128), num_blocks=1, embedding=256, num_heads=4,
                      attention_levels=(1, 2), content_map=4, temporal=False),
    )
    config.objective = dict(
        split="halves", coarse_frames=2, denoised_frames=1,
        denoise_weight=1.0, coarse_weight=1.0, codebook_weight=0.25, commitment_weight=0.0625,
        null_content=0.1, sigma_mean=-2.0, sigma_std=1.4,
        target_bits_per_frame=7.0, target_bits_per_clip=20.0, rate_weight=0.04,
    )
    config.steering = dict(
        content_price=1e-6, content_price_range=(1e-6, 3e-3), content_speed=0.01,
        motion_speed=1e-4, usage_decay=0.99, revive_below=0.02, revive_rate=0.005,
    )
    config.optimizer = dict(
        learning_rate=1e-3, final_learning_rate=2e-5, warmup_steps=100, b1=0.9, b2=0.99,
        clip_norm=1.0,
    )
    config.train = dict(
        batch_size=32, num_steps=2000, accumulate=1, ema_decay=0.995,
        log_every=20, checkpoint_every=500, eval_every=500, sample_every=500,
        keep=2, mesh=dict(data=-1, fsdp=1),
    )
    config.eval = dict(
        quick_pairs=256,
        sampler=dict(name="heun", steps=3, sigma_min=0.01, sigma_max=5.0, rho=7.0),
        split="test", batch_size=64, seed=0,
    )
    return config
