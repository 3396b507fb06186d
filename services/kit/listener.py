"""Listening to Postgres notifications in a thread of its own. They are hints: everybody polls beside them."""

import selectors
import socket
import threading
from collections.abc import Callable

import psycopg
import structlog
from sqlalchemy import make_url

from services.kit.db import CONNECTING

log = structlog.get_logger(__name__)

_RECONNECT_SECONDS = 1.0


class Listener:
    """Calls back for every notification on some channels, and once with None after every (re)connection."""

    def __init__(self, database_url: str, channels: tuple[str, ...], on_hint: Callable[[str | None], object]) -> None:
        """`on_hint` gets the payload, in the listener's thread; None means: something may have been missed."""
        self._url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._channels = channels
        self._on_hint = on_hint
        self._stopping = threading.Event()
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for the thread to end."""
        self._stopping.set()
        self._stop.close()
        self._thread.join()
        self._stopped.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except psycopg.Error as error:
                log.warning("listening was interrupted", error=type(error).__name__)
                self._stopping.wait(_RECONNECT_SECONDS)

    def _listen(self) -> None:
        with psycopg.connect(self._url, autocommit=True, **CONNECTING) as connection:
            for channel in self._channels:
                connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
            self._on_hint(None)
            # The driver's own waiting wakes fifteen times a second, and takes the interpreter from whoever has it.
            with selectors.DefaultSelector() as either:
                either.register(connection, selectors.EVENT_READ)
                either.register(self._stopped, selectors.EVENT_READ)
                while not self._stopping.is_set():
                    for notification in connection.notifies(timeout=0):
                        self._on_hint(notification.payload or None)
                    either.select()
