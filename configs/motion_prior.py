"""The prior over the motion codes of a trained run.

    python -m vdd.main --config=configs/motion_prior.py --config.source=runs/sprites \
        --workdir=runs/sprites_prior

`source` is a run directory or the name of a shipped model. Sizes stand after a colon. None is for
Sprites: 1 M parameters, a few minutes on 2 CPU cores. `universal_lpc` (6 groups x 48 frames of play
that goes on) takes as long. `faces` (of `talking_head:small`) takes two minutes; give it windows
of every frame by `--config.data.art_dir`. `large` (64 groups x 50 frames) is for a GPU or TPU,
`smoke` for tests.
"""

# pyright: reportAttributeAccessIssue=false
# A ConfigDict makes what is set ConfigDicts of its own.

import ml_collections
from ml_collections import config_dict

SIZES = ("base", "universal_lpc", "faces", "large", "smoke")


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    size = variant or "base"
    if size not in SIZES:
        raise ValueError(f"no variant {variant!r}: one of {', '.join(SIZES)}")
    config = ml_collections.ConfigDict()
    config.task, config.seed = "prior", 0
    config.source, config.source_step = "sprites", config_dict.placeholder(int)  # None: its last
    # Two rounds of a Sprites clip, so that nothing past the window is left unlearned.
    config.data = dict(
        frames=16, loop=True, start_share=0.5, num_clips=0,  # 0: all
        art_dir=config_dict.placeholder(str),
    )  # fmt: skip
    config.model = dict(
        width=128, time_layers=3, group_layers=1, num_heads=4, mlp_dim=768, window=10
    )  # fmt: skip
    config.optimizer = dict(
        learning_rate=1e-3, final_learning_rate=1e-5, warmup_steps=50, b1=0.9, b2=0.99,
        clip_norm=1.0,
    )  # fmt: skip
    config.train = dict(
        batch_size=64, num_steps=1200, accumulate=1, ema_decay=0.99, log_every=20,
        checkpoint_every=300, eval_every=300, keep=2, keep_every=0, mesh=dict(data=-1, fsdp=1),
        init_from=config_dict.placeholder(str),  # a run whose parameters are taken over
    )  # fmt: skip
    config.eval = dict(split="validation", num_clips=0, batch_size=64)
    if size == "universal_lpc":
        config.data.update(frames=48, loop=False)
        config.model.window = 16  # an action has at most 13 frames
        config.train.update(batch_size=8, num_steps=2500)
    if size == "faces":
        config.data.update(frames=20, loop=False)
        config.model.window = 16
        # A thousand windows are soon known by heart: much longer, and others cost more and more.
        config.train.update(batch_size=32, num_steps=320, checkpoint_every=40, eval_every=40)
    if size == "large":
        config.data.update(frames=50, loop=False)
        config.model.update(
            width=512, time_layers=8, group_layers=3, num_heads=8, mlp_dim=2048, window=49
        )
        config.optimizer.update(learning_rate=3e-4, warmup_steps=1000)
        config.train.update(
            batch_size=64, num_steps=50000, ema_decay=0.999, checkpoint_every=1000, eval_every=5000
        )
    if size == "smoke":
        config.model.update(width=32, time_layers=2, num_heads=2, mlp_dim=64, window=5)
        config.train.update(batch_size=8, num_steps=20, log_every=5, checkpoint_every=10)
        config.train.eval_every = 20
        config.data.num_clips = config.eval.num_clips = 64
    return config
