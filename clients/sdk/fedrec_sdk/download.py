"""Downloads that go on where they stopped: Range and If-Range into a partial file, then the SHA-256."""

import hashlib
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fedrec_protocol.problems import Slug
from fedrec_sdk.errors import Rejected, Unavailable, rejected_here

if TYPE_CHECKING:
    from fedrec_sdk.credentials import Authorise
    from fedrec_sdk.transport import Streamed, Transport

log = logging.getLogger(__name__)

_RANGE_NOT_SATISFIABLE = 416
_PARTIAL_CONTENT = 206


@dataclass(frozen=True)
class Weights:
    """A weights file in the registry, and how to recognise it."""

    url: str
    """Its address."""
    digest: str
    """Its SHA-256, in lower-case hexadecimal."""
    size_bytes: int
    """Its size."""


def download(transport: "Transport", weights: Weights, authorise: "Authorise", part: Path) -> None:
    """Fill `part` with the weights, starting from what it holds already.

    A connection that breaks after it brought something does not count as a failed attempt, so that a
    slow and bad network gets there in the end.

    Raises:
        Unavailable: too many failures in a row; what arrived stays in `part`.
        Rejected: the registry refused, or `digest-mismatch` although everything came in one go.
    """
    is_resumed = part.exists()
    failures = 0
    while _size(part) != weights.size_bytes:
        before = _size(part)
        try:
            _continue(transport, weights, authorise, part)
        except Unavailable as refusal:
            failures = 1 if _size(part) > before else failures + 1
            transport.pause(failures, refusal)
        except Rejected as refusal:
            if refusal.problem.status != _RANGE_NOT_SATISFIABLE:
                raise
            part.unlink()
            if not is_resumed:
                raise rejected_here(Slug.DIGEST_MISMATCH, "the weights are smaller than announced") from refusal
            is_resumed = False
    if _sha256(part) == weights.digest:
        return
    part.unlink()
    if not is_resumed:
        raise rejected_here(Slug.DIGEST_MISMATCH, f"the weights do not have the digest {weights.digest}")
    log.warning("a resumed download of %s was damaged: starting over", weights.digest)
    download(transport, weights, authorise, part)


def _continue(transport: "Transport", weights: Weights, authorise: "Authorise", part: Path) -> None:
    have = _size(part)
    headers = {**authorise("GET", weights.url, None), "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": f'"{weights.digest}"'}
    with transport.stream(weights.url, headers) as streamed, _open(part) as file:
        file.truncate(_start(streamed, have))
        _append(streamed, file, weights.size_bytes)
        os.fsync(file.fileno())
    if _size(part) < weights.size_bytes:
        raise Unavailable(f"the download of {weights.digest} ended early")


def _start(streamed: "Streamed", have: int) -> int:
    """Where the body starts: behind what we have, or at zero when the server ignored the range."""
    if streamed.status != _PARTIAL_CONTENT:
        return 0
    found = re.match(r"bytes (\d+)-", streamed.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != have:
        raise Unavailable("the registry answered another range than the one asked for")
    return have


def _append(streamed: "Streamed", file: BinaryIO, size_bytes: int) -> None:
    written = file.seek(0, os.SEEK_END)
    for chunk in streamed.chunks:
        written += len(chunk)
        if written > size_bytes:
            file.truncate(0)
            raise rejected_here(Slug.DIGEST_MISMATCH, f"the weights are larger than the {size_bytes} bytes announced")
        file.write(chunk)


def _open(part: Path) -> BinaryIO:
    return os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o600), "r+b")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _sha256(part: Path) -> str:
    with part.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
