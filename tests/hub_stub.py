"""A small stand-in for the Hugging Face Hub on loopback: what its library asks in order to read a
model at a revision, and to push one."""

import base64
import contextlib
import hashlib
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_stub"  # whose owner may write anywhere


class Hub:
    """Its models: of each the commits, by their hash, and what branches and tags stand for."""

    def __init__(self):
        self.commits: dict[str, dict[str, dict[str, bytes]]] = {}
        self.refs: dict[str, dict[str, str]] = {}
        self.gated: set[str] = set()
        self.lfs: dict[str, bytes] = {}  # uploaded, by SHA-256
        self.asked: list[tuple[str, str, str]] = []  # method, path and the Range of each request
        self.broken = ""  # a file that is cut off in the middle, whenever it is asked for
        self.sizes: dict[str, int] = {}  # of a file, what is told of it where that is not so
        self.endless = ""  # a file that goes on and on
        self.sent = 0  # bytes of that
        self.url = ""

    def commit(self, name: str, held: dict[str, bytes], *refs: str) -> str:
        """Adds a commit with these files; its hash."""
        told = [(path, hashlib.sha256(data).hexdigest()) for path, data in sorted(held.items())]
        told.append(("number", str(len(self.commits.get(name, ())))))
        sha = hashlib.sha1(repr(told).encode()).hexdigest()
        self.commits.setdefault(name, {})[sha] = dict(held)
        self.refs.setdefault(name, {}).update(dict.fromkeys(refs or ("main",), sha))
        return sha

    def head(self, name: str) -> dict[str, bytes]:
        """The files of the main branch."""
        return self.commits[name][self.refs[name]["main"]]


@contextmanager
def serve() -> Iterator[Hub]:
    """The Hub, at work on a free port."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def nobody() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""

    def _send(self, status: int, body: Any = b"", **headers: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for key, value in {"Content-Length": len(data), **headers}.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, {"error": code}, X_Error_Code=code)

    def _may(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _read(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers.get("Range", "")))
        for methods, pattern, function in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and self.command in methods:
                return function(self, *match.groups())
        return self._refuse(404, "NoRoute")

    do_GET = do_HEAD = do_POST = do_PUT = _answer

    def _files(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """A commit and its files; None where the client has been refused."""
        if name not in self.hub.commits:
            self._refuse(404 if self._may() else 401, "RepoNotFound")
            return None
        sha = self.hub.refs[name].get(revision, revision)
        if sha not in self.hub.commits[name]:
            self._refuse(404, "RevisionNotFound")
            return None
        return sha, self.hub.commits[name][sha]

    def info(self, name: str, revision: str | None = None) -> None:
        """Of a model, at a revision."""
        if found := self._files(name, revision or "main"):
            sizes = {path: len(data) for path, data in found[1].items()} | self.hub.sizes
            names = [{"rfilename": path, "size": sizes[path]} for path in found[1]]
            self._send(200, {"id": name, "sha": found[0], "siblings": names})

    def tree(self, name: str, revision: str) -> None:
        """The files of a revision."""
        if found := self._files(name, revision):
            entries = []
            for path, data in found[1].items():
                entry: dict[str, Any] = {
                    "type": "file",
                    "path": path,
                    "size": self.hub.sizes.get(path, len(data)),
                }
                entry["oid"] = hashlib.sha1(data).hexdigest()
                entries.append(entry)
            self._send(200, entries)

    def resolve(self, name: str, revision: str, path: str) -> None:
        """A file of a revision, or a part of it."""
        if not (found := self._files(name, revision)):
            return
        if name in self.hub.gated and not self._may():
            return self._refuse(401, "GatedRepo")
        if path not in found[1]:
            return self._refuse(404, "EntryNotFound")
        data = found[1][path]
        start = int((re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) or [0, 0])[1])
        head: dict[str, Any] = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"'}
        head |= {"X_Repo_Commit": found[0], "Accept_Ranges": "bytes"}
        head["Content_Length"] = len(data) - start
        if start:
            head["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if path == self.hub.endless:
            return self._send_endless(head)
        part = data[start:]
        if path == self.hub.broken and self.command == "GET":
            part = data[start : max(start, len(data) // 2)]
            self.close_connection = True
        self._send(206 if start else 200, part, **head)

    def _send_endless(self, head: dict[str, Any]) -> None:
        """Pieces until the client has had enough, or 128 MiB; no length is told."""
        del head["Content_Length"]
        self.send_response(200)
        for key, value in {**head, "Transfer_Encoding": "chunked"}.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.close_connection = True
        with contextlib.suppress(OSError):
            while self.hub.sent < 1 << 27:
                self.wfile.write(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
                self.hub.sent += 1 << 16

    def create(self) -> None:
        """A new model."""
        asked = json.loads(self._read())
        if not self._may():
            return self._refuse(401, "Unauthorized")
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.commits:
            return self._send(409, {"url": f"{self.hub.url}/{name}"})
        self.hub.commit(name, {".gitattributes": b"*.safetensors filter=lfs\n"})
        return self._send(200, {"url": f"{self.hub.url}/{name}"})

    def validate(self) -> None:
        """The front matter of a model card."""
        content = json.loads(self._read())["content"]
        whole = re.match(r"---\nlicense: [a-z0-9.-]+\n(.*\n)*?---\n", content)
        errors = [] if whole else [{"message": "no licence"}]
        self._send(200 if whole else 400, {"errors": errors, "warnings": []})

    def preupload(self, name: str, revision: str) -> None:
        """Which files go into Git itself, and which are large."""
        del name, revision
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(self._read())["files"]
        ]
        self._send(200, {"files": files})

    def batch(self, name: str) -> None:
        """Where large files are uploaded to."""
        del name
        objects = [
            {**one, "actions": {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}}}
            for one in json.loads(self._read())["objects"]
        ]
        self._send(200, {"transfer": "basic", "objects": objects})

    def upload(self, oid: str) -> None:
        """A large file."""
        self.hub.lfs[oid] = self._read()
        whole = hashlib.sha256(self.hub.lfs[oid]).hexdigest() == oid
        self._send(200 if whole else 400)

    def add(self, name: str, revision: str) -> None:
        """A commit: what is added, and what is removed."""
        lines = [json.loads(line) for line in self._read().splitlines()]
        if not self._may():
            return self._refuse(403, "Forbidden")
        held = dict(self.hub.head(name))
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                held[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                held[value["path"]] = self.hub.lfs[value["oid"]]
            elif line["key"] == "deletedFile":
                del held[value["path"]]
        sha = self.hub.commit(name, held, revision)
        answer = {"commitUrl": f"{self.hub.url}/{name}/commit/{sha}", "commitOid": sha}
        return self._send(200, answer)


_MODEL = r"([^/]+/[^/]+)"
_ROUTES = (
    (("GET",), rf"/api/models/{_MODEL}", _Handler.info),
    (("GET",), rf"/api/models/{_MODEL}/revision/(.+)", _Handler.info),
    (("GET",), rf"/api/models/{_MODEL}/tree/([^/]+)", _Handler.tree),
    (("GET", "HEAD"), rf"/{_MODEL}/resolve/([^/]+)/(.+)", _Handler.resolve),
    (("POST",), "/api/repos/create", _Handler.create),
    (("POST",), "/api/validate-yaml", _Handler.validate),
    (("POST",), rf"/api/models/{_MODEL}/preupload/(.+)", _Handler.preupload),
    (("POST",), rf"/{_MODEL}\.git/info/lfs/objects/batch", _Handler.batch),
    (("PUT",), "/lfs/([0-9a-f]{64})", _Handler.upload),
    (("POST",), rf"/api/models/{_MODEL}/commit/(.+)", _Handler.add),
)
