"""Databases of one Postgres server: made, copied from a template and dropped."""

from __future__ import annotations

from sqlalchemy import create_engine, make_url, text
from sqlalchemy.pool import NullPool


def create_database(server_url: str, name: str, *, template: str = "template1") -> str:
    """Create the database `name` as a copy of `template`; returns its URL.

    One that has the name is dropped: test workers take over from others, so that the tests of a module may be run in
    two pieces, with its fixtures made for each.

    Args:
        server_url: any database of the server, for a user who may create databases.
        name: a plain identifier.
        template: nobody may be connected to it meanwhile.
    """
    # The copy of files is faster than the default, which writes the whole template to the log.
    copy = f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy'
    _execute(server_url, _dropping(name), copy)
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)


def drop_database(server_url: str, name: str) -> None:
    """Drop the database `name` with whoever is still connected to it; one that is missing is no error."""
    _execute(server_url, _dropping(name))


def _dropping(name: str) -> str:
    return f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'


def _execute(server_url: str, *statements: str) -> None:
    engine = create_engine(server_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
