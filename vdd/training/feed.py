"""Batches on their way from a data source to the devices."""

import collections
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding

from vdd.training import sharding
from vdd.values import Json

# Of these a task's batches hold some; labels stay on the host: no loss may read them.
BATCH_KEYS = ("video", "latents", "codes", "scored")
BATCHES_AHEAD = 2


@runtime_checkable
class ClipIterator(Protocol):
    """What the loop needs of a data source; those of `vdd.data` are such iterators."""

    def __next__(self) -> Mapping[str, np.ndarray]: ...

    def get_state(self) -> Json:
        """The place after the last batch given, as JSON values."""
        ...

    def set_state(self, state: Json) -> None:
        """Go on after the batch at which `get_state` was called."""
        ...


class DeviceBatches:
    """Global batches, two of them on their way to the devices ahead of use.

    `state` is the iterator's place after the last batch handed out, not after the last one read.
    """

    def __init__(self, iterator: ClipIterator, mesh: Mesh):
        self._iterator = iterator
        self._sharding = sharding.batch_sharding(mesh)
        self._queue: collections.deque[tuple[dict[str, jax.Array], Json]] = collections.deque()
        self.state = iterator.get_state()

    def __next__(self) -> dict[str, jax.Array]:
        self._read(BATCHES_AHEAD)
        batch, self.state = self._queue.popleft()
        return batch

    def peek(self) -> dict[str, jax.Array]:
        """The batch that comes next, and still does."""
        self._read(1)
        return self._queue[0][0]

    def move_to(self, state: Json) -> None:
        """Go on from a place of the iterator's."""
        self._queue.clear()
        self._iterator.set_state(state)
        self.state = state

    def _read(self, count: int) -> None:
        while len(self._queue) < count:
            batch = device_batch(next(self._iterator), self._sharding)
            self._queue.append((batch, self._iterator.get_state()))


def device_batch(batch: Mapping[str, np.ndarray], where: NamedSharding) -> dict[str, jax.Array]:
    """What the step may see of a batch, as global arrays."""
    return sharding.global_batch({key: batch[key] for key in BATCH_KEYS if key in batch}, where)
