"""Immutable objects behave the same in all three homes."""

import contextlib
import hashlib
import itertools
import os
import random
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData, text

from services.kit.db import Database
from services.kit.objects import (
    CHUNK_BYTES,
    ObjectHome,
    ObjectMissing,
    ObjectsUnavailable,
    ObjectTables,
    object_tables,
    open_home,
)

SIZES = [
    0,
    1,
    CHUNK_BYTES - 1,
    CHUNK_BYTES,
    CHUNK_BYTES + 1,
    3 * CHUNK_BYTES + 17,
    8 * CHUNK_BYTES,
    9 * CHUNK_BYTES + 5,
]


def random_bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


class Crash(Exception):
    pass


def put(db: Database, home: ObjectHome, *chunks: bytes) -> str:
    return db.run("put", lambda tx: home.put(tx, chunks))


def read(db: Database, home: ObjectHome, key: str) -> bytes:
    return db.run("read", lambda tx: b"".join(home.read(tx, key)))


@pytest.mark.parametrize("size", SIZES)
def test_an_object_reads_back_as_it_was_put(db: Database, home: ObjectHome, size: int) -> None:
    body = random_bytes(size)
    key = put(db, home, body)
    assert read(db, home, key) == body
    assert db.run("size", lambda tx: home.size(tx, key)) == size


def test_the_pieces_in_which_an_object_is_put_leave_no_trace(db: Database, home: ObjectHome) -> None:
    body = random_bytes(CHUNK_BYTES + 100)
    cuts = [0, 1, 1, 50, CHUNK_BYTES + 3, len(body)]
    pieces: list[bytes | memoryview] = [memoryview(body)[start:end] for start, end in itertools.pairwise(cuts)]
    key = db.run("put", lambda tx: home.put(tx, pieces))
    assert read(db, home, key) == body
    assert db.run("read", lambda tx: [len(chunk) for chunk in home.read(tx, key)]) == [CHUNK_BYTES, 100]


def test_two_objects_of_the_same_bytes_have_different_keys(db: Database, home: ObjectHome) -> None:
    assert put(db, home, b"same") != put(db, home, b"same")


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, 1),
        (5, 5),
        (CHUNK_BYTES - 2, CHUNK_BYTES + 2),
        (10, 2 * CHUNK_BYTES + 10),
        (2 * CHUNK_BYTES, 99 * CHUNK_BYTES),
        (99 * CHUNK_BYTES, 100 * CHUNK_BYTES),
    ],
)
def test_a_range_is_the_slice_of_the_bytes(db: Database, home: ObjectHome, start: int, end: int) -> None:
    body = random_bytes(2 * CHUNK_BYTES + 1000)
    key = put(db, home, body)
    assert db.run("range", lambda tx: home.read_range(tx, key, start, end)) == body[start:end]


def test_an_unknown_key_is_missing(db: Database, home: ObjectHome) -> None:
    for ask in (
        lambda tx: home.size(tx, "obj_none"),
        lambda tx: home.read_range(tx, "obj_none", 0, 10),
        lambda tx: list(home.read(tx, "obj_none")),
    ):
        with pytest.raises(ObjectMissing):
            db.run("ask", ask)
    db.run("delete", lambda tx: home.delete(tx, "obj_none"))


def test_an_object_whose_transaction_rolls_back_was_never_there(db: Database, home: ObjectHome) -> None:
    keys = []

    def put_and_crash(tx: Connection) -> None:
        keys.append(home.put(tx, [b"lost"]))
        raise Crash

    with pytest.raises(Crash):
        db.run("put", put_and_crash)
    with pytest.raises(ObjectMissing):
        read(db, home, keys[0])


def test_a_deletion_that_rolls_back_deletes_nothing(db: Database, home: ObjectHome) -> None:
    key = put(db, home, b"kept")

    def delete_and_crash(tx: Connection) -> None:
        home.delete(tx, key)
        raise Crash

    with pytest.raises(Crash):
        db.run("delete", delete_and_crash)
    home.sweep(db)
    assert read(db, home, key) == b"kept"


def test_a_deleted_object_is_missing_at_once_and_erased_by_the_sweep(db: Database, home: ObjectHome) -> None:
    key, other = put(db, home, b"old"), put(db, home, b"other")
    db.run("delete", lambda tx: home.delete(tx, key))
    with pytest.raises(ObjectMissing):
        read(db, home, key)
    home.sweep(db)
    assert home.sweep(db) == 0
    assert stored_bytes_of(db, home, key) is None
    assert read(db, home, other) == b"other"


def test_a_sweep_erases_orphans_and_only_when_they_are_old(db: Database, home: ObjectHome) -> None:
    kept = put(db, home, b"kept")
    orphan = []

    def put_and_crash(tx: Connection) -> None:
        orphan.append(home.put(tx, [b"orphan"]))
        raise Crash

    with pytest.raises(Crash):
        db.run("put", put_and_crash)
    assert home.sweep(db, orphan_age=timedelta(hours=1)) == 0
    home.sweep(db, orphan_age=timedelta(seconds=-2))  # S3 keeps whole seconds
    assert stored_bytes_of(db, home, orphan[0]) is None
    assert read(db, home, kept) == b"kept"


def test_two_services_may_keep_their_objects_in_one_place(db: Database, tables: ObjectTables, tmp_path: Path) -> None:
    metadata, place = MetaData(), f"folder:{tmp_path}"
    db.run("schema", lambda tx: tx.execute(text("CREATE SCHEMA desk")))
    one, other = open_home(place, tables), open_home(place, object_tables(metadata, "desk"))
    db.run("tables", metadata.create_all)
    keys = put(db, one, b"of one"), put(db, other, b"of the other")
    (tmp_path / "letter.txt").write_text("of somebody else")
    for home in (one, other):
        home.sweep(db, orphan_age=timedelta(seconds=-2))
    assert (read(db, one, keys[0]), read(db, other, keys[1])) == (b"of one", b"of the other")
    assert (tmp_path / "letter.txt").exists()


def test_a_file_that_somebody_else_deletes_while_a_folder_is_listed_disturbs_no_sweep(
    db: Database, tables: ObjectTables, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = open_home(f"folder:{tmp_path}", tables)
    gone, kept = put(db, home, b"gone"), put(db, home, b"kept")
    scan = os.scandir

    @contextlib.contextmanager
    def meanwhile(path: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
        with scan(path) as entries:
            listed = list(entries)
        (tmp_path / gone).unlink()
        yield iter(listed)

    monkeypatch.setattr(os, "scandir", meanwhile)
    assert home.sweep(db, orphan_age=timedelta(seconds=-2)) == 0
    assert read(db, home, kept) == b"kept"


def test_a_folder_that_cannot_be_listed_is_unavailable(db: Database, tables: ObjectTables, tmp_path: Path) -> None:
    home = open_home(f"folder:{tmp_path / 'objects'}", tables)
    (tmp_path / "objects").rmdir()
    with pytest.raises(ObjectsUnavailable):
        home.sweep(db)


def test_memory_holds_a_few_chunks_of_a_large_object(db: Database, home: ObjectHome) -> None:
    chunk = random_bytes(CHUNK_BYTES)
    digest = hashlib.sha256()

    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield bytes(chunk)

    def put_and_read(tx: Connection) -> None:
        for data in home.read(tx, home.put(tx, chunks())):
            digest.update(data)

    tracemalloc.start()
    db.run("large", put_and_read)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * CHUNK_BYTES
    assert digest.digest() == hashlib.sha256(chunk * 40).digest()


def test_chunks_in_postgres_are_not_compressed(db: Database, home: ObjectHome) -> None:
    key = put(db, home, bytes(CHUNK_BYTES))  # zeros would compress well
    query = text("SELECT pg_column_size(data) FROM shelf.object_chunks WHERE key = :key")
    stored = db.run("size", lambda tx: tx.execute(query, {"key": key}).scalar())
    assert stored is None or stored >= CHUNK_BYTES


def stored_bytes_of(db: Database, home: ObjectHome, key: str) -> bytes | None:
    """What the home still holds, past the rows that say what exists."""
    store = getattr(home, "_store", None)
    if store is None:
        query = text("SELECT data FROM shelf.object_chunks WHERE key = :key")
        return db.run("look", lambda tx: tx.execute(query, {"key": key}).scalar())
    try:
        return bytes(store.read_range(key, 0, 1))
    except ObjectMissing:
        return None


@pytest.mark.parametrize("schema", ["aggregator", "registry"])
def test_a_migrated_database_keeps_chunks_uncompressed(database_url: str, schema: str) -> None:
    database = Database(database_url)
    query = text(
        f"SELECT attstorage FROM pg_attribute WHERE attrelid = '{schema}.object_chunks'::regclass AND attname = 'data'"
    )
    assert database.run("look", lambda tx: tx.execute(query).scalar()) == "e"  # external: never compressed
    database.dispose()
