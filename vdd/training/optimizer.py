"""The optimiser: Adam with warm-up, cosine decay and global-norm clipping."""

from dataclasses import dataclass

import optax

from vdd import errors


@dataclass(frozen=True)
class Optimizer:
    """Settings of the optimiser; the keys of `config.optimizer`."""

    learning_rate: float
    final_learning_rate: float
    warmup_steps: int
    b1: float
    b2: float
    clip_norm: float

    def __post_init__(self):
        errors.above(0, self, "learning_rate", "clip_norm")
        errors.at_least(0, self, "final_learning_rate", "warmup_steps")
        errors.decays(self, "b1", "b2")

    def schedule(self, num_steps: int) -> optax.Schedule:
        """Learning rate by step: linear warm-up, then a cosine to `final_learning_rate`."""
        warmup = min(self.warmup_steps, max(num_steps - 1, 0))
        return optax.warmup_cosine_decay_schedule(
            0.0, self.learning_rate, warmup, max(num_steps, 1), self.final_learning_rate
        )

    def build(self, num_steps: int) -> optax.GradientTransformation:
        """Clip the gradient to `clip_norm`, then take a step of Adam."""
        adam = optax.adam(self.schedule(num_steps), self.b1, self.b2)
        return optax.chain(optax.clip_by_global_norm(self.clip_norm), adam)
