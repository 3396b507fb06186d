"""Objects as rows of chunks in Postgres: one database, one backup, one transaction."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

import psycopg
from psycopg import sql
from sqlalchemy import Connection, LargeBinary, delete, insert, literal, select, update

from services.kit.db import Database, DatabaseUnavailable
from services.kit.ids import new_id
from services.kit.objects.home import CHUNK_BYTES, ORPHAN_AGE, ObjectMissing, rechunk
from services.kit.objects.tables import ObjectTables

_SELECT_PART = (
    "SELECT substring(data FROM %(first)s FOR %(count)s) FROM {chunks} WHERE key = %(key)s AND number = %(number)s"
)


class PostgresHome:
    """Keeps objects in the service's own database."""

    def __init__(self, tables: ObjectTables) -> None:
        self._objects = tables.objects
        self._chunks = tables.chunks
        self._select_part = sql.SQL(_SELECT_PART).format(
            chunks=sql.Identifier(str(tables.chunks.schema), tables.chunks.name)
        )

    def put(self, tx: Connection, chunks: Iterable[bytes | memoryview]) -> str:
        """Store a new object as part of the transaction."""
        key, pieces = new_id("obj"), rechunk(chunks)
        size = self._put_first(tx, key, next(pieces, b""))
        first = size
        for number, data in enumerate(pieces, start=1):
            tx.execute(insert(self._chunks), {"key": key, "number": number, "data": data})
            size += len(data)
        if size > first:
            tx.execute(update(self._objects).where(self._objects.c.key == key).values(size_bytes=size))
        return key

    def _put_first(self, tx: Connection, key: str, data: bytes) -> int:
        """The object with its first chunk, in one statement: most partial sums of small models have no other."""
        size = len(data)
        row = insert(self._objects).values(key=key, size_bytes=size).returning(self._objects.c.key).cte("object")
        chunk = select(row.c.key, literal(0), literal(data, LargeBinary))
        tx.execute(insert(self._chunks).from_select(["key", "number", "data"], chunk))
        return size

    def read(self, tx: Connection, key: str) -> Iterator[bytes]:
        """The object's chunks, one query each."""
        size = self.size(tx, key)
        return (self.read_range(tx, key, start, start + CHUNK_BYTES) for start in range(0, size, CHUNK_BYTES))

    def read_range(self, tx: Connection, key: str, start: int, end: int) -> bytes:
        """Part of the object; only the stored pages that hold it are read."""
        if not 0 <= start < end:
            return b""
        parts = []
        for number in range(start // CHUNK_BYTES, (end - 1) // CHUNK_BYTES + 1):
            offset = number * CHUNK_BYTES
            part = self._part(tx, key, number, max(start - offset, 0), min(end - offset, CHUNK_BYTES))
            if part is None:
                break
            parts.append(part)
        if not parts:
            self.size(tx, key)  # past the end, or no such object
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def size(self, tx: Connection, key: str) -> int:
        """The object's size in bytes."""
        size: int | None = tx.execute(select(self._objects.c.size_bytes).where(self._objects.c.key == key)).scalar()
        if size is None:
            raise ObjectMissing(key)
        return size

    def delete(self, tx: Connection, key: str) -> None:
        """Delete the object as part of the transaction."""
        tx.execute(delete(self._objects).where(self._objects.c.key == key))

    def sweep(self, db: Database, *, orphan_age: timedelta = ORPHAN_AGE) -> int:
        """Nothing to do: what a transaction deletes or rolls back is gone, and vacuumed by Postgres."""
        return 0

    def _part(self, tx: Connection, key: str, number: int, start: int, end: int) -> bytes | None:
        """Bytes of one chunk; None where there is no such chunk.

        SQLAlchemy reads results in the text format, which turns every byte into two hexadecimal digits and
        costs ten times the CPU; psycopg's own cursor reads them as they are.
        """
        connection = tx.connection.driver_connection
        assert isinstance(connection, psycopg.Connection)  # noqa: S101 - the only driver, see Database
        values = {"first": start + 1, "count": end - start, "key": key, "number": number}
        try:
            with connection.cursor(binary=True) as cursor:
                row = cursor.execute(self._select_part, values).fetchone()
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(f"reading an object: {type(error).__name__}") from error
        return None if row is None else bytes(row[0])
