"""Servers of a tiny run for tests: in this process, and behind a socket."""

import contextlib
import io
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import uvicorn
from PIL import Image
from starlette.testclient import TestClient

import vdd
from vdd.serve.app import Server
from vdd.serve.limits import LIMITS, Limits
from vdd.serve.server import settings

BASE = "http://127.0.0.1:8000"


@contextlib.contextmanager
def asking(run: Path, folder: Path, limits: Limits = LIMITS) -> Iterator["Asking"]:
    """A server without a socket, and somebody who asks it."""
    server = Server({run.name: vdd.load(run)}, folder, limits=limits)
    with TestClient(server.app, BASE, raise_server_exceptions=False) as http:
        yield Asking(server, http, run.name)


@contextlib.contextmanager
def listening(run: Path, folder: Path) -> Iterator[tuple[Server, str]]:
    """A server on a port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
        server = Server({run.name: vdd.load(run)}, folder, port=port)
        uvicorn_server = uvicorn.Server(settings(server.app))
        thread = threading.Thread(target=uvicorn_server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            while not uvicorn_server.started and thread.is_alive():
                time.sleep(0.02)
            yield server, f"http://127.0.0.1:{port}"
        finally:
            uvicorn_server.should_exit = True
            thread.join()


class Asking:
    """One client of a server."""

    def __init__(self, server: Server, http: TestClient, run: str):
        self.server, self.http, self.run = server, http, run
        self.headers = {"x-vdd-client": http.post("/api/hello").json()["client"]}

    def ask(self, path: str, **question):
        return self.http.post(path, json={"run": self.run, **question}, headers=self.headers)

    def upload(self, data: bytes, name: str, **query):
        query = {"run": self.run, "name": name, **query}
        return self.http.put("/api/clips", params=query, content=data, headers=self.headers)

    def code(self, data: bytes):
        return self.http.put(
            "/api/coded", params={"run": self.run}, content=data, headers=self.headers
        )


def frames_of(png: bytes, count: int) -> np.ndarray:
    """The frames in a picture of the server, of 16 x 16."""
    sheet = np.asarray(Image.open(io.BytesIO(png)))
    places = [divmod(i, 16) for i in range(count)]
    return np.stack([sheet[16 * y : 16 * y + 16, 16 * x : 16 * x + 16] for y, x in places])
