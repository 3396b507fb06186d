"""Postgres by its driver alone, for what comes with every report and for what SQLAlchemy cannot do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import psycopg
from sqlalchemy import ClauseElement, Connection, make_url
from sqlalchemy.sql.compiler import SQLCompiler

_DIALECT = make_url("postgresql+psycopg://").get_dialect()()


class Statement:
    """A statement written with SQLAlchemy and put together once, which the driver runs.

    SQLAlchemy takes twice as long to run a small one, and again to make its rows. Values go to the driver as they
    are, and rows are plain tuples.
    """

    def __init__(self, statement: ClauseElement) -> None:
        compiled = cast("SQLCompiler", statement.compile(dialect=_DIALECT))
        self._sql = str(compiled)
        self._constants = {name: bound.value for name, bound in compiled.binds.items() if not bound.required}

    def run(self, tx: Connection, **values: Any) -> psycopg.Cursor[Any]:
        """Run it within a transaction, with a value for each parameter."""
        with driver(tx) as connection:
            return connection.execute(self._sql, self._constants | values)


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
