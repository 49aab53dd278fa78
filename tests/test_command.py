"""How every command ends, where ^C comes at a bad moment."""

import asyncio
import gc
import signal
import subprocess
import sys
import threading
import time

import pytest

from vdd import command


@pytest.fixture(autouse=True)
def _python_s_own_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_while_garbage_is_collected_is_not_lost():
    calls, slept = [], []

    def collecting(*_):
        calls.append(None)
        if len(calls) == 1:
            signal.raise_signal(signal.SIGINT)

    def work():
        gc.callbacks.append(collecting)
        try:
            gc.collect()
            time.sleep(10)
            slept.append(None)
        finally:
            gc.callbacks.remove(collecting)

    assert command.run(work, "waiting") == 130
    assert calls
    assert not slept, "it came late"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_in_an_event_loop_is_not_lost():
    async def stubborn():
        with_interrupt = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
        with_interrupt.start()
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return

    assert command.run(lambda: asyncio.run(stubborn()), "reading") == 130


def test_streams_may_be_closed(tmp_path):
    """As a service or a job may have them: what is said is lost, and nothing else."""
    out = tmp_path / "clips"
    command = [
        sys.executable,
        "-c",
        "import sys; from vdd.cli import main; sys.exit(main())",
        "examples",
        str(out),
    ]
    ended = subprocess.run(["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *command], check=False)
    assert ended.returncode == 0
    assert len(list(out.glob("*.gif"))) == 9
