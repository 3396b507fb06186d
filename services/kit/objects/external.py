"""Objects whose bytes lie outside Postgres: their keys are rows, so transactions still decide.

The bytes are written before the row, and erased after it. A crash in between leaves bytes without a
row, which nobody can reach; `sweep` erases them.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Protocol

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.dialects import postgresql

from services.kit.db import Database
from services.kit.ids import new_id
from services.kit.objects.home import CHUNK_BYTES, ORPHAN_AGE, ObjectMissing
from services.kit.objects.tables import ObjectTables

_BATCH = 1000


class ByteStore(Protocol):
    """Named bytes, without transactions. Every method may raise `ObjectsUnavailable`."""

    def write(self, key: str, chunks: Iterable[bytes | memoryview]) -> int:
        """Store bytes under a new key, durably; returns how many."""
        ...

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """Bytes of an object, `start` to `end`, both inside it; raises `ObjectMissing`."""
        ...

    def erase(self, keys: list[str]) -> None:
        """Delete objects; those that are not there are no error."""
        ...

    def older_than(self, age: timedelta) -> Iterator[list[str]]:
        """The keys that were written longer ago than `age`, in batches."""
        ...


class ExternalHome:
    """Keeps the bytes in a `ByteStore` and the keys in the service's own database."""

    def __init__(self, tables: ObjectTables, store: ByteStore) -> None:
        # The service is in the name: what shares the place with it is not its to sweep.
        self._kind = f"obj_{tables.objects.schema}"
        self._objects = tables.objects
        self._deletions = tables.deletions
        self._store = store

    def put(self, tx: Connection, chunks: Iterable[bytes | memoryview]) -> str:
        """Write a new object; it is an orphan until the transaction commits."""
        key = new_id(self._kind)
        size = self._store.write(key, chunks)
        tx.execute(insert(self._objects).values(key=key, size_bytes=size))
        return key

    def read(self, tx: Connection, key: str) -> Iterator[bytes]:
        """The object's bytes, one chunk at a time."""
        size = self.size(tx, key)
        return (
            self._store.read_range(key, start, min(start + CHUNK_BYTES, size)) for start in range(0, size, CHUNK_BYTES)
        )

    def read_range(self, tx: Connection, key: str, start: int, end: int) -> bytes:
        """Part of the object."""
        end = min(end, self.size(tx, key))
        return self._store.read_range(key, start, end) if 0 <= start < end else b""

    def size(self, tx: Connection, key: str) -> int:
        """The object's size in bytes."""
        size: int | None = tx.execute(select(self._objects.c.size_bytes).where(self._objects.c.key == key)).scalar()
        if size is None:
            raise ObjectMissing(key)
        return size

    def delete(self, tx: Connection, key: str) -> None:
        """Forget the object when the transaction commits; `sweep` erases its bytes."""
        if tx.execute(delete(self._objects).where(self._objects.c.key == key)).rowcount:
            tx.execute(postgresql.insert(self._deletions).values(key=key).on_conflict_do_nothing())

    def sweep(self, db: Database, *, orphan_age: timedelta = ORPHAN_AGE) -> int:
        """Erase the bytes of deleted objects, then the orphans."""
        erased = 0
        while count := db.run("erase_deleted_objects", self._erase_deleted):
            erased += count
        for names in self._store.older_than(orphan_age):
            keys = [name for name in names if name.startswith(f"{self._kind}_")]
            known = db.run("find_objects", lambda tx, keys=keys: self._known(tx, keys))  # type: ignore[misc]
            orphans = [key for key in keys if key not in known]
            self._store.erase(orphans)
            erased += len(orphans)
        return erased

    def _erase_deleted(self, tx: Connection) -> int:
        due = select(self._deletions.c.key).limit(_BATCH).with_for_update(skip_locked=True)
        keys = list(tx.execute(due).scalars())
        # Erased first: should this transaction fail now, the next sweep erases nothing twice in vain.
        self._store.erase(keys)
        tx.execute(delete(self._deletions).where(self._deletions.c.key.in_(keys)))
        return len(keys)

    def _known(self, tx: Connection, keys: list[str]) -> set[str]:
        return set(tx.execute(select(self._objects.c.key).where(self._objects.c.key == func.any(keys))).scalars())
