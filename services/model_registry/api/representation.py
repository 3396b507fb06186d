"""Which bytes of a version's weights answer a request (RFC 9110: conditions, ranges and encodings)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fedrec_protocol.codec import MEDIA_TYPE
from services.model_registry.domain.errors import RangeNotSatisfiable
from services.model_registry.storage.weights import StoredWeights

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")
_ALWAYS = {"Cache-Control": "private, max-age=31536000, immutable", "Vary": "Accept-Encoding"}


@dataclass(frozen=True)
class Representation:
    """An answer's status and headers, and the part of an object that is its body."""

    status: int
    headers: Mapping[str, str]
    object_key: str
    start: int
    end: int


def represent(weights: StoredWeights, asked: Mapping[str, str], *, is_head: bool = False) -> Representation:
    """Choose the answer.

    The file and its compressed copy have strong entity tags of their own, because their bytes differ; a
    range is always of the file. A client that holds either of them needs nothing more.

    Args:
        weights: What is stored.
        asked: The request's headers.
        is_head: Ranges are defined for GET alone.

    Raises:
        RangeNotSatisfiable: the range starts behind the end.
    """
    plain_tag, compressed_tag = f'"{weights.digest}"', f'"{weights.digest}.zstd"'
    for tag in (plain_tag, compressed_tag):
        if _is_listed(tag, asked.get("if-none-match", "")):
            return Representation(304, _ALWAYS | {"ETag": tag}, weights.object_key, 0, 0)
    if weights.compressed_key is not None and _wants_zstd(asked):
        size = weights.compressed_bytes or 0
        headers = {"ETag": compressed_tag, "Content-Encoding": "zstd", "Content-Type": MEDIA_TYPE}
        headers["Content-Length"] = str(size)
        return Representation(200, _ALWAYS | headers, weights.compressed_key, 0, size)
    headers = _ALWAYS | {"ETag": plain_tag, "Accept-Ranges": "bytes", "Content-Type": MEDIA_TYPE}
    part = None if is_head or asked.get("if-range", plain_tag) != plain_tag else _part(asked, weights.size_bytes)
    if part is None:
        start, end = 0, weights.size_bytes
        return Representation(200, headers | {"Content-Length": str(end)}, weights.object_key, start, end)
    start, end = part
    headers |= {"Content-Range": f"bytes {start}-{end - 1}/{weights.size_bytes}", "Content-Length": str(end - start)}
    return Representation(206, headers, weights.object_key, start, end)


def _is_listed(tag: str, field: str) -> bool:
    # If-None-Match compares weakly: a cache that weakened the tag on its way still holds the same bytes.
    return field.strip() == "*" or tag in (entry.strip().removeprefix("W/") for entry in field.split(","))


def _wants_zstd(asked: Mapping[str, str]) -> bool:
    if "range" in asked:
        return False
    for entry in asked.get("accept-encoding", "").lower().split(","):
        coding, _, parameters = entry.partition(";")
        if coding.strip() == "zstd":
            return re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", parameters) is None
    return False


def _part(asked: Mapping[str, str], size: int) -> tuple[int, int] | None:
    """The one range asked for, clipped to the file; None where the field is to be ignored."""
    match = _RANGE.fullmatch(asked.get("range", "").strip())
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        start, end = max(size - int(suffix), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise RangeNotSatisfiable(size)
    return start, end
