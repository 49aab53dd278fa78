"""Figures of merit: pure functions of numpy arrays. Each says whether its entropy is in nats or bits."""

import numpy as np
from jaxtyping import Int


def accuracy(predicted: Int[np.ndarray, "*shape"], label: Int[np.ndarray, "*shape"]) -> float:
    """Share of entries that agree."""
    return float(np.mean(np.asarray(predicted) == np.asarray(label)))
