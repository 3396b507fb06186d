"""Postgres by its driver alone, for what comes with every report and for what SQLAlchemy cannot do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format, TransactionStatus
from sqlalchemy import ClauseElement, Connection, Dialect, make_url
from sqlalchemy.sql.compiler import SQLCompiler

_dialect: Callable[..., Dialect] = make_url("postgresql+psycopg://").get_dialect()
_DIALECT = _dialect(paramstyle="numeric_dollar")  # as Postgres itself names parameters


class Statement:
    """A statement written with SQLAlchemy and put together once, which libpq runs.

    It waits for Postgres in C. What SQLAlchemy and the driver's cursors do around each wait takes several times as
    long, most of all where a busy process has forgotten it meanwhile (its caches have). Values go to Postgres as they
    are, and rows are plain tuples.
    """

    def __init__(self, statement: ClauseElement) -> None:
        compiled = cast("SQLCompiler", statement.compile(dialect=_DIALECT))
        self._sql = str(compiled).encode()
        self._names = compiled.positiontup or []
        self._constants = {name: bound.value for name, bound in compiled.binds.items() if not bound.required}

    def run(self, tx: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """Run it within a transaction, with a value for each parameter; returns its rows."""
        given = self._constants | values
        with driver(tx) as connection:
            adapt = Transformer(connection)
            parameters = adapt.dump_sequence([given[name] for name in self._names], [PyFormat.AUTO] * len(self._names))
            if not connection.autocommit and connection.pgconn.transaction_status == TransactionStatus.IDLE:
                _checked(connection, connection.pgconn.exec_(b"BEGIN"))
            result = connection.pgconn.exec_params(self._sql, parameters, adapt.types, adapt.formats, Format.BINARY)
            adapt.set_pgresult(_checked(connection, result))
            return adapt.load_rows(0, result.ntuples, tuple)


def _checked(connection: psycopg.Connection, result: Any) -> Any:
    if result.status in {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}:
        return result
    error = error_from_result(result)
    raise psycopg.OperationalError(str(error)) if connection.closed else error


@contextmanager
def driver(tx: Connection) -> Iterator[psycopg.Connection]:
    """The transaction's connection; `Database` knows the errors that come out of it."""
    connection = tx.connection.driver_connection
    assert isinstance(connection, psycopg.Connection)  # noqa: S101 - the only driver, see Database
    try:
        yield connection
    except psycopg.Error as error:
        if connection.closed:
            tx.invalidate(error)  # as SQLAlchemy does with what it sees itself: there is nothing to roll back
        raise
