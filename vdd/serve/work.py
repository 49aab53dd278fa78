"""Threads that compute for many, in turn: nobody waits for all of somebody else's work.

Work is a generator. Each of its steps is short, and yields how far it is; what it returns is the
result. After every step it is the next owner's turn, and within an owner's work the next one's. So
a long drawing, and ten at once, leave a short one its place. Work that is cancelled ends at its
next step.
"""

import collections
import secrets
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from vdd.errors import UserError

T = TypeVar("T")


class CancelledError(UserError):
    """Work was ended before it was done: by whoever asked for it, or for newer work."""


class Progress(NamedTuple):
    """How far work is, and what it does, in words for a user."""

    done: int
    total: int
    doing: str


Steps = Generator[Progress, None, T]
WAITING = Progress(0, 0, "waiting")


class Job(Generic[T]):
    """Work that somebody has asked for; `future` has its result."""

    def __init__(self, owner: str, steps: Steps[T], lane: str, name: str):
        self.owner, self.lane = owner, lane
        self.name = name or secrets.token_hex(8)
        self.progress = WAITING
        self.future: Future[T] = Future()
        self._steps = steps
        self._cancelled = False

    def cancel(self) -> None:
        """End it before its next step; work that is done stays done."""
        self._cancelled = True

    def advance(self) -> bool:
        """Does a step; whether there is more to do."""
        try:
            if self._cancelled:
                raise CancelledError("that was cancelled")
            self.progress = next(self._steps)
        except StopIteration as end:
            self._end(partial(self.future.set_result, end.value))
        except BaseException as error:  # whoever waits is told, and the thread goes on
            self._steps.close()
            self._end(partial(self.future.set_exception, error))
        return not self.future.done()

    def _end(self, tell: Callable[[], None]) -> None:
        # Whoever waited may have gone, and have cancelled the future.
        if self.future.set_running_or_notify_cancel():
            tell()


class Worker:
    """Threads that do the steps of all jobs, in turn; of an owner one step at a time."""

    def __init__(self, name: str, threads: int = 1, most: int = 12):
        self._ready: collections.OrderedDict[str, collections.deque[Job]] = (
            collections.OrderedDict()
        )
        self._busy: dict[str, Job] = {}  # the owners whose turn it is
        self._changed = threading.Condition()
        self._most, self._closed = most, False
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{i}", daemon=True)
            for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, owner: str, steps: Steps[T], lane: str = "", name: str = "") -> Job[T]:
        """Puts work in its owner's line.

        Args:
            owner: whose turns it takes.
            steps: the work.
            lane: what is asked for anew, say the picture on the page: earlier work of this owner in
                the same lane is cancelled.
            name: by which `find` knows it.

        Raises:
            UserError: the owner has as much in work as is allowed.
        """
        job = Job(owner, steps, lane, name)
        with self._changed:
            mine = self._jobs(owner)
            for other in mine:
                if lane and other.lane == lane:
                    other.cancel()
            if len([other for other in mine if not other._cancelled]) >= self._most:
                raise UserError("too much is in work at once: wait for some of it, or cancel it")
            self._ready.setdefault(owner, collections.deque()).append(job)
            self._changed.notify()
        return job

    def find(self, owner: str, name: str) -> Job | None:
        """The owner's job of that name, as long as it waits or is at work."""
        with self._changed:
            return next((job for job in self._jobs(owner) if job.name == name), None)

    def cancel_all(self, owner: str) -> None:
        """Ends all work of an owner who has gone."""
        with self._changed:
            for job in self._jobs(owner):
                job.cancel()

    def close(self) -> None:
        """Ends all work, and the threads."""
        with self._changed:
            self._closed = True
            for owner in {*self._ready, *self._busy}:
                for job in self._jobs(owner):
                    job.cancel()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=10)

    def _jobs(self, owner: str) -> list[Job]:
        busy = [self._busy[owner]] if owner in self._busy else []
        return [*busy, *self._ready.get(owner, ())]

    def _next(self) -> Job | None:
        """Takes the job whose turn it is; None to end. Called with the lock held."""
        while not self._closed:
            for owner, line in self._ready.items():
                if owner not in self._busy:
                    job = line.popleft()
                    if not line:
                        del self._ready[owner]
                    else:
                        self._ready.move_to_end(owner)
                    self._busy[owner] = job
                    return job
            self._changed.wait()
        return None

    def _run(self) -> None:
        while True:
            with self._changed:
                job = self._next()
            if job is None:
                return
            more = job.advance()
            with self._changed:
                del self._busy[job.owner]
                if more:
                    line = self._ready.setdefault(job.owner, collections.deque())
                    line.append(job)
                    self._ready.move_to_end(job.owner)
                self._changed.notify_all()
