"""Uploads on disk until they are checked: memory does not grow with their size."""

import asyncio
import hashlib
import mmap
import os
from collections.abc import Iterator
from typing import BinaryIO

import zstandard
from fastapi import Request
from starlette.requests import ClientDisconnect

from fedrec_protocol import codec
from fedrec_protocol.tensors import TensorSpec
from services.kit.objects import CHUNK_BYTES
from services.model_registry.domain.errors import (
    BodyIncomplete,
    BodyTimeout,
    BodyTooLarge,
    DigestMismatch,
    LengthRequired,
    MalformedWeights,
    UnsupportedMediaType,
)

WORTHWHILE = 0.8
"""A compressed copy is kept if it is at most this part of the file: float weights rarely are."""
_LEVEL = 3


def announced_length(request: Request, maximum_bytes: int) -> int:
    """The length of a body that may be read, from its headers alone.

    Raises:
        UnsupportedMediaType, LengthRequired, BodyTooLarge: it may not.
    """
    headers = request.headers
    if headers.get("content-type", "").partition(";")[0].strip().lower() != codec.MEDIA_TYPE:
        raise UnsupportedMediaType(f"send Content-Type: {codec.MEDIA_TYPE}")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("send the file as it is, without Content-Encoding")
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()) or "transfer-encoding" in headers:
        raise LengthRequired("send Content-Length, not a chunked body")
    if len(length) > 18 or int(length) > maximum_bytes:
        raise BodyTooLarge(f"this registry takes at most {maximum_bytes} bytes")
    return int(length)


async def receive(request: Request, file: BinaryIO, *, length: int, digest: str, timeout_seconds: float) -> None:
    """Write the body to a file and check its length and SHA-256.

    Raises:
        BodyTimeout, BodyIncomplete, BodyTooLarge, DigestMismatch: it is not what was announced.
    """
    hashed = hashlib.sha256()
    received = 0
    try:
        async with asyncio.timeout(timeout_seconds):
            async for chunk in request.stream():
                received += len(chunk)
                if received > length:
                    raise BodyTooLarge(f"the body is longer than its Content-Length of {length}")
                hashed.update(chunk)
                file.write(chunk)
    except TimeoutError as error:
        raise BodyTimeout(f"{received} of {length} bytes arrived within {timeout_seconds} s") from error
    except ClientDisconnect as error:
        raise BodyIncomplete(f"the connection ended after {received} of {length} bytes") from error
    if received != length:
        raise BodyIncomplete(f"{received} of {length} bytes arrived")
    if hashed.hexdigest() != digest:
        raise DigestMismatch(f"the body's SHA-256 is {hashed.hexdigest()}")
    file.flush()


def read_specs(file: BinaryIO) -> tuple[TensorSpec, ...]:
    """What a safetensors file holds.

    Raises:
        MalformedWeights: it is none.
    """
    # Mapped, so that the header is read and nothing else. Closing is left to the last view of it.
    body = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) if os.fstat(file.fileno()).st_size else b""
    try:
        specs = codec.read_specs(body)
    except codec.TensorsRejected as error:
        raise MalformedWeights(str(error)) from error
    if not specs:
        raise MalformedWeights("the file holds no tensor")
    return specs


def compress(file: BinaryIO, room: BinaryIO) -> bool:
    """Write a zstd-compressed copy of a file to `room`; returns whether it is worth keeping.

    Level 3 of the format of RFC 8878. The first chunk is tried before the whole.
    """
    compressor = zstandard.ZstdCompressor(_LEVEL)
    sample = next(chunks(file), b"")
    if len(compressor.compress(sample)) > WORTHWHILE * len(sample):
        return False
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    read, written = compressor.copy_stream(file, room, size=size)
    room.flush()
    return written <= WORTHWHILE * read


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """A file from its beginning, in pieces."""
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
