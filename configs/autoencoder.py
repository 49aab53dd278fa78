"""An image autoencoder of the KL family, on frames.

    python -m vdd.main --config=configs/autoencoder.py --workdir=runs/autoencoder

Sizes, after a colon: none (2 CPU cores, Sprites), `full` (a GPU or TPU; Stable Diffusion's sizes, a
prepared folder of videos, `--config.data.data_dir`), `smoke` (for tests); none of them
has been trained to a result yet. The weights come out in `runs/autoencoder/autoencoder`, by the
names of diffusers' AutoencoderKL. To train on latents of it:

    config.model.latents = dict(
        kind="autoencoder", autoencoder="kl", weights="runs/autoencoder/autoencoder",
        architecture=(the fields of config.model here, without dtype), patch=1, size=(64, 64, 3))
"""

import ml_collections
from ml_collections import config_dict

SIZES = ("base", "full", "smoke")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    size = variant or "base"
    if size not in SIZES:
        raise ValueError(f"no variant {variant!r}: SIZE is one of {', '.join(SIZES)}")
    config = ml_collections.ConfigDict()
    config.task, config.seed = "autoencoder", 0
    config.data = dict(
        source="in_memory", dataset="sprites", art="builtin", augment="none", split="fit",
        art_dir=config_dict.placeholder(str), data_dir=config_dict.placeholder(str),
    )  # fmt: skip
    config.model = dict(
        dtype="float32", channels=(32, 64, 64), num_blocks=1, latent_channels=4, groups=8,
        attention=True, quant_conv=True,
    )  # fmt: skip
    config.objective = dict(frames=1, gradient_weight=1.0, scales=3, kl_weight=1e-6)
    config.optimizer = dict(
        learning_rate=1e-3, final_learning_rate=2e-5, warmup_steps=50, b1=0.9, b2=0.99,
        clip_norm=1.0,
    )  # fmt: skip
    config.train = dict(
        batch_size=16, num_steps=1500, accumulate=1, ema_decay=0.995,
        log_every=20, checkpoint_every=250, eval_every=250, sample_every=500,
        keep=2, keep_every=0, mesh=dict(data=-1, fsdp=1),
        init_from=config_dict.placeholder(str),  # a run whose parameters are taken over
    )  # fmt: skip
    config.eval = dict(split="validation", num_clips=256, batch_size=32, seed=0)
    if size == "full":
        config.data = dict(
            source="grain", dataset="video_folder", data_dir=config_dict.placeholder(str),
            frames=4, latents=False, augment="flip",
        )  # fmt: skip
        config.update(
            model=dict(dtype="bfloat16", channels=(128, 256, 512, 512), num_blocks=2, groups=32),
            objective=dict(scales=5), optimizer=dict(learning_rate=1e-4),
            train=dict(batch_size=64, num_steps=100000, ema_decay=0.9995, checkpoint_every=2000,
                       eval_every=2000, sample_every=5000),
            eval=dict(num_clips=512),
        )  # fmt: skip
    if size == "smoke":
        config.update(
            model=dict(channels=(8, 8), groups=4, attention=False), objective=dict(scales=2),
            train=dict(batch_size=4, num_steps=10, log_every=2, checkpoint_every=5, eval_every=10,
                       sample_every=10),
            eval=dict(num_clips=8, batch_size=8),
        )  # fmt: skip
    return config
