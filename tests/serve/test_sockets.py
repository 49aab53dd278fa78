"""Whoever connects has to ask in time."""

import contextlib
import socket
import threading
import time
from types import SimpleNamespace

import pytest
import uvicorn

from vdd.serve import server, sockets

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
SECONDS = 3600.0  # for the head of a request: never, but where a test makes it less


class Loop:
    """A connection's loop, which knows of the connection's deadlines."""

    def __init__(self, loop):
        self._loop, self._deadlines = loop, []

    def __getattr__(self, name):
        return getattr(self._loop, name)

    def call_later(self, seconds, callback):
        handle = self._loop.call_later(seconds, callback)
        if callback.__name__ == "_end":
            self._deadlines.append((handle, callback))
        return handle

    def pass_deadlines(self):
        """As if so much time had passed: what is due by then comes now."""
        for handle, callback in self._deadlines:
            if not handle.cancelled():
                handle.cancel()
                callback()


@pytest.fixture
def serving(monkeypatch):
    """A server of one connection at a time: how to `connect`, and the connection's `loop`."""
    now = SimpleNamespace(loop=None)

    async def slow(scope, receive, send):
        """Takes longer than a head may take."""
        now.loop.pass_deadlines()
        length = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": b"in"})

    class Protocol(sockets.PunctualProtocol):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            self.loop = now.loop = Loop(self.loop)

    monkeypatch.setattr(sockets.PunctualProtocol, "head_seconds", SECONDS)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        config = server.settings(slow)
        assert config.http is sockets.PunctualProtocol
        config.lifespan, config.http = "off", Protocol
        server_ = uvicorn.Server(config)
        thread = threading.Thread(target=server_.run, kwargs={"sockets": [bound]})
        thread.start()
        now.connect = lambda: socket.create_connection(bound.getsockname(), timeout=300)
        yield now
        server_.should_exit = True
        thread.join()


@pytest.fixture
def hurry(monkeypatch):
    """From now on a head has next to no time."""
    return lambda: monkeypatch.setattr(sockets.PunctualProtocol, "head_seconds", 0.5)


def drip(connection, data: bytes, seconds: float = 300.0) -> bool:
    """Sends bytes one by one; whether the connection is closed by then."""
    connection.settimeout(0.05)
    until = time.monotonic() + seconds
    i = 0
    while time.monotonic() < until:
        try:
            connection.sendall(data[i % len(data) :][:1])
            i += 1
            if not connection.recv(4096):
                return True
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False


def test_one_who_says_nothing_is_let_go(serving, hurry):
    hurry()
    with serving.connect() as connection:
        assert connection.recv(10) == b""


def test_one_who_asks_letter_by_letter_is_let_go(serving, hurry):
    hurry()
    with serving.connect() as connection:
        assert drip(connection, HEAD + b"X-Long: " + 10_000 * b"a")


def test_one_who_goes_on_after_the_answer_is_let_go(serving, hurry):
    with serving.connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        hurry()
        assert drip(connection, b"a")


def test_one_who_waits_for_an_answer_may_wait_and_ask_again(serving):
    with serving.connect() as connection:
        for _ in range(2):
            connection.sendall(HEAD + b"\r\n")
            answer = b""
            with contextlib.suppress(TimeoutError):
                while not answer.endswith(b"in"):
                    answer += connection.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200")
