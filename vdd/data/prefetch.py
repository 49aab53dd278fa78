"""Reads ahead in a background thread."""

import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class prefetch(Generic[T]):
    """Iterates over `start()` while a thread prepares the next items, at most `depth` ahead.

    An exception of the iterator is raised where its item would have been. `close()`, garbage
    collection and the end of the program all stop the thread and wait for it.
    """

    def __init__(self, start: Callable[[], Iterator[T]], depth: int):
        self._items: queue.Queue = queue.Queue(maxsize=depth)
        stop = threading.Event()
        # The thread must not hold `self`, or it would never be collected.
        thread = threading.Thread(target=_fill, args=(start, self._items, stop), daemon=True)
        self._close = weakref.finalize(self, _stop, thread, self._items, stop)
        thread.start()

    def __iter__(self) -> "prefetch[T]":
        return self

    def __next__(self) -> T:
        if not self._close.alive:
            raise StopIteration
        item, error = self._items.get()
        if error is not None:
            self.close()
            raise error
        return item

    def close(self) -> None:
        """Stops the thread and drops what it has read ahead."""
        self._close()


def _fill(start: Callable[[], Iterator[T]], items: queue.Queue, stop: threading.Event) -> None:
    try:
        for item in start():
            items.put((item, None))
            if stop.is_set():
                return
        items.put((None, StopIteration()))
    except BaseException as error:  # the consumer must see it, or it would wait for ever
        items.put((None, error))


def _stop(thread: threading.Thread, items: queue.Queue, stop: threading.Event) -> None:
    stop.set()
    while thread.is_alive():
        try:
            items.get(timeout=0.01)  # makes room for a thread that waits to put
        except queue.Empty:
            continue
