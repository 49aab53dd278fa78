"""Configs of a few thousand parameters, on clips of 16 x 16 pixels, for the campaigns.

Variants: `videos` (a prepared folder, `--config.data.data_dir`) and `sprites`, after an underscore
`dit` (a DiT in place of the UNet) and `temporal` (attention along time); `toy`, of `toy_task`.
"""

import runpy
from pathlib import Path
from typing import Any

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FRAMES, SIDE = 8, 16


def get_config(variant: str = "videos") -> Any:
    if variant == "toy":
        return runpy.run_path(str(Path(__file__).with_name("toy_task.py")))["get_config"]()
    data, *kinds = variant.split("_")
    config = _smoke({"videos": "talking_head", "sprites": "sprites"}[data])
    config.data.source = "in_memory"
    config.model.motion_window = 0
    config.model.latents.size = (SIDE, SIDE, 3)
    config.model.content.dim = 4
    config.model.encoder.update(stem=(8,), width=16, num_layers=1, num_heads=2, mlp_dim=16)
    config.model.encoder.num_content_tokens = 2
    config.model.quantizer.update(num_groups=2, num_codes=8, code_dim=4)
    config.model.denoiser.readout.update(width=16, tiles=2, tile_width=8)
    config.model.denoiser.network = _network(kinds)
    config.objective.update(mean_frames=1, noisy_segments=2, noisy_frames=1, reread_clips=0)
    config.rates.target_bits_per_frame = 5.0
    config.optimizer.update(warmup_steps=2)
    config.train.update(
        batch_size=4, num_steps=12, log_every=2, checkpoint_every=3, eval_every=6, sample_every=6
    )
    config.eval.update(num_clips=4, batch_size=4)
    if data == "videos":
        config.data.frames = FRAMES
        config.eval.quick_windows = 2
    else:
        config.eval.update(probe_clips=0, quick_pairs=4, judge_steps=1)
    if "temporal" in kinds:
        config.objective.update(mean_frames=FRAMES // 2, noisy_frames=FRAMES // 2)
    return config


def _smoke(name: str) -> Any:
    return runpy.run_path(str(CONFIGS / f"{name}.py"))["get_config"]("smoke")


def _network(kinds: list[str]) -> dict[str, Any]:
    temporal = "temporal" in kinds
    if "dit" in kinds:
        return dict(
            kind="dit", patch=2, width=16, depth=1, num_heads=2, mlp_ratio=2,
            content_tokens=True, content_map=2, temporal=temporal,
        )  # fmt: skip
    return dict(
        kind="unet", channels=(8,), num_blocks=1, embedding=16, num_heads=2,
        attention_levels=(0,), content_map=2, temporal=temporal,
    )  # fmt: skip
