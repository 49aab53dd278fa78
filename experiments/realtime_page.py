"""The page of vdd serve as realtime.py asks it."""

import contextlib
import importlib
import importlib.util
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vdd.run import Run

CLIENT = "x-vdd-client"  # a header


def can_ask() -> bool:
    try:  # a RuntimeError where the test client's own needs are missing
        importlib.import_module("starlette.testclient")
    except (ImportError, RuntimeError):
        print("left out: starlette or its test client is not installed")
        return False
    return True


def clip(run: Run, frames: int) -> np.ndarray:
    """A picture of noise that moves, of the run's size: how long it takes does not depend on it."""
    picture = np.random.default_rng(0).integers(0, 256, run.model.latents.size, np.uint8)
    return np.stack([np.roll(picture, i, axis=1) for i in range(frames)])


@contextlib.contextmanager
def asking(run: Run, folder: Path) -> Iterator[tuple[Any, dict[str, str]]]:
    """Somebody who asks a server without a socket, and the header that says who."""
    from starlette.testclient import TestClient

    from vdd.serve.app import Server

    server = Server({"run": run}, folder)
    with TestClient(server.app, "http://127.0.0.1:8000") as http:
        yield http, {CLIENT: http.post("/api/hello").json()["client"]}


def upload(run: Run, http: Any, client: dict[str, str]) -> dict[str, Any]:
    """What is read in a clip of eight frames."""
    buffer = io.BytesIO()
    np.save(buffer, clip(run, 8))
    query = {"run": "run", "name": "clip.npy"}
    return http.put("/api/clips", params=query, content=buffer.getvalue(), headers=client).json()


def changes(codes: list[list[int]], count: int) -> Iterator[list[list[int]]]:
    """The codes of a clip, one after the other of which is another each time."""
    step = 0
    while True:
        place, step = step % len(codes), step + 1
        codes = [[*row] for row in codes]
        codes[place][0] = (codes[place][0] + 1 + step % (count - 1)) % count
        yield codes
