"""Bitrate-controlled diffusion on Sprites.

    python -m vdd.main --config=configs/sprites.py --workdir=runs/sprites

Sizes, after a colon: none (2 CPU cores, an hour or two), `quick` (2 CPU cores, 10 minutes), `full`
(a GPU or TPU), `smoke` (for tests). `lpc`, `lpc_quick`, `lpc_full`, `lpc_smoke` are the
same on the art of the public benchmark, its sheets in `--config.data.art_dir` or
`$VDD_SPRITES_ART`; `vivid` and its sizes, on built-in art whose hair stands out. `paper` (a UNet)
and `paper_dit` leave out the read-out of the mean and the gate, which are ours (ARCHITECTURE.md:
what else is).
"""

# pyright: reportAttributeAccessIssue=false
# A ConfigDict makes what is set ConfigDicts of its own.

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ml_collections.config_dict import placeholder

base = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("base.py"))))
SIZES = ("base", "quick", "full", "smoke", "paper", "paper_dit")


def get_config(variant: str = "") -> Any:
    words = variant.split("_") if variant else []
    art = words.pop(0) if words[:1] in (["lpc"], ["vivid"]) else "builtin"
    size = "_".join(words) or "base"
    if size not in SIZES:
        raise ValueError(
            f"no variant {variant!r}: [lpc_ or vivid_]SIZE with SIZE one of {', '.join(SIZES)}"
        )
    config = base.get_config()
    _sprites(config, art)
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


def _sprites(config: Any, art: str) -> None:
    config.data.update(
        source="tfdata", dataset="sprites", art=art,
        split="fit",  # "train": with the validation characters too, for a final model
        permutation_seed=423,  # the published one
        art_dir=placeholder(str),
    )  # fmt: skip
    config.model.motion_window = 4
    config.model.denoiser.sight = 0
    config.objective.reread_clips = 16  # of 144 frames a step 128 are rebuilt at infinite noise
    config.objective.weights.reread_commitment = 0.0625
    config.eval.update(probe_clips=0, judge_steps=1000, quick_pairs=256)


def _quick(config: Any) -> None:
    # The network comes late: till then time is better spent on the mean that it refines.
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
    base.large(config)
    config.model.encoder.stem = (96, 192)
    config.model.denoiser.readout.update(width=1024, tile_width=512)
    config.model.denoiser.network.update(channels=(128, 256, 384), embedding=512)
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
