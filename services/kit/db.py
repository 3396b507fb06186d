"""Postgres: one engine, and transactions that have a name, are retried and are measured."""

import random
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import psycopg
import structlog
from prometheus_client import Counter, Histogram
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from services.kit.open_connections import replace_closed

T = TypeVar("T")

log = structlog.get_logger(__name__)

_SECONDS = Histogram("fedrec_transaction_seconds", "Duration of a database transaction", ["name"])
_RETRIES = Counter("fedrec_transaction_retries_total", "Transactions run again after a conflict", ["name"])

_CONFLICTS = frozenset({"40001", "40P01", "23503"})  # serialization failure, deadlock, what was read is gone by now
_ATTEMPTS = 5

CONNECTING: Mapping[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""How libpq connects. A host that is gone without a word is noticed within a minute: TCP by itself takes two hours, in
which every thread that waits for an answer waits on."""

LONGEST_IDLE_SECONDS = 60
"""A process that is frozen within a transaction, or whose host is gone, holds its locks no longer."""


class DatabaseUnavailable(Exception):
    """The database cannot be reached, or gave up on a statement; the outcome may be unknown."""


class Database:
    """One Postgres database. Connections are pooled; none is held between transactions."""

    def __init__(self, url: str, *, pool_size: int = 5, longest_idle_seconds: int = LONGEST_IDLE_SECONDS) -> None:
        """Connect lazily.

        Args:
            url: SQLAlchemy URL.
            pool_size: connections that are kept.
            longest_idle_seconds: Postgres ends a transaction that says nothing for so long.
        """
        self.engine: Engine = create_engine(
            url,
            pool_size=pool_size,
            max_overflow=5,
            pool_timeout=10,
            hide_parameters=True,  # errors are logged, and parameters are keys, reasons and weights
            pool_use_lifo=True,  # few connections serve a small load: each keeps a buffer as large as a chunk
            connect_args={
                "prepare_threshold": None,  # a pooler in transaction mode forgets prepared statements
                **CONNECTING,
                "options": "-c statement_timeout=30000 -c lock_timeout=5000 -c timezone=UTC "
                f"-c idle_in_transaction_session_timeout={1000 * longest_idle_seconds}",
            },
        )
        replace_closed(self.engine)
        self._reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    def read(self, name: str, query: Callable[[Connection], T]) -> T:
        """The same as `run` for a single query, without the two round trips that begin and end a transaction."""
        return self._run(name, query, self._reading.connect)

    def run(self, name: str, step: Callable[[Connection], T]) -> T:
        """Run `step` in one transaction; it commits when `step` returns and rolls back when it raises.

        A conflict with another transaction runs `step` again, so it must have no effect outside the
        database.

        Raises:
            DatabaseUnavailable: no connection, or it broke. Whether a commit took place is then unknown.
        """
        return self._run(name, step, self.engine.begin)

    def _run(
        self, name: str, step: Callable[[Connection], T], connect: Callable[[], AbstractContextManager[Connection]]
    ) -> T:
        for attempt in range(1, _ATTEMPTS + 1):
            started = time.perf_counter()
            try:
                with connect() as connection:
                    return step(connection)
            except NoFreeConnection as error:
                raise DatabaseUnavailable(f"transaction {name!r}: no free connection") from error
            except (DBAPIError, psycopg.Error) as error:
                cause = error.orig if isinstance(error, DBAPIError) else error
                if getattr(cause, "sqlstate", None) in _CONFLICTS and attempt < _ATTEMPTS:
                    _RETRIES.labels(name).inc()
                    time.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - jitter, not a secret
                    continue
                if isinstance(cause, psycopg.OperationalError) or getattr(error, "connection_invalidated", False):
                    raise DatabaseUnavailable(f"transaction {name!r}: {type(cause).__name__}") from error
                raise
            finally:
                _SECONDS.labels(name).observe(time.perf_counter() - started)
        raise AssertionError("unreachable")

    def dispose(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()
