"""Toy runs in processes of their own."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import toy

TOY = Path(toy.__file__)
STEPS = 12
SETTINGS = {"train.checkpoint_every": 2, "train.keep": 9}


def start(workdir, changes=None, **options):
    """A toy run in a new process; compiled programs are kept in one folder of this test run."""
    settings = json.dumps(SETTINGS | (changes or {}))
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(Path(workdir).parents[1] / "xla"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": os.pathsep.join(map(str, TOY.parents[1:3])),
    }
    return subprocess.Popen(
        [sys.executable, TOY, workdir, settings, json.dumps(options)],
        env=os.environ | cache,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    try:
        said, _ = process.communicate()
    finally:
        process.kill()  # if the test was stopped meanwhile
    return process.returncode, said


@contextlib.contextmanager
def reserved_port():
    """A port that no other process is given; gRPC may bind it beside us."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("localhost", 0))
        yield held.getsockname()[1]
