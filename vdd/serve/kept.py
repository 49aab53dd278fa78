"""What can be made again, kept up to so many bytes."""

import collections
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Thing = TypeVar("Thing")


class Kept(Generic[Key, Thing]):
    """Things by key; what was not asked for longest goes first. For several threads."""

    def __init__(self, most_bytes: int):
        self._most, self._held = most_bytes, 0
        self._things: collections.OrderedDict[Key, tuple[Thing, int]] = collections.OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Thing | None:
        """What has that key; None where it is not kept, or not any more."""
        with self._lock:
            if key not in self._things:
                return None
            self._things.move_to_end(key)
            return self._things[key][0]

    def put(self, key: Key, thing: Thing, size: int) -> None:
        """Keeps a thing of so many bytes."""
        with self._lock:
            self._remove(key)
            self._things[key], self._held = (thing, size), self._held + size
            while self._held > self._most:
                self._remove(next(iter(self._things)))

    def forget(self, those: Callable[[Key], bool]) -> None:
        """Lets go of all whose keys are among those."""
        with self._lock:
            for key in [key for key in self._things if those(key)]:
                self._remove(key)

    def _remove(self, key: Key) -> None:
        _, size = self._things.pop(key, (None, 0))
        self._held -= size
