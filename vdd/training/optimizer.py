"""The optimiser: Adam with warm-up, cosine decay, global-norm clipping and weight decay."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax


@dataclass(frozen=True)
class Optimizer:
    """Settings of the optimiser; the keys of `config.optimizer`."""

    learning_rate: float
    final_learning_rate: float
    warmup_steps: int
    b1: float
    b2: float
    clip_norm: float
    weight_decay: float = 0.0  # of kernels, times the learning rate (Loshchilov and Hutter 2019)
    weight_decay_start: float = 0.0  # share of the training before which nothing decays

    def __post_init__(self):
        if self.weight_decay < 0.0:
            raise ValueError(f"weight_decay={self.weight_decay} is less than 0")
        if not 0.0 <= self.weight_decay_start <= 1.0:
            raise ValueError(f"weight_decay_start={self.weight_decay_start} is not from 0 to 1")

    def schedule(self, num_steps: int) -> optax.Schedule:
        """Learning rate by step: linear warm-up, then a cosine to `final_learning_rate`."""
        warmup = min(self.warmup_steps, max(num_steps - 1, 0))
        return optax.warmup_cosine_decay_schedule(
            0.0, self.learning_rate, warmup, max(num_steps, 1), self.final_learning_rate
        )

    def build(self, num_steps: int) -> optax.GradientTransformation:
        """Clip the gradient to `clip_norm`, then take a step of Adam, of AdamW if weights decay."""
        schedule, clip = self.schedule(num_steps), optax.clip_by_global_norm(self.clip_norm)
        if not self.weight_decay:
            return optax.chain(clip, optax.adam(schedule, self.b1, self.b2))

        def decay(step: Any) -> jax.Array:
            return jnp.where(step < self.weight_decay_start * num_steps, 0.0, self.weight_decay)

        adamw = optax.adamw(schedule, self.b1, self.b2, weight_decay=decay, mask=kernels)
        return optax.chain(clip, adamw)


def kernels(params: Any) -> Any:
    """A mask of parameters: true for kernels.

    Biases, scales of norms, codewords and embeddings have no size that they ought to have.
    """

    def is_kernel(path: tuple, _) -> bool:
        return path[-1].key.endswith("kernel")

    return jax.tree_util.tree_map_with_path(is_kernel, params)
