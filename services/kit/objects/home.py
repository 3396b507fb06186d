"""What every home of objects can do."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Protocol

from sqlalchemy import Connection

from services.kit.db import Database

CHUNK_BYTES = 1024 * 1024
"""What is held in memory at a time, whatever the size of an object."""

ORPHAN_AGE = timedelta(hours=6)
"""Far longer than any transaction: bytes without a row that are older belong to nobody."""


class ObjectMissing(Exception):
    """There is no object with this key."""


class ObjectsUnavailable(Exception):
    """The home of the objects cannot be reached, or is full."""


class ObjectHome(Protocol):
    """Immutable objects: written once, read often, deleted with the row that pointed to them.

    A key is in force exactly when the transaction that put it commits, and no longer when the one that
    deletes it does. Nothing here holds more than a few chunks in memory.
    """

    def put(self, tx: Connection, chunks: Iterable[bytes | memoryview]) -> str:
        """Store a new object and return its key, a new random id.

        The bytes are durable before the transaction can commit. They may take long to write: lock
        contended rows after this call, not before.

        Raises:
            ObjectsUnavailable: nothing was stored.
        """
        ...

    def read(self, tx: Connection, key: str) -> Iterator[bytes]:
        """The object's bytes in order, in pieces of at most `CHUNK_BYTES`.

        Raises:
            ObjectMissing: no such object.
            ObjectsUnavailable: try later.
        """
        ...

    def read_range(self, tx: Connection, key: str, start: int, end: int) -> bytes:
        """The bytes from `start` up to, not including, `end`; shorter at the object's end.

        Raises:
            ObjectMissing: no such object.
            ObjectsUnavailable: try later.
        """
        ...

    def size(self, tx: Connection, key: str) -> int:
        """The object's size in bytes.

        Raises:
            ObjectMissing: no such object.
        """
        ...

    def delete(self, tx: Connection, key: str) -> None:
        """Delete an object when the transaction commits; a key that is not there is no error."""
        ...

    def sweep(self, db: Database, *, orphan_age: timedelta = ORPHAN_AGE) -> int:
        """Erase the bytes of deleted objects, and of those whose transaction never committed.

        Run it now and then, in any number of processes; returns how many objects were erased.

        Raises:
            ObjectsUnavailable: the rest is left to the next sweep.
        """
        ...


Piece = bytearray | memoryview


def rechunk(chunks: Iterable[bytes | memoryview]) -> Iterator[Piece]:
    """The same bytes in pieces of `CHUNK_BYTES`, the last one shorter; nothing for no bytes.

    What comes in one piece is not copied.
    """
    held: Piece = bytearray()
    for chunk in chunks:
        rest = memoryview(chunk).cast("B")
        while len(rest) > 0:
            room = CHUNK_BYTES - len(held)
            taken, rest = rest[:room], rest[room:]
            held = bytearray().join((held, taken)) if held else taken
            if len(held) == CHUNK_BYTES:
                yield held
                held = bytearray()
    if held:
        yield held
