"""The shipped config of a prior, made small."""

import numpy as np
import tiny

from vdd.data import sprites

STEPS = 6


def get_config(source, **changes):
    """The shipped config made small; codes of the tiny run are 2 groups of 8."""
    path = tiny.ROOT / "configs" / "motion_prior.py"
    namespace: dict = {}
    exec(path.read_text(), namespace)
    config = namespace["get_config"]("smoke")
    config.source = str(source)
    config.model.update(width=8, time_layers=1, mlp_dim=8, window=4)
    config.data.update(num_clips=0, frames=6)
    config.train.update(
        batch_size=4, num_steps=STEPS, log_every=1, checkpoint_every=0, eval_every=3
    )
    config.eval.update(num_clips=0, batch_size=4)
    config.update(changes)
    return config.lock()


def random_clips(art, split, *_):
    labels = np.zeros(10, np.int32), np.zeros((10, 4), np.int32)
    return sprites.SpritesArrays(tiny.random_video(10, 4, seed=len(split)), *labels)
