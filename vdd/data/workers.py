"""Batches made by other processes, in order, where one thread cannot keep an accelerator fed."""

import collections
import contextlib
import itertools
import multiprocessing
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, shared_memory
from typing import NamedTuple

import numpy as np

from vdd.data.batches import Batch
from vdd.errors import UserError

_SHARED = "/dev/shm"

Make = Callable[[int], Batch]
"""From a step to its batch: it can be pickled, and shapes and types are the same at every step."""


class _Field(NamedTuple):
    """Where an array of a batch lies in a slot."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    start: int  # in bytes


class _Slots(NamedTuple):
    """Shared memory for some batches, one behind the other; a batch is copied out of its slot."""

    memory: str  # its name
    fields: tuple[_Field, ...]
    size: int  # of a slot, in bytes


def made_by_processes(make: Make, start: int, workers: int) -> Iterator[Batch]:
    """The batches of steps `start`, `start + 1` ... , each made by one of `workers` processes.

    They go when the iterator is closed, and when this process is gone. Should they be ended by
    somebody else, this process makes the batches that are left, with a warning.

    Raises:
      UserError: there is no room for their batches in shared memory.
    """
    count = 2 * workers
    first = make(start)
    with contextlib.ExitStack() as stack:
        fields, size = _lay_out(first)
        _check_room(count * size)
        memory = shared_memory.SharedMemory(create=True, size=count * size)
        stack.callback(memory.unlink)
        stack.callback(memory.close)
        slots = _Slots(memory.name, fields, size)
        pool = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), _begin, (make, slots)
        )
        stack.callback(pool.shutdown, cancel_futures=True)
        steps = itertools.count(start + 1)
        waiting: collections.deque[tuple[int, Future[None]]] = collections.deque()
        yield first
        step = start + 1
        with contextlib.suppress(BrokenProcessPool):
            for new in itertools.islice(steps, count):
                waiting.append((new, pool.submit(_fill, new, new % count)))
            while True:
                step, done = waiting[0]
                done.result()
                yield {key: x.copy() for key, x in _views(memory, slots, step % count).items()}
                waiting.popleft()
                step, new = step + 1, next(steps)
                waiting.append((new, pool.submit(_fill, new, new % count)))
        warnings.warn(
            "the processes that draw clips were ended, or could not start: this one draws them now "
            "(a script that trains with data.workers begins below `if __name__ == '__main__':`)",
            RuntimeWarning,
            stacklevel=1,
        )
        yield from map(make, itertools.count(step))


def _check_room(size: int) -> None:
    """Shared memory that is too small shows only when it is written to: the process is killed."""
    if not os.path.isdir(_SHARED):
        return
    room = os.statvfs(_SHARED)
    free = room.f_bavail * room.f_frsize
    if free < size:
        raise UserError(
            f"data.workers needs {size / 1e6:.0f} MB of shared memory, and {_SHARED} has "
            f"{free / 1e6:.0f} MB: take fewer workers or smaller batches, or give a container "
            "more (docker run --shm-size)"
        )


def _lay_out(batch: Batch) -> tuple[tuple[_Field, ...], int]:
    fields, at = [], 0
    for name, x in batch.items():
        fields.append(_Field(name, x.shape, x.dtype.str, at))
        at += -(-x.nbytes // 64) * 64
    return tuple(fields), at


def _views(memory: shared_memory.SharedMemory, slots: _Slots, slot: int) -> Batch:
    return {
        field.name: np.ndarray(
            field.shape, field.dtype, memory.buf, slot * slots.size + field.start
        )
        for field in slots.fields
    }


_here: list[tuple[Make, _Slots, shared_memory.SharedMemory]] = []  # of a worker process


def _begin(make: Make, slots: _Slots) -> None:
    os.setsid()  # signals to the group are the parent's to answer: it saves before it ends
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _here.append((make, slots, shared_memory.SharedMemory(slots.memory)))


def _end_with_parent() -> None:
    """A parent that was killed leaves nobody behind."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _fill(step: int, slot: int) -> None:
    make, slots, memory = _here[0]
    batch = make(step)
    for key, view in _views(memory, slots, slot).items():
        assert (batch[key].shape, batch[key].dtype) == (view.shape, view.dtype), key
        view[...] = batch[key]
