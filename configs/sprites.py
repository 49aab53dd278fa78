"""Bitrate-controlled diffusion on Sprites.

    python -m vdd.main --config=configs/sprites.py --workdir=runs/sprites

Sizes, after a colon: none (2 CPU cores, an hour or two), `quick` (2 CPU cores, 10 minutes), `full`
(a GPU or TPU), `smoke` (for tests). `lpc`, `lpc_quick`, `lpc_full`, `lpc_smoke` are the
same on the art of the public benchmark, its sheets in `--config.data.art_dir` or
`$VDD_SPRITES_ART`; `paper` (a UNet) and `paper_dit` leave out the read-out of the mean and the
gate, which are ours (ARCHITECTURE.md: what else is).
"""

# pyright: reportAttributeAccessIssue=false
# A ConfigDict makes what is set ConfigDicts of its own.

from typing import Any

import ml_collections
from ml_collections import config_dict

SIZES = ("base", "quick", "full", "smoke", "paper", "paper_dit")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    words = variant.split("_") if variant else []
    art = words.pop(0) if words[:1] == ["lpc"] else "builtin"
    size = "_".join(words) or "base"
    if size not in SIZES:
        raise ValueError(f"no variant {variant!r}: [lpc_]SIZE with SIZE one of {', '.join(SIZES)}")
    config: Any = ml_collections.ConfigDict()
    config.task, config.seed = "disentangler", 0
    config.data = dict(
        source="tfdata", dataset="sprites", art=art, augment="none",
        split="fit",  # "train": with the validation characters too, for a final model
        permutation_seed=423,  # the published one
        art_dir=config_dict.placeholder(str), data_dir=config_dict.placeholder(str),
    )  # fmt: skip
    config.model = dict(
        dtype="float32", motion_window=4,
        latents=dict(patch=4, size=(64, 64, 3)),
        encoder=dict(stem=(48, 96), width=192, num_layers=3, num_heads=4, mlp_dim=512,
                     num_content_tokens=4),
        content=dict(dim=32),
        quantizer=dict(kind="straight_through", num_groups=1, num_codes=160, code_dim=16,
                       alpha=2.0),
        denoiser=dict(
            prediction="gated", sigma_data=0.1, horizon=1.0, sight=0,
            readout=dict(width=1024, num_layers=1, tiles=4, tile_width=256),
            network=dict(kind="unet", channels=(32, 64, 128), num_blocks=1, embedding=256,
                         num_heads=4, attention_levels=(1, 2), content_map=4, temporal=False),
        ),
    )  # fmt: skip
    config.objective = dict(
        # Of 144 frames a step 128 are rebuilt at infinite noise.
        split="halves", mean_frames=2, noisy_segments=16, noisy_frames=1,
        sigma_mean=-2.0, sigma_std=1.4, highest_snr=25.0,
        null_content=0.02, reread_clips=16,
        weights=dict(codebook=0.25, commitment=0.0625, reread_commitment=0.0625,
                     static_motion=0.0),
    )  # fmt: skip
    config.rates = dict(
        target_bits_per_frame=6.35, motion_weight=0.04, motion_speed=5e-5,
        target_bits_per_clip=80.0, content_price=1e-6, content_price_range=(1e-6, 3e-3),
        content_speed=0.01,
    )  # fmt: skip
    config.revival = dict(usage_decay=0.99, below=0.02, rate=0.005)
    config.optimizer = dict(
        learning_rate=1.5e-3, final_learning_rate=2e-5, warmup_steps=100, b1=0.9, b2=0.99,
        clip_norm=1.0,
    )  # fmt: skip
    config.train = dict(
        batch_size=32, num_steps=8000, accumulate=1, ema_decay=0.995,
        log_every=20, checkpoint_every=500, eval_every=1000, sample_every=1000,
        keep=2, keep_every=0, mesh=dict(data=-1, fsdp=1),
        init_from=config_dict.placeholder(str),  # a run whose parameters are taken over
    )  # fmt: skip
    config.eval = dict(
        split="validation", num_clips=0, probe_clips=0, judge_steps=1000, quick_pairs=256,
        batch_size=64, seed=0,
        sampler=dict(name="mean", steps=0, sigma_min=0.02, sigma_max=3.0, rho=7.0),
        sharp=dict(name="euler", steps=8),  # what of the sampler is otherwise
    )  # fmt: skip
    if art == "lpc":
        # Its 63 poses are 5.92 bits, the 72 of the builtin art 6.17.
        config.rates.target_bits_per_frame, config.model.quantizer.num_codes = 6.1, 128
        config.model.denoiser.readout.update(width=512, num_layers=2)
        config.train.num_steps = 12000
    if size == "quick":
        _quick(config)
        config.train.num_steps = 2800 if art == "lpc" else 1500
        config.train.eval_every = config.train.sample_every = config.train.num_steps * 2 // 3
    if size in ("paper", "paper_dit"):
        _paper(config)
    if size == "paper_dit":
        config.model.denoiser.network = dict(
            kind="dit", patch=2, width=192, depth=6, num_heads=4, mlp_ratio=4,
            content_tokens=True, content_map=4, temporal=False,
        )  # fmt: skip
    if size == "full":
        _full(config)
    if size == "smoke":
        _smoke(config)
    return config


def _quick(config: Any) -> None:
    # The network comes late: in this time its share is better spent on the mean that it refines.
    # Nor are swaps soon right enough to be read, so the codes keep room.
    config.objective.update(noisy_segments=8, reread_clips=0)
    config.eval.judge_steps = 300


def _paper(config: Any) -> None:
    config.model.denoiser.update(prediction="edm", sigma_data=0.5, sight=0)
    config.model.denoiser.readout = None
    config.objective.update(
        mean_frames=1, noisy_segments=64, sigma_mean=0.5, highest_snr=1e9, reread_clips=0,
    )  # fmt: skip
    config.eval.sampler.update(name="euler", steps=8, sigma_max=20.0)
    config.eval.sharp.steps = 16


def _full(config: Any) -> None:
    config.model.dtype = "bfloat16"
    config.model.encoder.update(stem=(96, 192), width=512, num_layers=12, num_heads=8, mlp_dim=2048)
    config.model.denoiser.readout.update(width=1024, num_layers=2, tile_width=512)
    config.model.denoiser.network.update(channels=(128, 256, 384), num_blocks=2, embedding=512)
    # Per step eight times the clips of `base`.
    config.objective.update(
        mean_frames=4, noisy_segments=512, noisy_frames=4, reread_clips=128,
    )  # fmt: skip
    config.optimizer.learning_rate = 3e-4
    config.train.update(batch_size=256, num_steps=60000, ema_decay=0.9995, checkpoint_every=2000)
    config.eval.update(batch_size=512)


def _smoke(config: Any) -> None:
    config.model.encoder.update(stem=(8, 16), width=32, num_layers=1, num_heads=2, mlp_dim=64)
    config.model.denoiser.sight = 16
    config.model.denoiser.readout.update(width=64, tile_width=16)
    config.model.denoiser.network.update(
        channels=(8, 16), embedding=32, num_heads=2, attention_levels=(1,)
    )
    config.objective.update(noisy_segments=4, reread_clips=4)
    config.train.update(
        batch_size=8, num_steps=20, log_every=5, checkpoint_every=10, eval_every=20, sample_every=20
    )
    config.eval.update(num_clips=32, probe_clips=128, quick_pairs=8, batch_size=16, judge_steps=10)
