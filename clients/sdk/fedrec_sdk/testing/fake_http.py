"""The fake's HTTP: a small server on the loopback interface, one thread for each connection."""

import contextlib
import re
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from fedrec_protocol.problems import PROBLEM_MEDIA_TYPE, Slug
from fedrec_sdk.testing.faults import Fault, FaultKind, Faults
from fedrec_sdk.testing.refusal import Refused, refused_with_status


@dataclass(frozen=True)
class Request:
    """A request that arrived."""

    method: str
    target: str
    """Path and query, as they are on the wire."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def path(self) -> str:
        """The path as it is on the wire."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query without its question mark; empty where there is none."""
        return self.target.partition("?")[2]

    @property
    def bearer(self) -> str:
        """The credential in `Authorization`; empty when there is none."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")


@dataclass(frozen=True)
class Answer:
    """An answer to send."""

    status: int
    body: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] | None = None


Respond = Callable[[Request], Answer]


class FakeServer(socketserver.ThreadingTCPServer):
    """Serves `respond` on a free port until it is stopped."""

    allow_reuse_address = True
    daemon_threads = False
    request_queue_size = 1024

    def __init__(self, respond: Respond, faults: Faults) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.respond = respond
        self.faults = faults
        self.requests: list[Request] = []
        self._connections: set[socket.socket] = set()
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Close all connections and wait for their threads."""
        self.shutdown()
        self._thread.join()
        with self._guard:
            for connection in self._connections:
                _break(connection)
        self.server_close()

    def answer(self, request: Request) -> Answer:
        """The answer, a problem document where it is refused."""
        with self._guard:
            self.requests.append(request)
        try:
            return self.respond(request)
        except Refused as refusal:
            return _problem_answer(refusal)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection."""
        with self._guard:
            self._connections.add(request)
        try:
            super().finish_request(request, client_address)
        except ConnectionError:  # the client went away, or a fault broke the connection
            return
        finally:
            with self._guard:
                self._connections.discard(request)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FakeServer

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
        """Say nothing: tests read `FakeAggregator.requests`."""

    def _serve(self) -> None:
        fault = self.server.faults.meet(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        if fault is not None and fault.kind is FaultKind.DROP_REQUEST:
            self._hang_up()
        elif fault is not None and fault.kind is FaultKind.REFUSE:
            self._send(_problem_answer(refused_with_status(fault.status), fault.retry_after))
        else:
            answer = self.server.answer(Request(self.command, self.path, headers, body))
            self._send_through(answer, fault)

    def _send_through(self, answer: Answer, fault: Fault | None) -> None:
        if fault is None:
            self._send(answer)
        elif fault.kind is FaultKind.DROP_RESPONSE:
            self._hang_up()
        elif fault.kind is FaultKind.CUT_BODY:
            self._send(answer, body=answer.body[: fault.after_bytes])
            self._hang_up()
        else:
            middle = len(answer.body) // 2
            flipped = bytes([answer.body[middle] ^ 0xFF])
            self._send(answer, body=answer.body[:middle] + flipped + answer.body[middle + 1 :])

    def _send(self, answer: Answer, body: bytes | None = None) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in (answer.headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body if body is None else body)

    def _hang_up(self) -> None:
        self.close_connection = True
        _break(self.connection)


def ranged(request: Request, body: bytes, digest: str, media_type: str) -> Answer:
    """An immutable file with ETag, If-None-Match, Range and If-Range (RFC 9110)."""
    headers = {"ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Answer(304, b"", media_type, headers)
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if found is None or request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        return Answer(200, body, media_type, headers)
    start, end = int(found[1]), int(found[2] or len(body) - 1)
    if start >= len(body):
        raise Refused(Slug.RANGE_NOT_SATISFIABLE, f"the file has {len(body)} bytes")
    headers["Content-Range"] = f"bytes {start}-{end}/{len(body)}"
    return Answer(206, body[start : end + 1], media_type, headers)


def _problem_answer(refusal: Refused, retry_after: float | None = None) -> Answer:
    body = refusal.problem.model_dump_json(exclude_none=True).encode()
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return Answer(refusal.problem.status, body, PROBLEM_MEDIA_TYPE, headers)


def _break(connection: socket.socket) -> None:
    """Break a connection at once, as when a network goes away."""
    with contextlib.suppress(OSError):  # the other side was faster
        connection.shutdown(socket.SHUT_RDWR)
