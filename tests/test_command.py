"""How every command ends, where ^C comes at a bad moment."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import vdd
from vdd import command

ROOT = Path(vdd.__file__).parents[1]


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
            time.sleep(600)
            slept.append(None)
        finally:
            gc.callbacks.remove(collecting)

    assert command.run(work, "waiting") == 130
    assert calls
    assert not slept, "it came late"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_in_an_event_loop_is_not_lost():
    async def stubborn():
        # From the loop itself, so that it comes while this waits.
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            return

    assert command.run(lambda: asyncio.run(stubborn()), "reading") == 130


# What a program imports last, in its place: ^C comes while it is imported.
SLOW = "import signal, time; signal.raise_signal(signal.SIGINT); time.sleep(60)"


@pytest.mark.parametrize(
    ("program", "slow"),
    [
        (["-c", "import sys; from vdd.cli import main; sys.exit(main(['--help']))"], "etils"),
        (["-m", "vdd.main", "--help"], "absl"),
        (["-um", "vdd.main", "--help"], "absl"),
        (["-mvdd.main", "--help"], "absl"),
        (["-m", "vdd", "train", "--help"], "absl"),
        (["-m", "vdd.cli", "train", "--help"], "absl"),
        (["-m", "vdd.data.prepare", "--help"], "etils"),
    ],
)
def test_an_interrupt_while_a_program_imports_is_silent(tmp_path, program, slow):
    (tmp_path / slow).mkdir()
    (tmp_path / slow / "__init__.py").write_text(SLOW)
    env = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, *program], env=env, cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_program_of_somebody_else_s_keeps_its_own_interrupts(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "__init__.py").write_text("import vdd")
    tells = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    (tmp_path / "theirs" / "__main__.py").write_text(tells)
    env = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    for command_line in (["-m", "theirs"], ["-um", "theirs", "vdd.main"], ["-mtheirs"]):
        done = subprocess.run(
            [sys.executable, *command_line], env=env, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.stdout == "True\n", done.stderr


def test_an_interrupt_that_is_ignored_stays_so(tmp_path):
    (tmp_path / "absl").mkdir()
    tells = "import signal, sys; print(signal.getsignal(signal.SIGINT)); sys.exit()"
    (tmp_path / "absl" / "__init__.py").write_text(tells)
    env = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(
        ["sh", "-c", f"trap '' INT; {sys.executable} -m vdd.main"],
        env=env, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.endswith("SIG_IGN\n") or done.stdout == "1\n", done.stdout


def test_an_output_that_takes_no_more_is_named(tmp_path):
    program = (
        "import sys; from vdd import command;"
        "sys.exit(command.run(lambda: print('a word'), 'telling'))"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], env=env, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr == "vdd: what is printed (stdout): No space left on device\n"


def test_an_error_of_the_disk_without_a_name_tells_the_task(capsys):
    def full():
        raise OSError(28, "No space left on device")

    assert command.run(full, "preparing") == 2
    assert capsys.readouterr().err == "vdd: while preparing: No space left on device\n"


def test_a_bucket_that_cannot_be_reached_is_one_plain_line(capsys):
    kind = type("FailedPreconditionError", (Exception,), {"__module__": "tensorflow.python.x"})

    def unreached():
        raise kind(
            "Error executing an HTTP request: libcurl code 6 meaning 'Couldn't resolve host name',"
            " error details: Could not resolve host\n when reading metadata of gs://nope/x.gif"
        )

    assert command.run(unreached, "reading") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("vdd: gs://nope/x.gif: cannot be reached: is there a network")


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
