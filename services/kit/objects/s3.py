"""Bytes in S3-compatible storage."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import S3Store as Bucket

from services.kit.objects.home import ObjectMissing, ObjectsUnavailable

_PART_BYTES = 5 * 1024 * 1024
"""The least that S3 takes as a part of a larger object."""
_TIMEOUT = timedelta(seconds=30)
"""Longest time for one request, of one part at most."""
_LAST_RETRY = timedelta(seconds=20)
"""After this no further attempt begins. By itself the client goes on for three minutes, while a device waits."""


class S3Store:
    """One object of the bucket for each of ours, under a prefix."""

    def __init__(self, bucket: str, prefix: str) -> None:
        endpoint = os.environ.get("FEDREC_S3_ENDPOINT")
        self._store = Bucket(
            bucket,
            prefix=prefix or None,
            endpoint=endpoint,
            client_options={"allow_http": (endpoint or "").startswith("http://"), "timeout": _TIMEOUT},
            retry_config={"max_retries": 5, "retry_timeout": _LAST_RETRY},
        )

    def write(self, key: str, chunks: Iterable[bytes | memoryview]) -> int:
        """Upload in parts, of which two are in memory."""
        counted = _Counted(chunks)
        with _translated(key):
            obstore.put(self._store, key, iter(counted), chunk_size=_PART_BYTES, max_concurrency=2)
        return counted.size

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """One GET with a Range."""
        with _translated(key):
            return obstore.get_range(self._store, key, start=start, end=end).to_bytes()

    def erase(self, keys: list[str]) -> None:
        """Delete in one request for each thousand."""
        if keys:
            with _translated(keys[0]):
                obstore.delete(self._store, keys)

    def older_than(self, age: timedelta) -> Iterator[list[str]]:
        """Keys by the storage's own record of when they were written."""
        before = datetime.now(UTC) - age
        with _translated("listing"):
            for batch in obstore.list(self._store, chunk_size=1000):
                yield [entry["path"] for entry in batch if entry["last_modified"] <= before]


class _Counted:
    """Chunks that pass through, counted; obstore does not say how much it wrote."""

    def __init__(self, chunks: Iterable[bytes | memoryview]) -> None:
        self._chunks = chunks
        self.size = 0

    def __iter__(self) -> Iterator[bytes | memoryview]:
        for chunk in self._chunks:
            self.size += len(chunk)
            yield chunk


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise ObjectMissing(key) from error
    except BaseError as error:
        raise ObjectsUnavailable(f"object storage: {type(error).__name__}") from error
