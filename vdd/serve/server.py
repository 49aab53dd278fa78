"""The server from the socket to ^C; what it needs beyond vdd is imported late."""

import contextlib
import importlib.util
import secrets
import socket
import tempfile
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from vdd.errors import UserError
from vdd.serve.guard import is_loopback
from vdd.serve.limits import LIMITS

if TYPE_CHECKING:
    import uvicorn
    from starlette.types import ASGIApp

    from vdd.run import Run

NEEDED = ("starlette", "uvicorn", "websockets")


def check() -> None:
    """Tells before any work whether the extra is there.

    Raises:
        UserError: it is not.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"vdd serve needs {', '.join(missing)}: pip install 'vdd-video[serve]'"
            " (in a clone: pip install -e '.[serve]')"
        )


@contextlib.contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that is bound there, before any long work.

    Raises:
        UserError: it cannot be.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            yield listening
    except OSError as error:
        raise UserError(f"{host}, port {port}: {error.strerror or error}") from error


def settings(app: "ASGIApp") -> "uvicorn.Config":
    """How uvicorn serves; a `uvicorn.Config`."""
    import uvicorn

    from vdd.serve.sockets import PunctualProtocol

    return uvicorn.Config(
        app,
        log_level="error",
        access_log=False,  # addresses may carry the token
        server_header=False,
        proxy_headers=False,
        http=PunctualProtocol,
        limit_concurrency=128,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=2,
        ws="websockets-sansio",
        ws_max_size=LIMITS.upload_bytes // 16,
        ws_per_message_deflate=False,  # frames are small, and latency counts
    )


def serve(runs: Mapping[str, "Run"], listening: socket.socket, host: str) -> None:
    """Serves runs until ^C; all that clients have left goes with it."""
    import uvicorn

    from vdd.serve.app import Server

    port = listening.getsockname()[1]
    token = None if is_loopback(host) else secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="vdd-serve-") as folder:
        server = Server(runs, folder, host, port, token)
        name = f"[{host}]" if ":" in host else host
        print(f"http://{name}:{port}/{f'?token={token}' if token else ''}", flush=True)
        print("^C ends it", flush=True)
        try:
            uvicorn.Server(settings(server.app)).run(sockets=[listening])
        finally:
            print("ended", flush=True)
