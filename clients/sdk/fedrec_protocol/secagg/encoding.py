"""Bytes on the wire, in hashes and under signatures: one spelling each."""

import base64
import binascii
import struct
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema


def to_base64url(value: bytes) -> str:
    """Base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """The bytes of base64url text without padding.

    Raises:
        ValueError: padding, other alphabets, or bits behind the last byte: one value, one spelling.
    """
    try:
        value = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if to_base64url(value) != text:
        raise ValueError("not canonical base64url without padding")
    return value


def _read(value: Any) -> Any:
    return from_base64url(value) if isinstance(value, str) else value


_WIRE = (
    BeforeValidator(_read),
    PlainSerializer(to_base64url, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_-]*$"}),
)

Blob = Annotated[bytes, *_WIRE]
"""Bytes of any length; base64url without padding in JSON."""
Bytes32 = Annotated[bytes, Field(min_length=32, max_length=32), *_WIRE]
"""A key, seed or hash of 32 bytes."""
Signature = Annotated[bytes, Field(min_length=64, max_length=64), *_WIRE]
"""An Ed25519 signature."""


def transcript(label: str, *fields: bytes | str | int | float | None) -> bytes:
    """The canonical bytes that are hashed or signed.

    Label and fields follow each other, each behind its length as u32. Text is UTF-8, integers are
    64-bit two's complement and floats are IEEE 754 binary64, all big-endian; None has no bytes. The label
    fixes the number and kind of the fields, so no two values share an encoding.
    """
    parts = [_field_bytes(field) for field in (label, *fields)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _field_bytes(field: bytes | str | float | None) -> bytes:
    match field:
        case None:
            return b""
        case bytes():
            return field
        case str():
            return field.encode()
        case int():
            return field.to_bytes(8, "big", signed=True)
        case float():
            return struct.pack(">d", field)
