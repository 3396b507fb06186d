"""Content-Digest fields (RFC 9530), sha-256 only."""

import base64
import binascii
import hashlib
import re

_SHA_256_BYTES = 32
_SHA_256 = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]{1,100}):\s*(?:$|,)")


def content_digest(body: bytes | memoryview) -> str:
    """The field value for a body, e.g. `sha-256=:X48E...=:`."""
    return format_digest(hashlib.sha256(body).digest())


def format_digest(sha256: bytes) -> str:
    """The field value for a 32-byte hash."""
    return f"sha-256=:{base64.b64encode(sha256).decode()}:"


def parse_content_digest(field: str) -> bytes | None:
    """The 32-byte hash in a field value; None when it holds no well-formed sha-256."""
    match = _SHA_256.search(field)
    if match is None:
        return None
    try:
        value = base64.b64decode(match[1], validate=True)
    except binascii.Error:
        return None
    return value if len(value) == _SHA_256_BYTES else None
