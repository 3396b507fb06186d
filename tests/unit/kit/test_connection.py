"""Connections that never become a request, or take too long to: each has a bound."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from services.kit import connection
from services.kit.body_limit import BodyLimit
from services.kit.connection import MAXIMUM_HEAD_BYTES, BoundedConnection, connection_type
from services.kit.serving import listen

HEAD = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
FIRST = b"POST /first HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"


async def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def first_piece(request: Request) -> Response:
    """Answers with the length of what it was handed first."""
    return PlainTextResponse(str(len(await anext(request.stream()))))


async def think_first(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with a head, and with a body when the client has read it and says so."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await receive()
    await send({"type": "http.response.body", "body": b"done"})


async def name_headers(request: Request) -> Response:
    await request.body()
    return PlainTextResponse(" ".join(request.headers))


async def refuse(_: Request) -> Response:
    return PlainTextResponse("no", 403)


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch, *, body_seconds: float = 30.0, **bounds: float) -> Iterator[int]:
    """A server's port; it has the bounds of production, but for those that are given."""
    for name, value in bounds.items():
        monkeypatch.setattr(connection, name, value)
    routes = {"/echo": echo, "/first": first_piece, "/headers": name_headers, "/refuse": refuse}
    app = Starlette(routes=[Route(path, route, methods=["POST"]) for path, route in routes.items()])
    app.mount("/think", think_first)
    app.add_middleware(BodyLimit, except_for="never", maximum_seconds=body_seconds)
    config = uvicorn.Config(app, log_config=None, http=connection_type(), timeout_keep_alive=60)
    server = uvicorn.Server(config)
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    with serving(monkeypatch) as port:
        yield port


@pytest.fixture
def port_for_quick_heads(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    with serving(monkeypatch, HEAD_SECONDS=1.0) as port:  # time enough to begin one, however busy the machine
        yield port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def everything(peer: socket.socket) -> bytes:
    """What the server says until it closes."""
    said = b""
    try:
        while part := peer.recv(65536):
            said += part
    except ConnectionResetError:
        pass  # it did not read what we went on to send
    return said


def sent_until_closed(peer: socket.socket, part: bytes, *, times: int, every_seconds: float = 0.0) -> int:
    """Bytes that could be sent before the server closed the connection."""
    for number in range(times):
        try:
            peer.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            return number * len(part)
        time.sleep(every_seconds)
    return times * len(part)


def problem_in(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head.lower()
    assert b"connection: close" in head.lower()
    problem = json.loads(body)
    assert problem["status"] == int(head.split()[1])
    return problem["status"], problem["slug"]


def test_a_connection_that_sends_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch, HEAD_SECONDS=0.1) as port, connect(port) as peer:
        assert everything(peer) == b""


def test_a_head_that_arrives_byte_by_byte_is_given_up(port_for_quick_heads: int) -> None:
    with connect(port_for_quick_heads) as peer:
        peer.sendall(HEAD)
        sent_until_closed(peer, b"X", times=5, every_seconds=0.1)
        assert problem_in(everything(peer)) == (408, "head-timeout")


def test_a_second_head_on_the_same_connection_is_given_up_too(port_for_quick_heads: int) -> None:
    with connect(port_for_quick_heads) as peer:
        peer.sendall(HEAD + b"Content-Length: 2\r\n\r\nab")
        assert peer.recv(65536).endswith(b"2")
        peer.sendall(HEAD)
        assert problem_in(everything(peer)) == (408, "head-timeout")


@pytest.mark.parametrize("ends", [True, False])
def test_a_head_that_is_too_large_is_refused(port: int, ends: bool) -> None:
    with connect(port) as peer:
        bomb = HEAD + b"".join(b"X-%d: %s\r\n" % (number, b"x" * 100) for number in range(MAXIMUM_HEAD_BYTES // 100))
        sent_until_closed(peer, bomb + (b"Content-Length: 0\r\n\r\n" if ends else b""), times=1)
        assert problem_in(everything(peer)) == (431, "head-too-large")


def test_an_endless_head_is_not_kept(port: int) -> None:
    """Gigabytes of headers would be gigabytes of memory."""
    with connect(port) as peer:
        peer.sendall(HEAD)
        sent = sent_until_closed(peer, b"X-Y: " + b"x" * 8000 + b"\r\n", times=100_000)
    assert sent < 32 * 1024 * 1024  # what the sockets' buffers hold, most of it


@pytest.mark.parametrize("path", [b"/echo", b"/refuse"], ids=["being read", "answered"])
@pytest.mark.parametrize(
    ("begin", "part"),
    [(b"0\r\n", b"X: y\r\n" * 2000), (b"0\r\nX: ", b"x" * 12_000), (b"2;", b"x" * 12_000)],
    ids=["trailers", "a trailer", "a chunk's extension"],
)
def test_what_frames_a_body_without_end_is_not_kept(port: int, path: bytes, begin: bytes, part: bytes) -> None:
    """Trailers are headers: a parser keeps them, and one that grows is copied with every part of it."""
    with connect(port) as peer:
        peer.sendall(HEAD.replace(b"/echo", path) + b"Transfer-Encoding: chunked\r\n\r\n" + begin)
        sent = sent_until_closed(peer, part, times=10_000)
    assert sent < 32 * 1024 * 1024  # as above


def test_a_trailer_is_no_header(port: int) -> None:
    """A proxy in front that checks or replaces headers has not seen it."""
    with connect(port) as peer:
        head = HEAD.replace(b"/echo", b"/headers") + b"Transfer-Encoding: chunked\r\n\r\n"
        peer.sendall(head + b"1\r\nx\r\n0\r\nAuthorization: Bearer x\r\n\r\n")
        assert peer.recv(65536).endswith(b"\r\n\r\nhost transfer-encoding")


def test_a_body_may_come_in_tiny_chunks_and_end_with_trailers(port: int) -> None:
    with connect(port) as peer:
        chunks = b"1;a=b\r\nx\r\n" * 20_000 + b"0\r\nX: " + b"y" * 8000 + b"\r\n\r\n"
        peer.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        assert peer.recv(65536).endswith(b"20000")


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 0x10\r\n\r\n",
        HEAD + b"Content-Length : 2\r\n\r\nab",
        HEAD + b"X: a\rb: c\r\n\r\n",
        HEAD + b"X\x00: a\r\n\r\n",
    ],
    ids=[
        "no http",
        "two lengths",
        "length and chunked",
        "chunked not last",
        "negative length",
        "length in hexadecimal",
        "space before the colon",
        "a bare carriage return",
        "NUL in a name",
    ],
)
def test_a_request_that_two_servers_could_read_differently_is_refused(port: int, request_: bytes) -> None:
    with connect(port) as peer:
        peer.sendall(request_)
        assert problem_in(everything(peer)) == (400, "invalid-request")


def test_a_body_that_is_no_body_ends_the_connection(port: int) -> None:
    """Its request is being answered already: nothing can be said that would not end up inside of that answer."""
    with connect(port) as peer:
        peer.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n")
        assert everything(peer) == b""


def test_what_follows_a_body_is_a_request_of_its_own(port: int) -> None:
    with connect(port) as peer:
        peer.sendall(HEAD + b"Content-Length: 2\r\n\r\nab" + HEAD + b"Content-Length: 3\r\n\r\nabc")
        said = b""
        while said.count(b"HTTP/1.1 200") < 2 or not said.endswith(b"3"):
            said += peer.recv(65536)
        assert said.index(b"\r\n\r\n2") < said.index(b"\r\n\r\n3")


def test_a_head_right_behind_a_large_body_is_not_taken_for_a_large_one(port: int) -> None:
    body = bytes(200_000)
    with connect(port) as peer:
        peer.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body + HEAD)
        assert peer.recv(65536).endswith(b"200000")
        peer.sendall(b"Content-Length: 2\r\n\r\nab")
        assert peer.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_head_that_begins_right_behind_a_body_and_grows_too_large_is_refused(port: int) -> None:
    with connect(port) as peer:
        nearly = HEAD + b"X-Y: " + b"x" * (MAXIMUM_HEAD_BYTES - 1000)
        peer.sendall(HEAD + b"Content-Length: 20000\r\n\r\n" + bytes(20_000) + nearly)
        assert peer.recv(65536).endswith(b"20000")
        peer.sendall(b"x" * 2000 + b"\r\nContent-Length: 0\r\n\r\n")
        assert problem_in(everything(peer)) == (431, "head-too-large")


def test_a_small_body_is_handed_over_when_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch, _HAND_OVER_SECONDS=3600) as port, connect(port) as peer:
        for part in (FIRST + b"Content-Length: 6\r\n\r\n", b"ab", b"cd", b"ef"):
            peer.sendall(part)
            time.sleep(0.01)  # whether it comes as one or as many
        assert everything(peer).endswith(b"6")


@pytest.mark.parametrize(("seconds", "length"), [(0, 6), (3600, 131_073)], ids=["slow", "large"])
def test_of_another_body_what_has_come_is_handed_over(
    monkeypatch: pytest.MonkeyPatch, seconds: float, length: int
) -> None:
    with serving(monkeypatch, _HAND_OVER_SECONDS=seconds) as port, connect(port) as peer:
        peer.sendall(FIRST + b"Content-Length: %d\r\n\r\nab" % length)
        assert everything(peer).endswith(b"\r\n2")


def test_a_body_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch, body_seconds=0.1) as port, connect(port) as peer:
        peer.sendall(HEAD + b"Content-Length: 9\r\n\r\nab")
        assert peer.recv(65536).startswith(b"HTTP/1.1 408")


def test_whoever_was_answered_may_not_go_on_sending_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch, LINGER_SECONDS=0.1) as port, connect(port) as peer:
        peer.sendall(b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        assert peer.recv(65536).startswith(b"HTTP/1.1 403")
        assert sent_until_closed(peer, b"x", times=3000, every_seconds=0.02) < 3000


def test_a_head_does_not_wait_for_a_body_that_is_long_in_coming(port: int) -> None:
    with connect(port) as peer:
        peer.sendall(b"POST /think/ HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n")
        head = peer.recv(65536)
        assert head.startswith(b"HTTP/1.1 200")
        assert head.endswith(b"\r\n\r\n")
        peer.sendall(b"go")
        assert everything(peer) == b"done"


def test_a_request_for_a_websocket_is_a_request_like_any_other(port: int) -> None:
    with connect(port) as peer:
        peer.sendall(b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\r\n")
        assert everything(peer).startswith(b"HTTP/1.1 404")


def test_more_connections_than_allowed_are_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedConnection, "maximum_connections", 2)
    request = HEAD + b"Content-Length: 2\r\n\r\nab"
    with serving(monkeypatch) as port, connect(port) as first, connect(port) as second:
        for peer in (first, second):
            peer.sendall(request)
            assert peer.recv(65536).startswith(b"HTTP/1.1 200")
        with connect(port) as third:
            third.sendall(request)
            answer = everything(third)
        assert problem_in(answer) == (503, "overloaded")
        assert b"retry-after: 5" in answer.lower()
        first.close()
        while True:  # until the server has seen that the place is free
            with connect(port) as fourth:
                fourth.sendall(request)
                if fourth.recv(65536).startswith(b"HTTP/1.1 200"):
                    break
