"""Downloaded weights by their SHA-256: immutable files, mapped into memory, few of them kept."""

import mmap
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

from fedrec_protocol.problems import Slug
from fedrec_sdk.errors import Unavailable, rejected_here

KEPT = 2


class ModelCache:
    """Weights files by digest; safe to share between the threads and participants of one process.

    Args:
        folder: Where the files are; made if need be.
        kept: How many of the most recently used files survive, besides those that an alias names.
    """

    def __init__(self, folder: str | os.PathLike[str], *, kept: int = KEPT) -> None:
        self.folder = Path(folder)
        self.kept = kept
        self._guard = threading.Lock()

    def read(self, digest: str) -> memoryview | None:
        """The bytes of the weights, mapped; None when they are not here."""
        path = self._path(digest)
        try:
            with path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            os.utime(path)  # the time of the last use, for `evict`
        except FileNotFoundError:
            return None
        return memoryview(mapped)

    def fetch(self, digest: str, download: Callable[[Path], None]) -> memoryview:
        """The bytes of the weights, downloaded unless they are here.

        Args:
            digest: SHA-256 of the weights, in hexadecimal.
            download: Fills a file with the weights, starting from what it holds, and checks the digest.

        Raises:
            Unavailable: the disk is full or broken; what `download` raises.
        """
        # One download at a time: participants that share the cache wait for the one of them that downloads.
        with self._guard:
            if (cached := self.read(digest)) is not None:
                return cached
            try:
                return self._filled(self._path(digest), download)
            except OSError as error:
                raise Unavailable(f"weights cannot be kept in {self.folder}: {error.strerror}") from error

    def _filled(self, path: Path, download: Callable[[Path], None]) -> memoryview:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        download(part)
        part.replace(path)
        _make_durable(self.folder)
        with path.open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def evict(self, pinned: frozenset[str]) -> frozenset[str]:
        """Remove all but the pinned and the most recently used files; returns the digests that remain."""
        with self._guard:
            by_use = sorted(self.folder.glob("*.safetensors"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
            removed = [path for path in by_use if path.stem not in pinned][self.kept :]
            # The part of a version that was never completed is of no use once a later one was.
            for path in (*removed, *self.folder.glob("*.part")):
                path.unlink()
        return frozenset(path.stem for path in by_use) - frozenset(path.stem for path in removed)

    def _path(self, digest: str) -> Path:
        # The digest comes from the network and becomes a file name.
        if re.fullmatch(r"[0-9a-f]{64}", digest) is None:
            raise rejected_here(Slug.DIGEST_MISMATCH, "the service names weights by something that is not a SHA-256")
        return self.folder / f"{digest}.safetensors"


def _make_durable(folder: Path) -> None:
    """Bring a rename to the disk, where a folder can be synchronised (not on Windows)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
