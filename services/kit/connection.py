"""HTTP connections with bounds that uvicorn leaves open: how large a head may be, and how long things may take.

Without them one connection could send headers until the memory is full, or hold its place by sending a byte an
hour. What is refused here has not become a request yet, so it is not in the log of requests; it is counted.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, cast

import httptools
from prometheus_client import Counter
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from fedrec_protocol.problems import Slug
from services.kit.problems import problem_response

MAXIMUM_HEAD_BYTES = 32 * 1024
"""Request line and headers together; of a body in chunks, what comes between two pieces of it, and after the last."""
HEAD_SECONDS = 20.0
"""A connection's first head, and every head that was begun, is complete after this."""
LINGER_SECONDS = 20.0
"""A request that was answered before it was complete may go on for so long, so that its sender reads the answer."""
_UNREAD_BYTES = 256 * 1024
_HEAD_PART_BYTES = 4 * 1024
_BODY_PART_BYTES = 64 * 1024  # fits a core's cache: reading and hashing 256 KiB at a time takes a quarter longer
_WAITING_BYTES = 128 * 1024
"""Of a body, read and not asked for yet. With uvicorn's 64 KiB, reading of many a report is stopped and started again,
and it comes in two pieces."""
_HAND_OVER_SECONDS = 0.1
"""A body that fits there is handed over when it is whole; of one that takes longer, what has come."""
_RETRY_SECONDS = "5"

_REFUSED = Counter("fedrec_connections_refused_total", "Connections closed before they made a request", ["slug"])


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's protocol, with bounds."""

    maximum_connections: int | None = None
    """More than so many at a time are answered 503; set once for the process."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        super().connection_made(transport)  # type: ignore[arg-type] # a server's transports are never anything else
        self._refusal = (400, Slug.INVALID_REQUEST, "this is not an HTTP request")
        self._is_in_head = True
        self._head_bytes = 0  # none until its first byte
        self._arrived_bytes = 0  # with this head: itself, and what came before it at the same time
        self._heads = 0
        self._framing_bytes = 0  # since the last piece of a body
        self._hand_over_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        if self.maximum_connections is not None and len(self.connections) > self.maximum_connections:
            self.app = _too_many
        self._limit_time(HEAD_SECONDS, self._head_took_too_long)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have arrived: parts of heads and bodies."""
        was_in_head, heads = self._is_in_head, self._heads
        is_going_on = self._is_in_head and self._head_bytes > 0
        self._arrived_bytes = len(data) + (self._arrived_bytes if is_going_on else 0)
        self._framing_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self._is_in_head and self._framing_bytes > MAXIMUM_HEAD_BYTES:
            # Trailers, which nobody reads and the parser keeps; who was answered is not answered once more.
            _REFUSED.labels(Slug.HEAD_TOO_LARGE).inc()
            self.transport.close()
            return
        if not self._is_in_head or self._head_bytes == 0:
            return
        if was_in_head and heads == self._heads:  # else it began somewhere in these bytes, which are few
            self._head_bytes += len(data)
        if self._head_bytes > MAXIMUM_HEAD_BYTES:
            self._refuse_head()
            self.send_400_response("")
        elif self._timer is None:
            self._limit_time(HEAD_SECONDS, self._head_took_too_long)

    @property
    def next_part_bytes(self) -> int:
        """How much to read at once. What comes with a head is in memory before anybody has asked for the body."""
        return _HEAD_PART_BYTES if self._is_in_head else _BODY_PART_BYTES

    def on_message_begin(self) -> None:
        """A head begins."""
        self._is_in_head, self._head_bytes = True, 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A request can be answered."""
        self._is_in_head, self._head_bytes, self._framing_bytes = False, 0, 0
        self._heads += 1
        self._stop_timer()
        if self._arrived_bytes > MAXIMUM_HEAD_BYTES and self._head_size() > MAXIMUM_HEAD_BYTES:
            self._refuse_head()
            raise httptools.HttpParserError  # ends the parsing, and comes out as `send_400_response`
        super().on_headers_complete()
        self.cycle.transport = cast("asyncio.Transport", _Answer(self.transport, self.loop))
        announced = _announced(self.headers)
        self._hand_over_at = self.loop.time() + _HAND_OVER_SECONDS if announced <= _WAITING_BYTES else 0.0
        if announced > _UNREAD_BYTES:
            # A large body stays with the operating system until it is asked for; `receive` goes on reading.
            self.flow.pause_reading()
        self.headers = []  # those of the request are complete: a proxy in front has not seen trailers

    def on_body(self, body: bytes) -> None:
        """Part of a body has arrived: kept until it is asked for, up to a bound."""
        self._framing_bytes = 0
        if self.cycle.response_complete:
            return
        self.cycle.body += body
        if len(self.cycle.body) > _WAITING_BYTES:
            self.flow.pause_reading()
        elif self.loop.time() < self._hand_over_at:
            return  # each piece costs whoever reads it a turn
        self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """An answer was sent, perhaps before the request had ended."""
        is_unread = self.cycle.more_body and self.cycle.response_complete
        super().on_response_complete()
        if is_unread and not self.transport.is_closing():
            self._limit_time(LINGER_SECONDS, self.transport.close)

    def on_message_complete(self) -> None:
        """A request has arrived as a whole; a head comes next."""
        self._is_in_head = True
        self._stop_timer()
        super().on_message_complete()

    def _should_upgrade(self) -> bool:
        """Nobody serves WebSockets here."""
        return False

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, with a problem document, and close."""
        status, slug, detail = self._refusal
        _REFUSED.labels(slug).inc()
        if self.cycle is None or self.cycle.response_complete:  # else it would end up inside of another answer
            answer = problem_response(status, slug, detail, headers={"Connection": "close"})
            fields = [b": ".join(field) + b"\r\n" for field in answer.raw_headers]
            self.transport.write(b"".join([STATUS_LINE[status], *fields, b"\r\n", answer.body]))
        self.transport.close()

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _refuse_head(self) -> None:
        detail = f"the request line and the headers have at most {MAXIMUM_HEAD_BYTES} bytes together"
        self._refusal = (431, Slug.HEAD_TOO_LARGE, detail)

    def _head_took_too_long(self) -> None:
        if self._head_bytes == 0:  # a connection that was opened and not used
            self.transport.close()
            return
        self._refusal = (408, Slug.HEAD_TIMEOUT, f"send the headers within {HEAD_SECONDS:g} s")
        self.send_400_response("")

    def _limit_time(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Answer:
    """One answer's way out: its head waits for the beginning of its body, to be sent with it.

    uvicorn writes them one after the other, and each write is a system call and a packet of its own.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None
        self._is_begun = False
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Send what comes first with what comes next, or when the loop has nothing else to do."""
        if not self._is_begun:
            self._is_begun, self._head = True, data
            self._loop.call_soon(self._send_head)
        elif self._head is not None:
            head, self._head = self._head, None
            self._transport.writelines((head, data))
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Close the connection when all was sent."""
        self._send_head()
        self._transport.close()

    def _send_head(self) -> None:
        if self._head is not None and not self._transport.is_closing():
            self._transport.write(self._head)
        self._head = None


class _Buffer(threading.local):
    """Where an event loop reads to. One for each thread: two loops of a process would write over each other's bytes."""

    def __init__(self) -> None:
        self.bytes = memoryview(bytearray(_BODY_PART_BYTES))


_BUFFER = _Buffer()


class BufferedConnection(asyncio.BufferedProtocol):
    """A `BoundedConnection` that reads into one buffer of its event loop, and as much as it wants.

    Otherwise the event loop reads 256 KiB for every connection, and copies it once more.
    """

    def __init__(self, **options: Any) -> None:
        """The same options as uvicorn's protocols have."""
        self._inner = BoundedConnection(**options)
        self._buffer = _BUFFER.bytes
        self.connection_lost = self._inner.connection_lost  # type: ignore[method-assign] # called as they are
        self.eof_received = self._inner.eof_received  # type: ignore[method-assign]
        self.pause_writing = self._inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = self._inner.resume_writing  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._inner.connection_made(transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go; they are parsed before anything else is read."""
        return self._buffer[: self._inner.next_part_bytes]

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have arrived."""
        self._inner.data_received(self._buffer[:nbytes])  # type: ignore[arg-type] # any buffer, for the parser


def connection_type() -> type[asyncio.Protocol]:
    """What uvicorn shall make for each connection; its annotations do not know of protocols with buffers."""
    return cast("type[asyncio.Protocol]", BufferedConnection)


def _announced(headers: list[tuple[bytes, bytes]]) -> int:
    for name, value in headers:
        if name == b"content-length":
            return int(value)  # the parser lets nothing through but digits
    return 0


async def _too_many(scope: Scope, receive: Receive, send: Send) -> None:
    _REFUSED.labels(Slug.OVERLOADED).inc()
    headers = {"Retry-After": _RETRY_SECONDS, "Connection": "close"}
    answer = problem_response(503, Slug.OVERLOADED, "too many connections are open here", headers=headers)
    await answer(scope, receive, send)
