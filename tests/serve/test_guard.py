"""Who may ask: the page itself, by the server's own name, and elsewhere with the token."""

import time

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from vdd.serve.guard import Guard, is_loopback

PORT = 8123
HERE = f"http://127.0.0.1:{PORT}"


def client(host="127.0.0.1", token=None, base=HERE) -> TestClient:
    async def say(request):
        return PlainTextResponse("in")

    async def talk(socket):
        await socket.accept()
        await socket.send_text("in")
        await socket.close()

    routes = [
        Route("/", say, methods=["GET"]),
        Route("/x", say, methods=["GET", "POST"]),
        WebSocketRoute("/talk", talk),
    ]
    return TestClient(Guard(Starlette(routes=routes), host, PORT, token), base)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (f"127.0.0.1:{PORT}", 200),
        (f"localhost:{PORT}", 200),
        (f"LOCALHOST:{PORT}", 200),
        (f"[::1]:{PORT}", 200),
        ("127.0.0.1", 421),
        ("127.0.0.1:80", 421),
        (f"evil.example:{PORT}", 421),  # DNS rebinding
        (f"127.0.0.1.evil.example:{PORT}", 421),
        (f"10.0.0.7:{PORT}", 421),
        ("", 421),
    ],
)
def test_on_loopback_only_its_own_names_are_answered(host, status):
    assert client().get("/x", headers={"host": host}).status_code == status


def test_where_others_reach_it_addresses_are_answered_and_names_are_not():
    asked = client("0.0.0.0", "secret")
    for host, status in ((f"10.0.0.7:{PORT}", 200), (f"evil.example:{PORT}", 421)):
        assert asked.get("/x?token=secret", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": HERE}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": f"https://127.0.0.1:{PORT}"}, 403),
        ({"origin": f"http://127.0.0.1:{PORT + 1}"}, 403),  # another server of this machine
        ({"origin": f"http://localhost:{PORT}"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"content-length": "99999999999"}, 413),
        ({"content-length": "-1"}, 413),
    ],
)
def test_other_pages_may_not_ask(headers, status):
    assert client().post("/x", headers=headers).status_code == status


def test_a_link_to_the_page_works_from_anywhere():
    headers = {"sec-fetch-site": "cross-site"}
    assert client().get("/", headers=headers).status_code == 200
    assert client().get("/x", headers=headers).status_code == 403


def test_a_websocket_is_asked_for_its_origin_too():
    def talk(**headers):
        with client().websocket_connect(f"ws://127.0.0.1:{PORT}/talk", headers=headers) as socket:
            return socket.receive_text()

    assert talk(origin=HERE) == "in"
    for headers in ({"origin": "http://evil.example"}, {"host": "evil.example"}):
        with pytest.raises(WebSocketDisconnect):
            talk(**headers)


def test_the_token_opens_and_is_remembered():
    asked = client("0.0.0.0", "secret")
    assert asked.get("/").status_code == 401
    assert asked.get("/?token=wrong").status_code == 401
    assert asked.get("/", headers={"cookie": f"vdd-{PORT}=wrong"}).status_code == 401
    answer = asked.get("/?token=secret")
    assert answer.status_code == 200
    assert "HttpOnly; SameSite=Strict" in answer.headers["set-cookie"]
    assert asked.get("/x").status_code == 200  # by its cookie
    with pytest.raises(WebSocketDisconnect):
        client("0.0.0.0", "secret").websocket_connect("/talk").__enter__()


def test_a_long_cookie_of_whoever_is_quickly_refused():
    asked, began = client("0.0.0.0", "secret"), time.process_time()
    cookie = f'vdd-{PORT}="' + 30_000 * "\\a" + '"'
    assert asked.get("/x", headers={"cookie": cookie}).status_code == 401
    assert time.process_time() - began < 2
    cookie = f"other=1; vdd-{PORT}=secret; more"
    assert asked.get("/x", headers={"cookie": cookie}).status_code == 200


def test_every_answer_tells_browsers_to_keep_to_this_page():
    for answer in (client().get("/"), client().get("/", headers={"host": "x"})):
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_what_is_loopback():
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.8.8.8", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.7", "evil.example", "")))
