"""Reading a report's body: refused before it is read where that can be known, bounded where it cannot."""

import hashlib
import hmac
from collections.abc import Callable
from typing import NamedTuple

from fastapi import Request
from starlette.types import Receive

from fedrec_protocol.codec import MEDIA_TYPE
from fedrec_protocol.digest import parse_content_digest
from fedrec_protocol.secure_messages import MASKED_MEDIA_TYPE
from services.aggregator.api.body_budget import Room
from services.aggregator.domain.errors import (
    BodyIncomplete,
    BodyTooLarge,
    DigestMismatch,
    DigestRequired,
    LengthRequired,
    UnsupportedMediaType,
)


class Announced(NamedTuple):
    """What the headers say of a body."""

    media_type: str
    length: int
    sha256: bytes
    base_version: str | None
    """The version that the sender says it trained from."""


def announced(request: Request) -> Announced:
    """Check the headers of a report.

    Raises:
        UnsupportedMediaType, LengthRequired, DigestRequired: what is missing or wrong.
    """
    # As they are: `Headers` looks through all of them each time, which adds up.
    headers: dict[bytes, bytes] = dict(reversed(request.scope["headers"]))  # of repeated ones, the first
    media_type = _word(headers.get(b"content-type", b"").partition(b";")[0])
    if media_type not in {MEDIA_TYPE, MASKED_MEDIA_TYPE}:
        raise UnsupportedMediaType(f"send Content-Type: {MEDIA_TYPE}")
    if _word(headers.get(b"content-encoding", b"identity")) != "identity":
        raise UnsupportedMediaType("send the file as it is, without Content-Encoding")
    length = headers.get(b"content-length", b"")
    if not length.isdigit() or b"transfer-encoding" in headers:
        raise LengthRequired("send Content-Length, not a chunked body")
    sha256 = parse_content_digest(headers.get(b"content-digest", b"").decode("latin-1"))
    if sha256 is None:
        raise DigestRequired("send Content-Digest: sha-256=:<base64>: of the body")
    base_version = headers.get(b"fedrec-base-version")
    return Announced(media_type, int(length), sha256, None if base_version is None else base_version.decode("latin-1"))


def _word(field: bytes) -> str:
    return field.strip().lower().decode("latin-1")


async def read_body(request: Request, expected: Announced, room: Room) -> bytes | bytearray:
    """The body, of the announced length and digest, into the room that is held for it.

    Raises:
        BodyTimeout, BodyIncomplete, BodyTooLarge, DigestMismatch: it is not.
        Overloaded: it arrives slowly, and others wait.
    """
    digest = hashlib.sha256()
    body = await room.fill(_receive(request.receive, expected.length, digest.update, room))
    if room.received_bytes != expected.length:
        raise BodyIncomplete(f"{room.received_bytes} of {expected.length} bytes arrived")
    if not hmac.compare_digest(digest.digest(), expected.sha256):
        raise DigestMismatch("the body's SHA-256 is not the announced one: send it again")
    return body


async def _receive(receive: Receive, length: int, hash_part: Callable[[bytes], None], room: Room) -> bytes | bytearray:
    """Read until the end of the body. `Request.stream` does the same through two more layers."""
    body, whole, more = bytearray(), b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BodyIncomplete(f"the connection ended after {room.received_bytes} of {length} bytes")
        part, more = message.get("body", b""), message.get("more_body", False)
        start, end = room.received_bytes, room.received_bytes + len(part)
        if end > length:
            raise BodyTooLarge(f"the body is longer than its Content-Length of {length}")
        if len(part) == length:
            whole = part  # small ones come in one piece: they need not be copied to another
        elif part:
            body = body or bytearray(length)
            body[start:end] = part
        hash_part(part)
        room.received_bytes = end
    return body or whole
