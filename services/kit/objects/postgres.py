"""Objects as rows of chunks in Postgres: one database, one backup, one transaction."""

import struct
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import chain, islice

from psycopg import sql
from psycopg.copy import LibpqWriter
from sqlalchemy import Connection, Insert, LargeBinary, bindparam, delete, insert, literal, select, update

from services.kit.db import Database
from services.kit.driver import Statement, driver
from services.kit.ids import new_id
from services.kit.objects.home import CHUNK_BYTES, ORPHAN_AGE, ObjectMissing, Piece, rechunk
from services.kit.objects.tables import ObjectTables

_SELECT_PART = (
    "SELECT substring(data FROM %(first)s FOR %(count)s) FROM {chunks} WHERE key = %(key)s AND number = %(number)s"
)
_COPY = "COPY {chunks} (key, number, data) FROM STDIN (FORMAT BINARY)"
_COPY_HEAD, _COPY_END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_COPY_WAITING_BYTES = 128 * 1024
"""More than this is not written to a connection's buffer, which never shrinks, before it is sent."""
_COPY_BYTES = 8 * CHUNK_BYTES
"""By one statement: each has 30 seconds, whatever the size of the object."""


class PostgresHome:
    """Keeps objects in the service's own database."""

    def __init__(self, tables: ObjectTables) -> None:
        self._objects = tables.objects
        self._chunks = tables.chunks
        chunks = sql.Identifier(str(tables.chunks.schema), tables.chunks.name)
        self._select_part = sql.SQL(_SELECT_PART).format(chunks=chunks)
        self._copy = sql.SQL(_COPY).format(chunks=chunks)
        # With every batch of reports.
        self._insert_small = Statement(_insert_small(tables))
        self._delete = Statement(delete(tables.objects).where(tables.objects.c.key == bindparam("of_object")))

    def put(self, tx: Connection, chunks: Iterable[bytes | memoryview]) -> str:
        """Store a new object as part of the transaction."""
        key, pieces = new_id("obj"), rechunk(chunks)
        first = next(pieces, bytearray())
        if len(first) < CHUNK_BYTES:
            self._put_small(tx, key, first)
        else:
            every = chain(iter([first]), pieces)
            del first  # while the others are made, nobody needs its megabyte
            self._put_large(tx, key, every)
        return key

    def _put_small(self, tx: Connection, key: str, data: Piece) -> None:
        """The object with its only chunk, in one statement: most partial sums of small models."""
        self._insert_small.run(tx, of_object=key, size=len(data), content=data)

    def _put_large(self, tx: Connection, key: str, pieces: Iterable[Piece]) -> None:
        """The object, and its chunks as streams. As parameters of statements they are copied twice more."""
        tx.execute(insert(self._objects).values(key=key, size_bytes=0))
        size, copied, numbered = 0, _COPY_BYTES, enumerate(pieces)
        while copied == _COPY_BYTES:
            copied = self._copy_chunks(tx, key, islice(numbered, _COPY_BYTES // CHUNK_BYTES))
            size += copied
        tx.execute(update(self._objects).where(self._objects.c.key == key).values(size_bytes=size))

    def _copy_chunks(self, tx: Connection, key: str, numbered: Iterable[tuple[int, Piece]]) -> int:
        """Write chunks in COPY's binary format (https://www.postgresql.org/docs/current/sql-copy.html); their size."""
        size, key_bytes = 0, key.encode()
        with driver(tx) as connection, connection.cursor() as cursor:
            writer = LibpqWriter(cursor, flush_threshold=_COPY_WAITING_BYTES)
            with cursor.copy(self._copy, writer=writer) as copy:
                copy.write(_COPY_HEAD)
                for number, data in numbered:
                    fields = (3, len(key_bytes), key_bytes, 4, number, len(data))  # each after its length
                    copy.write(struct.pack(f">hi{len(key_bytes)}siii", *fields))
                    copy.write(data)
                    size += len(data)
                copy.write(_COPY_END)
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
        self._delete.run(tx, of_object=key)

    def sweep(self, db: Database, *, orphan_age: timedelta = ORPHAN_AGE) -> int:
        """Nothing to do: what a transaction deletes or rolls back is gone, and vacuumed by Postgres."""
        return 0

    def _part(self, tx: Connection, key: str, number: int, start: int, end: int) -> bytes | None:
        """Bytes of one chunk; None where there is no such chunk.

        SQLAlchemy reads results in the text format, which turns every byte into two hexadecimal digits and
        costs ten times the CPU; psycopg's own cursor reads them as they are.
        """
        values = {"first": start + 1, "count": end - start, "key": key, "number": number}
        with driver(tx) as connection, connection.cursor(binary=True) as cursor:
            row = cursor.execute(self._select_part, values).fetchone()
        return None if row is None else bytes(row[0])


def _insert_small(tables: ObjectTables) -> Insert:
    """An object with its only chunk."""
    row = insert(tables.objects).values(key=bindparam("of_object"), size_bytes=bindparam("size"))
    key = row.returning(tables.objects.c.key).cte("object").c.key
    chunk = select(key, literal(0), bindparam("content", type_=LargeBinary))
    return insert(tables.chunks).from_select(["key", "number", "data"], chunk)
