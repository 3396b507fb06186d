"""The tables of a service's objects; each service keeps its own, in its own schema."""

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    event,
    func,
    text,
)


@dataclass(frozen=True)
class ObjectTables:
    """Where a service keeps its objects' rows."""

    objects: Table
    """One row for each object, in whichever home its bytes are."""
    chunks: Table
    """The bytes, where the home is Postgres."""
    deletions: Table
    """Keys whose bytes must still be deleted, where the home is not Postgres."""


def object_tables(metadata: MetaData, schema: str) -> ObjectTables:
    """Add the tables to a service's metadata."""
    objects = Table(
        "objects",
        metadata,
        Column("key", String, primary_key=True),
        Column("size_bytes", BigInteger, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        schema=schema,
    )
    chunks = Table(
        "object_chunks",
        metadata,
        Column("key", ForeignKey(objects.c.key, ondelete="CASCADE"), primary_key=True),
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("data", LargeBinary, nullable=False),
        schema=schema,
    )

    def without_compression(_table: Table, connection: Connection, **_: object) -> None:
        connection.execute(text(store_uncompressed(schema)))

    event.listen(chunks, "after_create", without_compression)
    deletions = Table(
        "object_deletions",
        metadata,
        Column("key", String, primary_key=True),
        schema=schema,
    )
    return ObjectTables(objects, chunks, deletions)


def store_uncompressed(schema: str) -> str:
    """The statement that a migration must run too: metadata cannot express it.

    Ciphertext and float weights do not compress, and a range of an uncompressed value is read without
    reading what comes before it.
    """
    return f"ALTER TABLE {schema}.object_chunks ALTER COLUMN data SET STORAGE EXTERNAL"
