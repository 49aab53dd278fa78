"""Stopping between two steps when the machine or the user asks for it."""

import contextlib
import os
import signal
import threading
import types

import jax
from jax.experimental import multihost_utils


class StopRequest:
    """Notes SIGTERM and SIGINT, so that the loop can save and leave.

    One process: a handler sets a flag; a second signal interrupts at once. Several processes:
    JAX's preemption service sees SIGTERM on any of them and makes all agree on one step.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._before: dict[signal.Signals, "signal._HANDLER"] = {}

    def __enter__(self) -> "StopRequest":
        if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    @property
    def name(self) -> str | None:
        """The signal that was seen, by name."""
        return self.signal.name if self.signal else None

    def reached(self, step: int) -> bool:
        """Whether to stop after this step; the same answer on all processes."""
        if jax.process_count() > 1 and multihost_utils.reached_preemption_sync_point(step):
            self.signal = signal.SIGTERM
        return self.signal is not None

    def _note(self, number: int, _: types.FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
        # A print could be interrupted by this very handler, and is not allowed then.
        with contextlib.suppress(OSError):
            os.write(1, b"\nstopping after this step, and saving; once more stops at once\n")
