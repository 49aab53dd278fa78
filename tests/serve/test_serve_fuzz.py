"""Damaged files, malformed requests: an answer in a sentence, never a 500, in bounded memory."""

import io
import json
import os
import resource
import socket

import numpy as np
import pytest
import serving
import tiny
from PIL import Image

from vdd.data import encoders
from vdd.serve.limits import LIMITS

UPLOADS = int(os.environ.get("VDD_FUZZ", "500"))
REQUESTS = UPLOADS * 2 // 5
SEED = int(os.environ.get("VDD_FUZZ_SEED", "0"))
MOST_GROWTH = 400 << 20  # bytes, of which compiled programs take the most

pytestmark = [pytest.mark.fuzz, pytest.mark.usefixtures("few_characters")]


def originals() -> list[tuple[str, bytes]]:
    """A small file of each kind."""
    video = tiny.random_video(1, 2)[0]
    stills = [Image.fromarray(frame) for frame in video]
    files = [("a.gif", encoders.gif(video, 8)), ("a.mp4", encoders.mp4(video, 8))]
    files += [("a.npy", encoders.npy(video)), ("a.png", encoders.png(video[:1]))]
    for kind, more in (("webp", {"save_all": True, "append_images": stills[1:]}), ("jpg", {})):
        buffer = io.BytesIO()
        stills[0].save(buffer, "JPEG" if kind == "jpg" else kind, **more)
        files.append((f"a.{kind}", buffer.getvalue()))
    return files


def mutated(rng, data: bytes) -> bytes:
    """Flips, cuts, repeats, replaces, or blows up sizes."""
    if not data:
        return rng.bytes(8)
    start, end = sorted(rng.integers(0, len(data) + 1, 2))
    kind = rng.integers(6)
    if kind == 0:
        changed = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 12)):
            changed[place] ^= 1 << rng.integers(8)
        return bytes(changed)
    if kind == 1:
        return data[:start]
    if kind == 2:
        return data[:end] + data[start:]
    if kind == 3:
        return data[:start] + rng.bytes(int(rng.integers(64))) + data[end:]
    if kind == 4:  # in the header, where sizes are
        place = int(rng.integers(0, min(64, len(data))))
        return data[:place] + b"\xff" * int(rng.integers(1, 5)) + data[place + 4 :]
    return mutated(rng, mutated(rng, data))


def memory() -> int:
    """Bytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def check(answer, place, seen):
    assert answer.status_code < 500, answer.text
    assert str(place) not in answer.text
    seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        assert list(answer.json()) == ["error"]
        assert "\n" not in answer.json()["error"]


def test_damaged_files_are_read_or_refused(tiny_run, tmp_path):
    rng, files, seen = np.random.default_rng(SEED), originals(), {}
    limits = LIMITS._replace(read_seconds=10.0, frames=8, reader_bytes=1 << 30)
    with serving.asking(tiny_run, tmp_path, limits) as page:
        for name, data in files:
            assert page.upload(data, name).status_code == 200, name
        before = memory()
        for i in range(UPLOADS):
            name, data = files[i % len(files)]
            if rng.random() < 0.05:
                name = files[rng.integers(len(files))][0]  # of another kind than it says
            check(page.upload(mutated(rng, data), name), tmp_path, seen)
            assert len(list(tmp_path.iterdir())) <= limits.clips
        assert memory() - before < MOST_GROWTH
        assert page.upload(files[0][1], files[0][0]).status_code == 200
    assert min(seen[200], seen[400]) > UPLOADS // 10, seen


def test_damaged_motion_is_decoded_or_refused(tiny_run, tmp_path):
    rng, seen = np.random.default_rng(SEED), {}
    with serving.asking(tiny_run, tmp_path, LIMITS._replace(frames=8)) as page:
        clip = page.ask("/api/gallery").json()[0]["id"]
        data = page.ask("/api/out/vdd", clip=clip, codes=[[0, 1]] * 8).content
        assert page.code(data).status_code == 200
        for _ in range(UPLOADS):
            check(page.code(mutated(rng, data)), tmp_path, seen)
    assert seen[400] > UPLOADS // 2, seen


def odd(rng) -> object:
    """A value that nobody expects."""
    values = [
        None, True, -1, 0, 2**70, 1e308, "", "x" * 300, "\ud800", "\0", "row-0", "row--1", "../x",
        [], [[]], [[[0]]], {}, {"a": 1}, [[0, 0]] * 700, [[0, 2**40]], [[0.5, 0]], "tiny",
    ]  # fmt: skip
    return values[rng.integers(len(values))]


def malformed(rng, page):
    """Asks something that is not as it should be."""
    paths = ["gallery", "random", "read", "frames", "draw", "words", "make_up", "meter"]
    paths += ["out/gif", "out/..%2f", "jobs/x", "clips", "hello", "camera", "nothing", "%00", "é"]
    path = "/api/" + paths[rng.integers(len(paths))]
    headers = dict(page.headers) if rng.random() < 0.8 else {"x-vdd-client": b"\xff"}
    kind = rng.integers(4)
    if kind == 0:
        names = ("run", "clip", "codes", "steps", "seed", "fps", "frames", "temperature", "lane")
        fields = {"run": page.run, "clip": "row-0", "codes": [[0, 0]]}
        fields.update({name: odd(rng) for name in names if rng.random() < 0.3})
        body = json.dumps(fields).encode()
    else:
        bodies = [b"", b"{", b"[]", b"\xff\xfe", b"[" * 9000, b'"x"', b"NaN", b'{"run":' * 50]
        body = bodies[rng.integers(len(bodies))]
    method = ["POST", "POST", "PUT", "GET", "DELETE", "HEAD", "OPTIONS"][rng.integers(7)]
    query = "?" + "&".join(f"{name}={odd(rng)!r}" for name in ("run", "name", "layout"))
    target = path + (query.encode("ascii", "ignore").decode() if kind == 2 else "")
    return page.http.request(method, target, content=body, headers=headers)


def test_malformed_requests_are_answered_in_a_sentence(tiny_run, tmp_path):
    rng, seen = np.random.default_rng(SEED), {}
    with serving.asking(tiny_run, tmp_path) as page:
        page.ask("/api/gallery")
        before = memory()
        for _ in range(REQUESTS):
            check(malformed(rng, page), tmp_path, seen)
        assert memory() - before < MOST_GROWTH
        assert page.ask("/api/gallery").status_code == 200
    assert seen[400] > REQUESTS // 10, seen


def test_bytes_that_are_no_request_close_the_connection_and_nothing_else(tiny_run, tmp_path):
    rng = np.random.default_rng(SEED)
    with serving.listening(tiny_run, tmp_path) as (_, address):
        port = int(address.rpartition(":")[2])
        good = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
        for i in range(40):
            data = mutated(rng, good) if i else good
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                connection.settimeout(0.15 if i else 60)
                connection.sendall(data)
                try:
                    status = connection.recv(100)
                except (TimeoutError, ConnectionError):
                    continue  # nothing was asked
                assert not status.startswith(b"HTTP/1.1 5"), data
                assert i or status.startswith(b"HTTP/1.1 200")
