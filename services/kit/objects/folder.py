"""Bytes as files in a local folder: the fastest home where all processes share one host."""

import contextlib
import math
import os
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path

from services.kit.objects.home import ObjectMissing, ObjectsUnavailable

_BATCH = 1000


class FolderStore:
    """One file for each object, written once and never changed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder

    def write(self, key: str, chunks: Iterable[bytes | memoryview]) -> int:
        """Write a file that survives a power cut once this returns."""
        partial = self._folder / f"{key}.partial"
        try:
            with partial.open("xb") as file:
                size = sum(file.write(chunk) for chunk in chunks)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(self._folder / key)
            self._sync_names()
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise ObjectsUnavailable(f"cannot write to {self._folder}: {error.strerror}") from error
        return size

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """Read part of a file."""
        try:
            with (self._folder / key).open("rb", buffering=0) as file:
                data = os.pread(file.fileno(), end - start, start)
        except FileNotFoundError as error:
            raise ObjectMissing(key) from error
        except OSError as error:
            raise ObjectsUnavailable(f"cannot read from {self._folder}: {error.strerror}") from error
        return data

    def erase(self, keys: list[str]) -> None:
        """Remove files."""
        for key in keys:
            try:
                (self._folder / key).unlink(missing_ok=True)
            except OSError as error:
                raise ObjectsUnavailable(f"cannot delete in {self._folder}: {error.strerror}") from error

    def older_than(self, age: timedelta) -> Iterator[list[str]]:
        """Names of files by their time of change, those of broken-off writes too."""
        before = time.time() - age.total_seconds()
        try:
            with os.scandir(self._folder) as entries:
                names = (entry.name for entry in entries if _changed_at(entry) <= before)
                while batch := list(islice(names, _BATCH)):
                    yield batch
        except OSError as error:
            raise ObjectsUnavailable(f"cannot list {self._folder}: {error.strerror}") from error

    def _sync_names(self) -> None:
        # A renamed file can be lost in a power cut until its directory is synced too.
        directory = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _changed_at(entry: os.DirEntry[str]) -> float:
    """In seconds since the epoch; never for what others have renamed or deleted since it was listed."""
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return math.inf
