"""Pooled connections to Postgres that are still open when they are used again."""

import select
from typing import Any

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError


def replace_closed(engine: Engine) -> None:
    """Let `engine` connect anew where a connection was closed while nobody used it.

    SQLAlchemy's own way, `pool_pre_ping`, asks Postgres before each transaction, which takes as long as a small one.
    Here only the socket is looked at: on a connection that is not used nothing arrives but its end.
    """

    def look(connection: psycopg.Connection, *_: Any) -> None:
        if connection.closed or _has_arrived(connection):
            raise InvalidatePoolError  # the others are no younger

    event.listen(engine, "checkout", look)


def _has_arrived(connection: psycopg.Connection) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
