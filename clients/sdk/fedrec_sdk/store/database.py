"""One SQLite file: exclusive to one process, usable by its threads, durable when a transaction returns."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fedrec_sdk.errors import FedrecError, Unavailable

SCHEMA_VERSION = 2

_SCHEMA = """
CREATE TABLE value (name TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE interaction (sequence INTEGER PRIMARY KEY, item INTEGER NOT NULL, time REAL);
CREATE TABLE private_tensors (task_id TEXT PRIMARY KEY, tensors BLOB NOT NULL);
CREATE TABLE outbox (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    task_id TEXT NOT NULL, assignment_id TEXT NOT NULL, base_version_id TEXT NOT NULL,
    round_number INTEGER NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL, private_tensors BLOB NOT NULL
);
CREATE TABLE secure_round (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    task_id TEXT NOT NULL, assignment_id TEXT NOT NULL, base_version_id TEXT NOT NULL, base_digest TEXT NOT NULL,
    round_number INTEGER NOT NULL, kind TEXT NOT NULL, vector BLOB NOT NULL, private_tensors BLOB NOT NULL,
    state BLOB, body BLOB, report_id TEXT
);
CREATE TABLE joined_round (round_id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE version (
    version_id TEXT PRIMARY KEY, model TEXT NOT NULL, number INTEGER NOT NULL, digest TEXT NOT NULL,
    size_bytes INTEGER NOT NULL, recipe TEXT
);
CREATE TABLE alias (model TEXT, alias TEXT, version_id TEXT NOT NULL, PRIMARY KEY (model, alias));
"""

_PARTICIPATION = """
CREATE TABLE participation (task_id TEXT, round_number INTEGER, PRIMARY KEY (task_id, round_number)) WITHOUT ROWID
"""


class StoreInUse(Unavailable):
    """Another process has this store open, or another `LocalStore` of this process."""


class StoreTooNew(FedrecError):
    """The store was written by a newer version of the SDK."""


class StoreBroken(FedrecError):
    """The store's file is damaged. Delete the folder: the device then begins anew, as another client."""


class StoreDatabase:
    """Opened on first use, closed by `close`, opened again when used again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._guard = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def transaction(self, *, is_erasing: bool = False) -> Iterator[sqlite3.Connection]:
        """All statements inside take effect together, and are on the disk afterwards; or none does.

        Args:
            is_erasing: Whether what they replace or delete may be nowhere in the files afterwards.

        Raises:
            StoreInUse: another process has the store open.
            Unavailable: the disk is full or broken.
            StoreBroken: the file is damaged.
            StoreTooNew: a newer version of the SDK wrote it.
        """
        with self._guard:
            try:
                connection = self._connection = self._connection or self._open()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:  # SQLite itself rolls back where the disk is full
                        connection.execute("ROLLBACK")
                    raise
                if is_erasing:
                    _empty_log(connection)
            except sqlite3.OperationalError as error:
                raise self._unavailable(error) from error
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
                    raise
                raise StoreBroken(
                    f"the store {self.path.parent} is damaged ({error}): delete it to begin anew"
                ) from error

    def close(self) -> None:
        """Let go of the file; another process may open it."""
        with self._guard:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        # The file is made before SQLite sees it: SQLite would give it the permissions of the umask.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self.path, timeout=0.0, isolation_level=None, check_same_thread=False)
        try:
            # The lock is SQLite's own: taken here, held until the connection or the process ends.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            # WAL's default, NORMAL, may lose the last transactions when the power fails. A report
            # that was sent but then forgotten would be answered by a different one.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            # The default of 2 MB is for queries that come back to the same pages; a report is read once.
            connection.execute("PRAGMA cache_size = -256")
            connection.execute("BEGIN EXCLUSIVE")
            self._migrate(connection)
            connection.execute("COMMIT")
            _empty_log(connection)  # a process that was killed may have been erasing
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise StoreTooNew(f"{self.path} has version {version}; this SDK knows {SCHEMA_VERSION}: update it")
        if version == 0:
            for statement in _SCHEMA.split(";")[:-1]:
                connection.execute(statement)
        if version < 2:
            connection.execute(_PARTICIPATION)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _unavailable(self, error: sqlite3.OperationalError) -> Unavailable:
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return StoreInUse(f"the store {self.path.parent} is in use by another process or LocalStore")
        return Unavailable(f"the store {self.path.parent} cannot be used: {error}")


def _empty_log(connection: sqlite3.Connection) -> None:
    """Bring the write-ahead log into the file: `secure_delete` overwrites there, and what the log holds would stay."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
