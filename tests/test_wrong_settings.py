"""A wrong value in a config is told when the training is built: one line that begins with its key.

Nothing is traced and nothing is written by then.
"""

import pytest
from tiny import load_module

from vdd import train
from vdd.errors import UserError

NETWORK, READOUT = "model.denoiser.network", "model.denoiser.readout"
WEIGHTS = "objective.weights"
DIT = {
    "kind": "dit", "patch": 2, "width": 16, "depth": 1, "num_heads": 2, "mlp_ratio": 2,
    "content_tokens": True, "content_map": 0, "temporal": False,
}  # fmt: skip
GUMBEL = {"kind": "gumbel_softmax", "num_groups": 2, "num_codes": 16, "code_dim": 4, "alpha": 2.0}

# Config, key, a value that it cannot have, and what is said behind KEY=VALUE.
SPRITES = [
    ("seed", -1, "at least 0"),
    ("data.source", "x", "take one of in_memory, tfdata, grain"),
    ("data.split", "x", "take one of train, fit"),
    ("data.art", "x", "take one of lpc, builtin, vivid"),
    ("model.latents.patch", 0, "at least 1"),
    ("model.latents.size", (64, 0, 3), "each must be at least 1"),
    ("model.motion_window", -1, "at least 0"),
    ("model.encoder.stem", (), "at least one entry"),
    ("model.encoder.stem", (8, 0), "each must be at least 1"),
    ("model.encoder.width", 0, "at least 1"),
    ("model.encoder.num_layers", 0, "at least 1"),
    ("model.encoder.num_heads", 0, "at least 1"),
    ("model.encoder.num_heads", 3, "it must divide width=32"),
    ("model.encoder.mlp_dim", 0, "at least 1"),
    ("model.encoder.num_content_tokens", 0, "at least 1"),
    ("model.encoder.remat", "x", "True or False"),
    ("model.content.dim", 0, "at least 1"),
    ("model.content.dim", -3, "at least 1"),
    ("model.quantizer.num_groups", 0, "at least 1"),
    ("model.quantizer.num_codes", 0, "at least 2"),
    ("model.quantizer.code_dim", 0, "at least 1"),
    ("model.quantizer.alpha", 0.0, "above 0"),
    ("model.quantizer", GUMBEL | {"temperature": 0.0}, "temperature=0.0: it must be above 0"),
    ("model.denoiser.sigma_data", 0.0, "above 0"),
    ("model.denoiser.sigma_data", -1.0, "above 0"),
    ("model.denoiser.horizon", 0.0, "above 0"),
    ("model.denoiser.sight", -1, "at least 0"),
    (f"{READOUT}.width", 0, "at least 4"),
    (f"{READOUT}.num_layers", 0, "at least 1"),
    (f"{READOUT}.tiles", 0, "at least 1"),
    (f"{READOUT}.tile_width", 0, "at least 1"),
    (f"{NETWORK}.channels", (), "at least one entry"),
    (f"{NETWORK}.channels", (8, -8), "each must be at least 1"),
    (f"{NETWORK}.channels", (8,) * 6, "latents of 16x16 cannot be halved 5 times"),
    (f"{NETWORK}.num_blocks", 0, "at least 1"),
    (f"{NETWORK}.embedding", 0, "at least 1"),
    (f"{NETWORK}.num_heads", 3, "it must divide channels=(16,)"),
    (f"{NETWORK}.attention_levels", (7,), "from 0 to 1"),
    (f"{NETWORK}.content_map", -1, "at least 0"),
    (f"{NETWORK}.temporal", "x", "True or False"),
    (NETWORK, DIT | {"depth": 0}, "depth=0: it must be at least 1"),
    (NETWORK, DIT | {"patch": 3}, "patch=3: latents of 16x16 cannot be cut"),
    (NETWORK, DIT | {"num_heads": 3}, "num_heads=3: it must divide width=16"),
    (NETWORK, DIT | {"width": 18}, "width=18: it must be a multiple of 4"),
    (NETWORK, DIT | {"mlp_ratio": 0}, "mlp_ratio=0: it must be at least 1"),
    (NETWORK, DIT | {"content_map": -1}, "content_map=-1: it must be at least 0"),
    ("objective.sigma_std", -1.0, "at least 0"),
    ("objective.highest_snr", -1.0, "at least 0"),
    ("objective.null_content", 1.5, "from 0 to 1"),
    (f"{WEIGHTS}.codebook", -1.0, "at least 0"),
    (f"{WEIGHTS}.static_motion", -1.0, "at least 0"),
    ("rates.motion_weight", -1.0, "at least 0"),
    ("rates.motion_speed", -1.0, "at least 0"),
    ("rates.content_speed", -1.0, "at least 0"),
    ("rates.target_bits_per_clip", 0.0, "above 0"),
    ("rates.target_bits_per_frame", -1.0, "bits above 0, or 'auto'"),
    ("rates.content_price", 0.0, "in content_price_range"),
    ("revival.usage_decay", 1.0, "from 0 to under 1"),
    ("revival.below", -1.0, "at least 0"),
    ("revival.rate", 2.0, "from 0 to 1"),
    ("optimizer.learning_rate", 0.0, "above 0"),
    ("optimizer.final_learning_rate", -1.0, "at least 0"),
    ("optimizer.warmup_steps", -1, "at least 0"),
    ("optimizer.b1", 1.5, "from 0 to under 1"),
    ("optimizer.b2", 1.0, "from 0 to under 1"),
    ("optimizer.clip_norm", 0.0, "above 0"),
    ("optimizer.clip_norm", float("nan"), "above 0"),
    ("train.num_steps", 0, "at least 1"),
    ("train.accumulate", 0, "at least 1"),
    ("train.ema_decay", 2.0, "from 0 to under 1"),
    ("train.log_every", 0, "at least 1"),
    ("train.checkpoint_every", -1, "at least 0"),
    ("train.eval_every", -1, "at least 0"),
    ("train.sample_every", -1, "at least 0"),
    ("train.keep_every", -1, "at least 0"),
    ("eval.split", "x", "take one of train, fit"),
    ("eval.num_clips", -1, "at least 0"),
    ("eval.num_clips", 1, "2 or more"),
    ("eval.batch_size", 0, "at least 1"),
    ("eval.seed", -1, "at least 0"),
    ("eval.probe_clips", -1, "at least 0"),
    ("eval.quick_pairs", 0, "at least 1"),
    ("eval.judge_steps", -1, "at least 1"),
    ("eval.sharp.steps", 0, "at least 1 step"),
]
OTHERS = {
    "universal_lpc": [
        ("model.content.side", 0, "at least 1"),
        ("model.content.channels", (), "at least one entry"),
        ("model.content.dim", 0, "at least 1"),
        ("model.quantizer.num_groups", 0, "at least 1"),
        (f"{READOUT}.num_blocks", 0, "at least 1"),
        (f"{READOUT}.motion_channels", 0, "at least 1"),
        (f"{READOUT}.channels", (8, 0), "each must be at least 1"),
        ("data.workers", -1, "at least 0"),
    ],
    "talking_head": [
        ("data.frames", 0, "at least 1"),
        ("data.split", "x", "take one of train"),
        ("data.latents", "x", "True or False"),
        ("eval.num_clips", -1, "at least 0"),
        ("eval.quick_windows", 0, "at least 1"),
    ],
    "motion_prior": [
        ("data.frames", 0, "at least 1"),
        ("data.start_share", 1.5, "from 0 to 1"),
        ("data.num_clips", -1, "at least 0"),
        ("model.width", 0, "at least 1"),
        ("model.num_heads", 3, "it must divide width=32"),
        ("model.window", 0, "at least 1"),
        ("model.mlp_dim", 0, "at least 1"),
        ("optimizer.b1", 1.0, "from 0 to under 1"),
        ("train.accumulate", 2, "whole batches"),
        ("eval.split", "x", "take one of train, fit"),
        ("eval.batch_size", 0, "at least 1"),
    ],
    "autoencoder": [
        ("data.source", "x", "take one of in_memory, tfdata, grain"),
        ("data.art", "x", "take one of lpc, builtin, vivid"),
        ("model.groups", 3, "it must divide channels=(8, 8)"),
        ("model.channels", (), "at least one entry"),
        ("objective.scales", 0, "at least 1"),
        ("objective.kl_weight", -1.0, "at least 0"),
        ("optimizer.clip_norm", -1.0, "above 0"),
        ("eval.num_clips", -1, "at least 0"),
    ],
}
CASES = [("sprites", *case) for case in SPRITES]
CASES += [(name, *case) for name, cases in OTHERS.items() for case in cases]


def built(name: str, key: str, value: object) -> None:
    config = load_module(name).get_config("smoke")
    with config.unlocked(), config.ignore_type():
        *groups, last = key.split(".")
        settings = config
        for part in groups:
            settings = settings[part]
        settings[last] = value
    train.build(config)


@pytest.mark.parametrize(("name", "key", "value", "words"), CASES)
def test_a_wrong_value_is_told_by_its_key(name, key, value, words):
    with pytest.raises(UserError) as told:
        built(name, key, value)
    message = str(told.value)
    begins = (key,) if isinstance(value, dict) else (f"{key}={value}", f"{key}: ")
    assert message.removeprefix("--config.").startswith(begins)
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer.warmup_steps", 0),
        ("optimizer.warmup_steps", 10**6),  # as many as there are, at most
        ("optimizer.final_learning_rate", 0.0),
        ("optimizer.clip_norm", float("inf")),
        ("objective.highest_snr", float("inf")),
        ("objective.sigma_std", 0.0),
        ("revival.below", 0.0),
        ("train.checkpoint_every", 0),
        ("train.eval_every", 0),
        ("train.sample_every", 0),
        (f"{NETWORK}.embedding", 31),
        (f"{NETWORK}.attention_levels", ()),
        (f"{NETWORK}.num_heads", 16),
        (NETWORK, DIT),
        ("model.quantizer", GUMBEL),
    ],
)
def test_odd_values_that_are_of_use_are_taken(key, value):
    built("sprites", key, value)
