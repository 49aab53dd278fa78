"""Whoever connects has to ask in time."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest
import uvicorn

from vdd.serve import server, sockets

SECONDS = 0.5  # for the head of a request
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


async def slow(scope, receive, send):
    """Takes longer than a head may take."""
    await asyncio.sleep(3 * SECONDS)
    length = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": length})
    await send({"type": "http.response.body", "body": b"in"})


@pytest.fixture
def connect(monkeypatch):
    monkeypatch.setattr(sockets.PunctualProtocol, "head_seconds", SECONDS)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        config = server.settings(slow)
        config.lifespan = "off"
        serving = uvicorn.Server(config)
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [bound]})
        thread.start()
        yield lambda: socket.create_connection(bound.getsockname(), timeout=30)
        serving.should_exit = True
        thread.join()


def drip(connection, data: bytes, seconds: float) -> bool:
    """Sends bytes one by one; whether the connection is closed by then."""
    connection.settimeout(0.05)
    until = time.monotonic() + seconds
    for i in range(10_000):
        if time.monotonic() > until:
            break
        try:
            connection.sendall(data[i % len(data) :][:1])
            if not connection.recv(4096):
                return True
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False


def test_one_who_says_nothing_is_let_go(connect):
    with connect() as connection:
        assert connection.recv(10) == b""


def test_one_who_asks_letter_by_letter_is_let_go(connect):
    with connect() as connection:
        connection.sendall(HEAD + b"X-Long: ")
        assert drip(connection, b"a", 20)


def test_one_who_goes_on_after_the_answer_is_let_go(connect):
    with connect() as connection:
        connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert drip(connection, b"a", 20)


def test_one_who_waits_for_an_answer_may_wait_and_ask_again(connect):
    with connect() as connection:
        for _ in range(2):
            connection.sendall(HEAD + b"\r\n")
            answer = b""
            with contextlib.suppress(TimeoutError):
                while not answer.endswith(b"in"):
                    answer += connection.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200")
