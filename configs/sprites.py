"""Bitrate-controlled diffusion on Sprites.

    python -m vdd.main --config=configs/sprites.py --workdir=runs/sprites

Sizes, after a colon: none (2 CPU cores, an hour), `quick` (2 CPU cores, 10 minutes), `full` (a GPU
or TPU), `smoke` (a minute, for tests). `lpc`, `lpc_quick`, `lpc_full`, `lpc_smoke` are the same on
the art of the public benchmark, its sheets in `--config.data.art_dir` or `$VDD_SPRITES_ART`;
`paper` and `lpc_paper` leave out the coarse head, which is ours (ARCHITECTURE.md: what else is).
"""

import ml_collections
from ml_collections import config_dict

SIZES = ("base", "quick", "full", "smoke", "paper")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    words = variant.split("_") if variant else []
    art = words.pop(0) if words[:1] == ["lpc"] else "builtin"
    size = "_".join(words) or "base"
    if size not in SIZES:
        raise ValueError(f"no variant {variant!r}: [lpc_]SIZE with SIZE one of {', '.join(SIZES)}")
    config = ml_collections.ConfigDict()
    config.task, config.seed = "disentangler", 0
    config.data = dict(
        source="tfdata", dataset="sprites", art=art, augment="none",
        split="fit",  # "train": with the validation characters too, for a final model
        permutation_seed=423,  # the published one
        art_dir=config_dict.placeholder(str), data_dir=config_dict.placeholder(str),
    )  # fmt: skip
    config.model = dict(
        dtype="float32", sigma_data=0.1, motion_window=4,
        latents=dict(patch=4, size=(64, 64, 3)),
        encoder=dict(stem=(48, 96), width=192, num_layers=3, num_heads=4, mlp_dim=512,
                     num_content_tokens=4),
        content=dict(dim=32),
        quantizer=dict(kind="straight_through", num_groups=1, num_codes=160, code_dim=16,
                       alpha=2.0),
        coarse=dict(width=512, num_layers=2, tiles=4, tile_width=128),
        denoiser=dict(channels=(32, 64, 128), num_blocks=1, embedding=256, num_heads=4,
                      attention_levels=(1, 2), content_map=4, temporal=False),
    )  # fmt: skip
    config.objective = dict(
        split="halves", coarse_frames=2, denoised_frames=1, denoised_share=0.25,
        denoise_weight=1.0, coarse_weight=1.0, codebook_weight=0.25, commitment_weight=0.0625,
        null_content=0.1, reread_share=0.25, reread_chance=1.0, reread_commitment_weight=0.0625,
        mirror_share=0.0, mirror_chance=1.0,
        sigma_mean=-2.0, sigma_std=1.4,
        target_bits_per_frame=6.35, target_bits_per_clip=80.0, rate_weight=0.04,
        static_weight=0.0,
    )  # fmt: skip
    config.steering = dict(
        content_price=1e-6, content_price_range=(1e-6, 3e-3), content_speed=0.01,
        motion_course=((0.1, 1.1), (0.4, 1.1), (0.6, 0.97)),
        content_course=((0.06, 0.5), (0.16, 1.0)),
        null_course=((0.06, 1.0), (0.1, 0.0)), reread_course=((0.28, 0.0), (0.33, 1.0)),
        mirror_course=((0.5, 0.0), (0.55, 1.0)),
        motion_speed=5e-5, usage_decay=0.99, revive_below=0.02, revive_rate=0.005,
    )  # fmt: skip
    config.optimizer = dict(
        learning_rate=1.5e-3, final_learning_rate=2e-5, warmup_steps=100, b1=0.9, b2=0.99,
        clip_norm=1.0, weight_decay=0.0, weight_decay_start=0.5,
    )  # fmt: skip
    config.train = dict(
        batch_size=32, num_steps=12000, accumulate=1, ema_decay=0.995,
        log_every=20, checkpoint_every=500, eval_every=1000, sample_every=1000,
        keep=2, keep_every=0, mesh=dict(data=-1, fsdp=1),
    )  # fmt: skip
    config.eval = dict(
        split="validation", num_clips=0, probe_clips=0, judge_steps=1000, quick_pairs=256,
        batch_size=64, seed=0,
        sampler=dict(name="euler", steps=1, sigma_min=0.02, sigma_max=1.0, rho=7.0),
    )  # fmt: skip
    if art == "lpc":
        # Its 63 poses are 5.92 bits, the 72 of the builtin art 6.17.
        config.objective.target_bits_per_frame, config.model.quantizer.num_codes = 6.1, 128
        # Two of its bodies differ little; the built-in art does without.
        config.objective.mirror_share = 0.25
    if size == "quick":
        # The denoiser comes late: in this time its share is better spent on what it refines. Nor
        # are swaps soon right enough to be read, so the codes keep room.
        config.objective.update(denoised_share=0.125, reread_share=0.0, mirror_share=0.0)
        config.steering.motion_course = ((0.6, 1.1), (1.0, 1.0))
        config.steering.content_course = ((0.25, 0.5), (0.6, 1.0))
        config.steering.null_course = ((0.3, 1.0), (0.5, 0.0))
        config.train.num_steps = 2800 if art == "lpc" else 1500
        config.eval.judge_steps = 300
        config.train.eval_every = config.train.sample_every = config.train.num_steps * 2 // 3
    if size == "paper":
        config.model.coarse.width = 0
        config.model.sigma_data = 0.5
        config.objective.update(sigma_mean=0.5, denoised_share=1.0, coarse_frames=1)
        config.objective.update(reread_share=0.0, mirror_share=0.0)
        config.eval.sampler.update(steps=8, sigma_max=20.0)
    if size == "full":
        config.model.dtype = "bfloat16"
        config.model.encoder.update(
            stem=(96, 192), width=512, num_layers=12, num_heads=8, mlp_dim=2048
        )
        config.model.coarse.update(width=1024, tile_width=512)
        config.model.denoiser.update(channels=(128, 256, 384), num_blocks=2, embedding=512)
        config.objective.update(coarse_frames=4, denoised_frames=4, denoised_share=1.0)
        config.optimizer.learning_rate = 3e-4
        config.train.update(
            batch_size=256, num_steps=60000, ema_decay=0.9995, checkpoint_every=2000
        )
        config.eval.update(batch_size=512)
    if size == "smoke":
        config.model.encoder.update(stem=(8, 16), width=32, num_layers=1, num_heads=2, mlp_dim=64)
        config.model.coarse.update(width=64, tile_width=16)
        config.model.denoiser.update(
            channels=(8, 16), embedding=32, num_heads=2, attention_levels=(1,)
        )
        config.train.update(batch_size=8, num_steps=20, log_every=5, checkpoint_every=10)
        config.train.update(eval_every=20, sample_every=20)
        config.eval.update(num_clips=32, probe_clips=128, quick_pairs=8, batch_size=16)
        config.eval.judge_steps = 10
    return config
