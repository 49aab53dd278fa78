"""How a protocol measures, and what its report notes of that."""

from typing import NamedTuple

from vdd import runs
from vdd.config import Config
from vdd.diffusion.samplers import Sampler
from vdd.values import Figures


class Measure(NamedTuple):
    """What all protocols are told besides the model and the clips.

    Attributes:
      step: of the model, for the record.
      dataset: its name, for the record.
      split: the name of the split that the clips are, for the record.
      target_bits_per_frame: what the model was trained for, for the record.
      sampler: that of the model's functions, for the record; None where they need none.
      seed: of pairs, samples, and all else that is drawn. Results do not depend on the batch size.
      batch_size: clips encoded or sampled at once.
      show_progress: show bars with the time left.
    """

    step: int
    dataset: str
    split: str = "test"
    target_bits_per_frame: float | str | None = None
    sampler: Sampler | None = None
    seed: int = 0
    batch_size: int = 64
    show_progress: bool = True

    def record(self, **counts: int) -> Figures:
        """How a report begins: with what was measured, and how much of it."""
        how = self.sampler
        return {
            "step": self.step,
            "dataset": self.dataset,
            "split": self.split,
            **counts,
            "sampler": how and {"name": how.name, "steps": how.steps, "nfe": how.nfe},
        }


def measure_of(config: Config, step: int, split: str) -> Measure:
    """As a run's config says."""
    settings = config.eval
    return Measure(
        step,
        runs.data_name(config),
        split,
        config.rates.target_bits_per_frame,
        Sampler(**settings.sampler),
        settings.seed,
        settings.batch_size,
    )
