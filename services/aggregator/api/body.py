"""Reading a report's body: refused before it is read where that can be known, bounded where it cannot."""

import asyncio
import hashlib
import hmac
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request
from starlette.requests import ClientDisconnect

from fedrec_protocol.codec import MEDIA_TYPE
from fedrec_protocol.digest import parse_content_digest
from fedrec_protocol.secure_messages import MASKED_MEDIA_TYPE
from services.aggregator.domain.errors import (
    BodyIncomplete,
    BodyTimeout,
    BodyTooLarge,
    DigestMismatch,
    DigestRequired,
    LengthRequired,
    Overloaded,
    UnsupportedMediaType,
)


@dataclass(frozen=True)
class Announced:
    """What the headers say of a body."""

    media_type: str
    length: int
    sha256: bytes


def announced(request: Request) -> Announced:
    """Check the headers of a report.

    Raises:
        UnsupportedMediaType, LengthRequired, DigestRequired: what is missing or wrong.
    """
    headers = request.headers
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in {MEDIA_TYPE, MASKED_MEDIA_TYPE}:
        raise UnsupportedMediaType(f"send Content-Type: {MEDIA_TYPE}")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("send the file as it is, without Content-Encoding")
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()) or "transfer-encoding" in headers:
        raise LengthRequired("send Content-Length, not a chunked body")
    sha256 = parse_content_digest(headers.get("content-digest", ""))
    if sha256 is None:
        raise DigestRequired("send Content-Digest: sha-256=:<base64>: of the body")
    return Announced(media_type, int(length), sha256)


async def read_body(request: Request, expected: Announced, timeout_seconds: float) -> bytearray:
    """The body, of the announced length and digest.

    Raises:
        BodyTimeout, BodyIncomplete, BodyTooLarge, DigestMismatch: it is not.
    """
    body = bytearray(expected.length)
    digest = hashlib.sha256()
    received = 0
    try:
        # No HTTP server here times out a stalled body.
        async with asyncio.timeout(timeout_seconds):
            async for chunk in request.stream():
                if received + len(chunk) > expected.length:
                    raise BodyTooLarge(f"the body is longer than its Content-Length of {expected.length}")
                body[received : received + len(chunk)] = chunk
                digest.update(chunk)
                received += len(chunk)
    except TimeoutError as error:
        raise BodyTimeout(f"{received} of {expected.length} bytes arrived within {timeout_seconds} s") from error
    except ClientDisconnect as error:
        raise BodyIncomplete(f"the connection ended after {received} of {expected.length} bytes") from error
    if received != expected.length:
        raise BodyIncomplete(f"{received} of {expected.length} bytes arrived")
    if not hmac.compare_digest(digest.digest(), expected.sha256):
        raise DigestMismatch("the body's SHA-256 is not the announced one: send it again")
    return body


class MemoryBudget:
    """Bounds the bytes of bodies held at a time. Whoever finds no room waits unread, in order of arrival."""

    def __init__(self, total_bytes: int, *, longest_queue: int = 2000, patience_seconds: float = 30.0) -> None:
        self._free = total_bytes
        self._total = total_bytes
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._longest_queue = longest_queue
        self._patience = patience_seconds

    def grow_to(self, total_bytes: int) -> None:
        """Make room for at least this much: a body that is larger than the budget would wait for ever."""
        if total_bytes > self._total:
            self._free += total_bytes - self._total
            self._total = total_bytes

    @asynccontextmanager
    async def reserve(self, size_bytes: int) -> AsyncIterator[None]:
        """Hold room for a body of at most the whole budget.

        Raises:
            Overloaded: the queue is too long, or its patience is over.
        """
        await self._take(size_bytes)
        try:
            yield
        finally:
            self._free += size_bytes
            self._admit()

    async def _take(self, size: int) -> None:
        if not self._queue and size <= self._free:
            self._free -= size
            return
        if len(self._queue) >= self._longest_queue:
            raise Overloaded("too many reports are arriving at this process")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((size, turn))
        try:
            await asyncio.wait_for(asyncio.shield(turn), self._patience)
        except (TimeoutError, asyncio.CancelledError) as error:
            if turn.done():
                self._free += size
                self._admit()
            else:
                turn.cancel()
                self._queue = deque(entry for entry in self._queue if entry[1] is not turn)
                self._admit()
            if isinstance(error, TimeoutError):
                raise Overloaded("too many reports are arriving at this process") from error
            raise

    def _admit(self) -> None:
        while self._queue and self._queue[0][0] <= self._free:
            size, turn = self._queue.popleft()
            self._free -= size
            turn.set_result(None)
