"""Who may ask: before anything else a request passes here, the page's as all others.

The page has no password on loopback, so that two attacks count. A page of somebody else may send
requests here: its `Origin` and `Sec-Fetch-Site` tell. And its name may come to stand for 127.0.0.1
(DNS rebinding): then `Host` tells. Where others can reach the server, its address carries a token,
which becomes a cookie.
"""

import hmac
import ipaddress
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from vdd.serve.limits import LIMITS

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:;"
        " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}
_SAFE = ("GET", "HEAD")
_MOST_TARGET = 4096  # bytes of a path and its query


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what is bound there."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Lets through what comes from the page itself; all else gets one sentence."""

    def __init__(self, app: "ASGIApp", host: str, port: int, token: str | None):
        self._app, self._host, self._port, self._token = app, host, port, token
        self._cookie = f"vdd-{port}"  # cookies do not tell ports apart

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await (_close if scope["type"] == "websocket" else _tell)(send, receive, *refusal)
            return

        async def send_guarded(message: "Message") -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                extra = [(k.encode(), v.encode()) for k, v in _HEADERS.items()]
                message["headers"] += [(k, v) for k, v in extra if k not in own]
                if self._given(scope):
                    message["headers"].append((b"set-cookie", self._set_cookie()))
            await send(message)

        await self._app(scope, receive, send_guarded)

    def _refusal(self, scope: "Scope") -> tuple[int, str] | None:
        """The status and the sentence with which a request is refused; None lets it through."""
        headers = [(k.lower(), v.decode("latin-1")) for k, v in scope["headers"]]
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > _MOST_TARGET:
            return 414, "The address is too long."
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            return 421, "This server answers to its own name alone."
        method = scope.get("method", "")
        origins = [value for name, value in headers if name == b"origin"]
        if any(origin != f"{_scheme(scope)}://{hosts[0]}" for origin in origins):
            return 403, "Another page's requests are not answered."
        sites = {value for name, value in headers if name == b"sec-fetch-site"}
        is_page = method in _SAFE and scope["path"] == "/"  # which may be linked to
        if not is_page and sites - {"same-origin", "none"}:
            return 403, "Another page's requests are not answered."
        if self._token and not (self._given(scope) or self._remembered(headers)):
            return 401, "Open the address that vdd serve has printed, with its token."
        length = next((value for name, value in headers if name == b"content-length"), "0")
        if not length.isdecimal() or int(length[:20]) > LIMITS.upload_bytes:
            return 413, f"More than {LIMITS.upload_bytes >> 20} MiB are not taken."
        return None

    def _is_own(self, host: str) -> bool:
        """Whether a Host header names this server."""
        name, _, port = host.rpartition(":")
        if not name or not port.isdecimal() or int(port[:6]) != self._port:
            if self._port != 80:
                return False
            name = host
        name = name.lower()
        if name in ("localhost", "127.0.0.1", "[::1]", _in_brackets(self._host.lower())):
            return True
        if is_loopback(self._host):
            return False
        return name == socket.gethostname().lower() or _is_address(name)

    def _given(self, scope: "Scope") -> bool:
        """Whether the address carries the token."""
        if not self._token:
            return False
        query = parse_qsl(scope["query_string"].decode("latin-1"))
        return any(self._is_token(value) for name, value in query if name == "token")

    def _remembered(self, headers: Iterable[tuple[bytes, str]]) -> bool:
        # By hand: `http.cookies` takes seconds for 60 kB of backslashes, before anybody is known.
        sent = ";".join(value for name, value in headers if name == b"cookie").split(";")
        pairs = (one.strip().partition("=") for one in sent)
        return any(name == self._cookie and self._is_token(value) for name, _, value in pairs)

    def _is_token(self, value: str) -> bool:
        return hmac.compare_digest(value.encode(), (self._token or "").encode())

    def _set_cookie(self) -> bytes:
        return f"{self._cookie}={self._token}; HttpOnly; SameSite=Strict; Path=/".encode()


def _scheme(scope: "Scope") -> str:
    return "https" if scope["scheme"] in ("https", "wss") else "http"


def _in_brackets(host: str) -> str:
    """A host as the header has it."""
    return f"[{host}]" if ":" in host else host


def _is_address(name: str) -> bool:
    """Whether a name is an address in numbers, which nobody can make stand for another."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


async def _tell(send: "Send", receive: "Receive", status: int, sentence: str) -> None:
    body = f'{{"error": "{sentence}"}}'.encode()
    headers = {**_HEADERS, "content-type": "application/json", "content-length": str(len(body))}
    encoded = [(k.encode(), v.encode()) for k, v in headers.items()]
    encoded.append((b"connection", b"close"))  # the body, if any, is not read
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


async def _close(send: "Send", receive: "Receive", status: int, sentence: str) -> None:
    await receive()  # websocket.connect
    await send({"type": "websocket.close", "code": 1008, "reason": sentence})
