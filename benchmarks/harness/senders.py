"""Clients that cost little: prepared requests, written to plain sockets by another process."""

import multiprocessing
import socket
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from fedrec_protocol.codec import MEDIA_TYPE
from fedrec_protocol.digest import content_digest


@dataclass(frozen=True)
class Sent:
    """What became of many requests."""

    seconds: float
    """From the first byte sent to the last answer."""
    statuses: dict[int, int]
    """Number of answers by HTTP status."""


def send_reports(url: str, assignments: Sequence[str], tokens: Sequence[str], body: bytes, *, connections: int) -> Sent:
    """POST the same body to every assignment, over so many connections at once, from a process of its own.

    Raises:
        RuntimeError: not all were answered 201.
    """
    fields = f"Content-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\nContent-Digest: {content_digest(body)}\r\n"
    heads = [
        f"POST /v1/assignments/{assignment}/report HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{fields}\r\n"
        for assignment, token in zip(assignments, tokens, strict=True)
    ]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        sent = process.submit(_send, url, heads, body, connections).result()
    if set(sent.statuses) != {201}:
        raise RuntimeError(f"reports were answered {sent.statuses}, not all 201")
    return sent


def _send(url: str, heads: Sequence[str], body: bytes, connections: int) -> Sent:
    place = urlsplit(url)
    address = (place.hostname or "127.0.0.1", place.port or 80)
    started = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        shares = [heads[start::connections] for start in range(connections)]
        statuses = [
            status for share in pool.map(lambda share: _send_share(address, share, body), shares) for status in share
        ]
    return Sent(time.perf_counter() - started, dict(Counter(statuses)))


def _send_share(address: tuple[str, int], heads: Sequence[str], body: bytes) -> list[int]:
    statuses = []
    with socket.create_connection(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for head in heads:
            connection.sendall(head.encode())
            connection.sendall(body)
            statuses.append(_read_status(connection))
    return statuses


def _read_status(connection: socket.socket) -> int:
    """Read one answer, which must have a Content-Length."""
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _receive(connection)
    head, _, rest = answer.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    missing = int(fields[b"content-length"]) - len(rest)
    while missing > 0:
        missing -= len(_receive(connection))
    return int(head.split(b" ", 2)[1])


def _receive(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise ConnectionError("the server closed the connection")
    return received
